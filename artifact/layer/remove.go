package layer

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// maxDepth is how deep Remove goes before it brings what lies deeper up: every
// level costs a descriptor, and a program may have made any number of levels.
const maxDepth = 64

// Remove removes a file or a directory with all in it, whatever names, modes and
// depth it has. It follows no link: what one leads to stays. It is no error if
// there is nothing. Nothing may write there while it works.
func Remove(path string) error {
	path = filepath.Clean(path)
	parent, err := unix.Open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT {
		return nil
	}
	if err != nil {
		return fmt.Errorf("removing %s: %w", path, err)
	}
	defer unix.Close(parent)
	r := &remover{top: parent, under: filepath.Base(path)}
	err = r.remove(parent, r.under, 0)
	for err == nil && len(r.raised) > 0 {
		next := r.raised[len(r.raised)-1]
		r.raised = r.raised[:len(r.raised)-1]
		err = r.remove(parent, next, 0)
	}
	if err != nil {
		return fmt.Errorf("removing %s: %w", path, err)
	}
	return nil
}

// remover removes one tree.
type remover struct {
	top    int    // the directory that the tree lies in
	under  string // the tree's name there
	raised []string
	count  int
}

// remove removes the file base of a directory.
func (r *remover) remove(dir int, base string, depth int) error {
	err := unix.Unlinkat(dir, base, 0)
	switch err {
	case nil, unix.ENOENT:
		return nil
	case unix.EISDIR, unix.EPERM: // EPERM is POSIX's word for a directory
	default:
		return err
	}
	err = unix.Unlinkat(dir, base, unix.AT_REMOVEDIR)
	switch err {
	case nil, unix.ENOENT:
		return nil
	case unix.ENOTEMPTY, unix.EEXIST, unix.EACCES:
	default:
		return err
	}
	if depth >= maxDepth {
		return r.raise(dir, base)
	}
	in, err := openAnyway(dir, base)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(in), base)
	defer f.Close()
	for {
		// From the beginning each time: a directory that changes may be read
		// over its changes otherwise.
		_, err = f.Seek(0, io.SeekStart)
		if err != nil {
			return err
		}
		names, err := f.Readdirnames(1024)
		if errors.Is(err, io.EOF) || err == nil && len(names) == 0 {
			break
		}
		if err != nil {
			return err
		}
		for _, name := range names {
			err = r.remove(in, name, depth+1)
			if err != nil {
				return err
			}
		}
	}
	return unix.Unlinkat(dir, base, unix.AT_REMOVEDIR)
}

// raise moves a directory beside the tree, to be removed from there.
func (r *remover) raise(dir int, base string) error {
	for {
		// The name begins with the tree's own, so that who finds it after a crash
		// knows whose it is.
		r.count++
		name := r.under + "." + strconv.Itoa(r.count)
		err := unix.Renameat2(dir, base, r.top, name, unix.RENAME_NOREPLACE)
		if err == unix.EACCES { // a directory that is moved must be writable: its ".." changes
			var fd int
			fd, err = openAnyway(dir, base)
			if err == nil {
				unix.Close(fd)
				err = unix.Renameat2(dir, base, r.top, name, unix.RENAME_NOREPLACE)
			}
		}
		if err == unix.EEXIST {
			continue
		}
		if err == nil {
			r.raised = append(r.raised, name)
		}
		return err
	}
}

// openAnyway opens a directory so that what is in it can be listed and removed,
// also if its mode forbids that to its own owner.
func openAnyway(dir int, base string) (int, error) {
	how := unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	if os.Geteuid() != 0 {
		fd, err := unix.Openat(dir, base, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return -1, err
		}
		err = unix.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), 0o700)
		unix.Close(fd)
		if err != nil {
			return -1, err
		}
	}
	return unix.Openat(dir, base, how, 0)
}

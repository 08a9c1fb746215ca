// Package files carries files and folders between a machine and its host, as cp would:
// Pack writes a tar archive of one file or folder, Unpack puts what such an archive has
// somewhere else. Tool is both as a tool of a machine's agent; a client of the host
// uses the functions for its end.
//
// Both ends trust nothing. No link below what is read or written is followed, nothing
// is made outside of the target, and what an archive takes of a disk is no more than
// the bytes that were sent.
package files

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Options say how files are carried.
type Options struct {
	// Owners keeps who owns the files and what they may do as whoever runs them (setuid,
	// setgid). Without it what is packed is root's, and what is unpacked belongs to who
	// unpacks it.
	Owners bool
	// Note is told of what Pack leaves out. Nil: nobody is.
	Note func(text string)
	// Name is that of the file or folder which Unpack takes, the first part of all names
	// of its archive: who asks a stranger for one file gets no other into a folder. "":
	// any.
	Name string
}

// Tool is the tool of agents: "get" PATH writes an archive, "put" PATH reads one. It
// keeps owners where it is root's. It ends with 0, with 1 and the reason on its errors,
// or with 2 where it was asked for something else.
func Tool(_ context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	say := func(text string) { fmt.Fprintf(errs, "files: %s\n", text) }
	o := Options{Owners: os.Geteuid() == 0, Note: say}
	var err error
	switch {
	case len(args) == 2 && args[0] == "get":
		err = Pack(out, args[1], o)
	case len(args) == 2 && args[0] == "put":
		err = Unpack(in, args[1], o)
	default:
		say("it is get PATH or put PATH")
		return 2
	}
	if err != nil {
		say(err.Error())
		return 1
	}
	return 0
}

// Errors of what is not carried.
var (
	// ErrArchive: the archive is none of Pack's.
	ErrArchive = errors.New("archive is not one of a file or folder")
	// errKind: it is no file, folder or link.
	errKind = errors.New("it is neither a file nor a folder nor a link")
)

// Pack writes a tar archive of the file or folder at a path; all names in it begin
// with the last name of the path. A link at the path itself is followed, none below
// it. What is neither a file nor a folder nor a link is left out.
func Pack(w io.Writer, name string, o Options) error {
	name, err := filepath.Abs(name)
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	base := filepath.Base(name)
	if base == "/" {
		return errors.New("reading /: the whole disk can't be copied, only what is in it")
	}
	real, err := filepath.EvalSymlinks(name)
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, bare(err))
	}
	p := &packer{tar: tar.NewWriter(w), Options: o, names: map[inode]string{}, buf: make([]byte, 128<<10)}
	p.root, err = os.OpenRoot(filepath.Dir(real))
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, bare(err))
	}
	defer p.root.Close()
	err = p.add(filepath.Base(real), base)
	if errors.Is(err, errKind) {
		err = fmt.Errorf("reading %s: %w", name, errKind)
	}
	if err == nil {
		err = p.tar.Close()
	}
	return err
}

// inode is a file, whatever its name.
type inode struct{ device, number uint64 }

type packer struct {
	Options
	tar   *tar.Writer
	root  *os.Root
	names map[inode]string // in the archive, of files with several
	buf   []byte
}

// add writes what is at a path of the root, which is named so in the archive.
func (p *packer) add(at, name string) error {
	info, err := p.root.Lstat(at)
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, bare(err))
	}
	if info.IsDir() {
		return p.folder(at, name)
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		to, err := p.root.Readlink(at)
		if err != nil {
			return fmt.Errorf("reading %s: %w", name, bare(err))
		}
		h := p.header(info, name)
		h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, to, 0o777
		return p.head(h)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: %w", name, errKind)
	}
	// It may be something else by now: that must not hang.
	f, err := p.root.OpenFile(at, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, bare(err))
	}
	defer f.Close()
	info, err = f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s: %w", name, errKind)
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, bare(err))
	}
	return p.file(f, info, name)
}

// file writes a file, or that it is the same as one before.
func (p *packer) file(f *os.File, info fs.FileInfo, name string) error {
	h := p.header(info, name)
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Nlink > 1 {
		it := inode{uint64(st.Dev), st.Ino}
		if first, ok := p.names[it]; ok {
			h.Typeflag, h.Linkname = tar.TypeLink, first
			return p.head(h)
		}
		p.names[it] = name
	}
	h.Typeflag, h.Size = tar.TypeReg, info.Size()
	err := p.head(h)
	if err != nil {
		return err
	}
	n, err := io.CopyBuffer(onlyWriter{p.tar}, io.LimitReader(f, h.Size), p.buf)
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, bare(err))
	}
	if n < h.Size {
		return fmt.Errorf("reading %s: it became shorter meanwhile", name)
	}
	return nil
}

// onlyWriter hides what else a writer can, so that io.CopyBuffer uses the buffer.
type onlyWriter struct{ io.Writer }

// folder writes a folder and what is in it.
func (p *packer) folder(at, name string) error {
	f, err := p.root.OpenFile(at, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_DIRECTORY, 0)
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, bare(err))
	}
	info, err := f.Stat()
	var below []string
	if err == nil {
		below, err = f.Readdirnames(-1)
	}
	f.Close()
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, bare(err))
	}
	h := p.header(info, name+"/")
	h.Typeflag = tar.TypeDir
	err = p.head(h)
	if err != nil {
		return err
	}
	slices.Sort(below)
	for _, b := range below {
		err = p.add(at+"/"+b, name+"/"+b)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if errors.Is(err, errKind) {
			if p.Note != nil {
				p.Note(fmt.Sprintf("left out: %v", err))
			}
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *packer) head(h *tar.Header) error {
	err := p.tar.WriteHeader(h)
	if err != nil {
		return fmt.Errorf("writing %s: %w", h.Name, err)
	}
	return nil
}

// header is what the archive says of a file, but its kind.
func (p *packer) header(info fs.FileInfo, name string) *tar.Header {
	h := &tar.Header{Name: name, Mode: int64(info.Mode().Perm()), ModTime: info.ModTime(), Format: tar.FormatPAX}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && p.Owners {
		h.Uid, h.Gid, h.Mode = int(st.Uid), int(st.Gid), int64(st.Mode&0o7777)
	}
	return h
}

// bare takes the path from an error whose text names it already.
func bare(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	var l *os.LinkError
	if errors.As(err, &l) {
		return l.Err
	}
	return err
}

// splitName returns the first of a name's parts and the rest; ok is false if the name
// is none that Pack writes.
func splitName(name string) (top, rest string, ok bool) {
	name = strings.TrimSuffix(name, "/")
	if path.IsAbs(name) || path.Clean(name) != name || name == "." || name == ".." || strings.HasPrefix(name, "../") || strings.ContainsRune(name, 0) {
		return "", "", false
	}
	top, rest, _ = strings.Cut(name, "/")
	return top, rest, true
}

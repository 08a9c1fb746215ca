package files

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Unpack puts the file or folder of an archive of Pack's at a path: into it if it is
// a folder, else as it. Files that are there are replaced, folders are kept, and
// neither becomes the other. What it wrote before an error stays.
func Unpack(r io.Reader, name string, o Options) error {
	u := &unpacker{tar: tar.NewReader(r), Options: o, buf: make([]byte, 128<<10)}
	h, err := u.next()
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: it is empty", ErrArchive)
	}
	if err != nil {
		return err
	}
	u.top, _, _ = splitName(h.Name)
	if o.Name != "" && u.top != o.Name {
		return fmt.Errorf("%w: it has %.200q and not %.200q", ErrArchive, u.top, o.Name)
	}
	err = u.enter(name)
	if err != nil {
		return err
	}
	defer u.root.Close()
	for ; err == nil; h, err = u.next() {
		err = u.put(h)
		if err != nil {
			return err
		}
	}
	if !errors.Is(err, io.EOF) {
		return err
	}
	return u.finish()
}

type unpacker struct {
	Options
	tar     *tar.Reader
	top     string // the first part of all names
	as      string // what it is called in root
	root    *os.Root
	folders []*tar.Header // to be finished, those above first; Name is that in root
	made    map[string]bool
	ended   bool // the top is a file: nothing more may come
	buf     []byte
}

// next reads what comes next. io.EOF after the last.
func (u *unpacker) next() (*tar.Header, error) {
	h, err := u.tar.Next()
	if errors.Is(err, io.EOF) {
		return nil, io.EOF
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, tar.ErrHeader) {
		return nil, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the archive: %w", err)
	}
	top, _, ok := splitName(h.Name)
	if !ok || u.top != "" && top != u.top {
		return nil, fmt.Errorf("%w: the name %.200q", ErrArchive, h.Name)
	}
	return h, nil
}

// enter opens the folder in which the archive's file or folder is made.
func (u *unpacker) enter(name string) error {
	u.made = map[string]bool{}
	dir, as := name, u.top
	info, err := os.Stat(name)
	switch {
	case err == nil && info.IsDir():
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("writing %s: %w", name, bare(err))
	case name == "" || strings.HasSuffix(name, "/"):
		return fmt.Errorf("writing %s: %w: it is no folder", name, unix.ENOTDIR)
	default:
		dir, as = filepath.Dir(name), filepath.Base(name)
	}
	u.as = as
	u.root, err = os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, bare(err))
	}
	return nil
}

// place is where something of the archive belongs in the root. Its folder must have
// been in the archive, too: so it is one, and no link.
func (u *unpacker) place(name string) (string, error) {
	top, rest, ok := splitName(name)
	if !ok || top != u.top {
		return "", fmt.Errorf("%w: the name %.200q", ErrArchive, name)
	}
	if rest == "" {
		return u.as, nil
	}
	at := u.as + "/" + rest
	if !u.made[path.Dir(at)] {
		return "", fmt.Errorf("%w: %.200q stands in no folder of it", ErrArchive, name)
	}
	return at, nil
}

// put makes what a header says.
func (u *unpacker) put(h *tar.Header) error {
	at, err := u.place(h.Name)
	if err != nil {
		return err
	}
	if at == u.as && (len(u.made) > 0 || u.ended) {
		return fmt.Errorf("%w: it has %.200q twice", ErrArchive, h.Name)
	}
	switch h.Typeflag {
	case tar.TypeDir:
		err = u.folder(at, h)
	case tar.TypeReg:
		for key := range h.PAXRecords {
			if strings.HasPrefix(key, "GNU.sparse.") {
				return fmt.Errorf("%w: %.200q takes more than it sends", ErrArchive, h.Name)
			}
		}
		err = u.file(at, h)
	case tar.TypeSymlink:
		err = u.clear(at)
		if err == nil {
			err = u.root.Symlink(h.Linkname, at)
		}
		if err == nil && u.Owners {
			err = mapped(u.root.Lchown(at, h.Uid, h.Gid))
		}
	case tar.TypeLink:
		err = u.link(at, h)
	default:
		return fmt.Errorf("%w: %.200q is neither a file nor a folder nor a link", ErrArchive, h.Name)
	}
	u.ended = u.ended || at == u.as && h.Typeflag != tar.TypeDir
	if err != nil && !errors.Is(err, ErrArchive) {
		err = fmt.Errorf("writing %s: %w", at, bare(err))
	}
	return err
}

// folder makes a folder, or takes one that is there. Until all is written it is ours.
func (u *unpacker) folder(at string, h *tar.Header) error {
	err := u.root.Mkdir(at, 0o700)
	if err == nil {
		u.folders = append(u.folders, &tar.Header{Name: at, Mode: h.Mode, Uid: h.Uid, Gid: h.Gid, ModTime: h.ModTime})
	}
	if errors.Is(err, fs.ErrExist) {
		info, failed := u.root.Lstat(at)
		if failed != nil {
			return failed
		}
		if !info.IsDir() {
			return fmt.Errorf("%w: what is there is no folder", unix.ENOTDIR)
		}
		err = nil // and stays as it is, as with cp
	}
	if err == nil {
		u.made[at] = true
	}
	return err
}

// clear removes what stands where a file or a link is to be.
func (u *unpacker) clear(at string) error {
	info, err := u.root.Lstat(at)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && info.IsDir() {
		return fmt.Errorf("%w: what is there is a folder", unix.EISDIR)
	}
	if err == nil {
		err = u.root.Remove(at)
	}
	return err
}

// file makes a file. It is closed to others until it is whole.
func (u *unpacker) file(at string, h *tar.Header) error {
	err := u.clear(at)
	if err != nil {
		return err
	}
	f, err := u.root.OpenFile(at, os.O_CREATE|os.O_EXCL|os.O_WRONLY|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(onlyWriter{f}, onlyReader{u.tar}, u.buf)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%w: it ends in the middle of %.200q", ErrArchive, h.Name)
	}
	if err == nil && u.Owners {
		err = mapped(f.Chown(h.Uid, h.Gid)) // before its mode: it takes setuid away
	}
	if err == nil {
		err = f.Chmod(u.mode(h))
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = u.root.Chtimes(at, time.Time{}, h.ModTime)
	}
	if err != nil {
		_ = u.root.Remove(at) // half a file is none
	}
	return err
}

type onlyReader struct{ io.Reader }

// link makes another name of a file of the archive.
func (u *unpacker) link(at string, h *tar.Header) error {
	first, err := u.place(h.Linkname)
	if err != nil {
		return err
	}
	if first == at {
		return fmt.Errorf("%w: %.200q is a link to itself", ErrArchive, h.Name)
	}
	info, err := u.root.Lstat(first)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%w: %.200q is a link to what is no file", ErrArchive, h.Name)
	}
	err = u.clear(at)
	if err != nil {
		return err
	}
	return u.root.Link(first, at)
}

// mode is what a file may have of its mode.
func (u *unpacker) mode(h *tar.Header) fs.FileMode {
	m := fs.FileMode(h.Mode) & 0o777
	if !u.Owners {
		return m
	}
	for bit, mode := range map[int64]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if h.Mode&bit != 0 {
			m |= mode
		}
	}
	return m
}

// finish gives folders what they are to have, those below first.
func (u *unpacker) finish() error {
	for i := len(u.folders) - 1; i >= 0; i-- {
		h := u.folders[i]
		err := u.close(h)
		if err != nil {
			return fmt.Errorf("writing %s: %w", h.Name, bare(err))
		}
	}
	return nil
}

func (u *unpacker) close(h *tar.Header) error {
	f, err := u.root.OpenFile(h.Name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	if u.Owners {
		err = mapped(f.Chown(h.Uid, h.Gid))
	}
	if err == nil {
		err = f.Chmod(u.mode(h))
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = u.root.Chtimes(h.Name, time.Time{}, h.ModTime)
	}
	return err
}

// mapped is no error where a user does not exist in this namespace of users: a machine
// of an ordinary user has root alone.
func mapped(err error) error {
	if errors.Is(err, unix.EINVAL) {
		return nil
	}
	return err
}

package layer

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"souk/artifact/archive"
	"souk/artifact/images"
)

// unpacker writes the entries of one layer below a directory that is empty.
type unpacker struct {
	shift    int // added to owners
	rootless bool
	limits   archive.Limits

	root   int    // descriptor of the directory
	parent string // the directory whose descriptor is in; "." is root
	in     int

	dirs    map[string]*meta // all directories, by their clean names
	gone    []string         // names that the layer takes away
	opaque  []string         // directories that hide all below
	written int64            // bytes of files, holes too
	bytes   int64            // that the tree takes on a disk, about
	entries int
	covers  bool // it hides all layers below
	buffer  []byte
}

// meta is what an entry says of a directory, beside its name.
type meta struct {
	implied  bool // no entry says anything of it
	mode     uint32
	uid, gid int
	time     time.Time
	xattrs   map[string][]byte
}

const (
	chunk     = 256 << 10
	diskBlock = 4096
)

var zeros [diskBlock]byte

// unpacked is what came of a layer.
type unpacked struct {
	bytes   int64
	entries int
	covers  bool // it hides all layers below
	implied []string
}

// unpack writes a layer to a directory that is empty, and makes sure that it is
// what its digests say. Errors: ErrBadLayer; what is in the directory then must go.
func (c *Cache) unpack(ctx context.Context, l images.Layer, dir string) (unpacked, error) {
	root, err := unix.Open(dir, unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_RDONLY, 0)
	if err != nil {
		return unpacked{}, &os.PathError{Op: "open", Path: dir, Err: err}
	}
	u := &unpacker{
		shift: c.config.Shift, rootless: c.config.Rootless, limits: c.config.Limits, root: root, parent: ".", in: root,
		dirs: map[string]*meta{".": {mode: 0o755, time: time.Unix(0, 0)}}, buffer: make([]byte, chunk),
	}
	defer u.close()
	err = read(ctx, l, c.config.Limits, u.entry)
	if err == nil {
		err = u.finish()
	}
	if err != nil {
		return unpacked{}, err
	}
	is := unpacked{bytes: u.bytes + diskBlock, entries: u.entries, covers: u.covers}
	for name, m := range u.dirs {
		if m.implied && len(is.implied) < maxImplied {
			is.implied = append(is.implied, name)
		}
	}
	slices.Sort(is.implied)
	return is, nil
}

// read reads a layer to its end, tells of each entry, and makes sure that both
// its digests are what the bytes have.
func read(ctx context.Context, l images.Layer, limits archive.Limits, entry func(*tar.Header, io.Reader) error) error {
	blob, err := l.Open(ctx)
	if err != nil {
		return err
	}
	defer blob.Close()
	stored, plain := sha256.New(), sha256.New()
	a, err := archive.New(io.TeeReader(&upTo{ctx, blob}, stored), limits)
	if err != nil {
		return refused(err)
	}
	defer a.Close()
	a.Tee(plain)
	for {
		h, err := a.Next()
		if err == io.EOF {
			break
		}
		if err == nil {
			err = entry(h, a)
		}
		if err != nil {
			return refused(err)
		}
	}
	for _, d := range []struct{ what, says, is string }{
		{"its bytes are", l.Digest, "sha256:" + hex.EncodeToString(stored.Sum(nil))},
		{"after decompression it is", l.DiffID, "sha256:" + hex.EncodeToString(plain.Sum(nil))},
	} {
		if d.says != d.is {
			return fmt.Errorf("%w: %s %s, the image says %s", ErrBadLayer, d.what, d.is, d.says)
		}
	}
	return nil
}

// upTo reads until a context ends.
type upTo struct {
	ctx context.Context
	r   io.Reader
}

func (u *upTo) Read(p []byte) (int, error) {
	if u.ctx.Err() != nil {
		return 0, context.Cause(u.ctx)
	}
	return u.r.Read(p)
}

// refused is ErrBadLayer for what archive refuses; other errors stay.
func refused(err error) error {
	var r *archive.Refusal
	if errors.As(err, &r) && !errors.Is(err, ErrBadLayer) {
		return fmt.Errorf("%w: %w", ErrBadLayer, err)
	}
	return err
}

// entry writes one entry.
func (u *unpacker) entry(h *tar.Header, data io.Reader) error {
	u.entries++
	err := u.write(h, data)
	var read *readError
	switch {
	case err == nil, errors.Is(err, ErrBadLayer):
	case errors.As(err, &read): // it names the entry
		err = read.error
	case theirs(err):
		err = fmt.Errorf("%w: entry %q: %w", ErrBadLayer, h.Name, err)
	default:
		err = fmt.Errorf("entry %q: %w", h.Name, err)
	}
	return err
}

// readError is an error of reading the layer, not of writing the tree.
type readError struct{ error }

func (u *unpacker) write(h *tar.Header, data io.Reader) error {
	bad := func(text string, args ...any) error {
		return fmt.Errorf("%w: entry %q: %s", ErrBadLayer, h.Name, fmt.Sprintf(text, args...))
	}
	dir, base := path.Split(h.Name)
	dir = path.Clean(dir)
	if dir != "." && strings.Contains("/"+dir, "/.wh.") {
		return bad("it lies below a whiteout")
	}
	if gone, is := strings.CutPrefix(base, ".wh."); is {
		switch {
		case gone == ".wh..opq":
			u.opaque = append(u.opaque, dir)
		case strings.HasPrefix(gone, ".wh."): // what AUFS kept for itself
			return nil
		default:
			u.gone = append(u.gone, path.Join(dir, gone))
		}
		return u.enter(dir)
	}
	m, err := u.meta(h)
	if err != nil {
		return bad("%v", err)
	}
	if h.Name == "." {
		u.dirs["."] = m
		return nil
	}
	err = u.enter(dir)
	if err != nil {
		return err
	}
	u.bytes += diskBlock / 16 // an inode
	switch h.Typeflag {
	case tar.TypeDir:
		if u.dirs[h.Name] == nil {
			err = u.mkdir(base)
		}
		u.dirs[h.Name] = m
		return err
	case tar.TypeSymlink:
		return u.symlink(base, h.Linkname, m)
	case tar.TypeLink:
		return u.link(h.Linkname, base)
	case tar.TypeReg, tar.TypeGNUSparse:
		if h.Size > u.limits.Bytes-u.written {
			return bad("%s: the files have more than %d bytes", archive.TooLarge, u.limits.Bytes)
		}
		u.written += h.Size
		return u.file(base, h.Size, data, m)
	}
	return bad("%s", archive.UnknownType)
}

// meta reads what an entry says of its file, as it is to be on the disk.
func (u *unpacker) meta(h *tar.Header) (*meta, error) {
	m := &meta{mode: uint32(h.Mode) & 0o7777, uid: h.Uid + u.shift, gid: h.Gid + u.shift, time: h.ModTime}
	most := 1<<32 - 2
	if u.shift != 0 {
		most = IDs - 1
	}
	switch {
	case u.rootless: // the file belongs to whoever runs this
	case h.Uid < 0 || h.Uid > most:
		return nil, fmt.Errorf("user %d is none of 0 to %d", h.Uid, most)
	case h.Gid < 0 || h.Gid > most:
		return nil, fmt.Errorf("group %d is none of 0 to %d", h.Gid, most)
	}
	for key, value := range h.PAXRecords {
		name, is := strings.CutPrefix(key, paxXattr)
		if !is || !ours(name) || u.rootless && name == capability {
			continue
		}
		b := []byte(value)
		if name == capability {
			var err error
			b, err = shiftCapability(b, int64(u.shift))
			if err != nil {
				return nil, err
			}
		}
		if m.xattrs == nil {
			m.xattrs = map[string][]byte{}
		}
		m.xattrs[name] = b
	}
	return m, nil
}

// enter makes a directory the one that names stand for. Those of its path that
// are missing are made.
func (u *unpacker) enter(dir string) error {
	if dir == u.parent {
		return nil
	}
	in := u.root
	if dir != "." {
		at := 0
		for at < len(dir) {
			end := strings.IndexByte(dir[at:], '/')
			if end < 0 {
				end = len(dir)
			} else {
				end += at
			}
			next, err := u.step(in, dir[:end], dir[at:end])
			if in != u.root {
				unix.Close(in)
			}
			if err != nil {
				u.leave()
				return err
			}
			in, at = next, end+1
		}
	}
	u.leave()
	u.parent, u.in = dir, in
	return nil
}

// leave goes back to the root.
func (u *unpacker) leave() {
	if u.in != u.root {
		unix.Close(u.in)
	}
	u.parent, u.in = ".", u.root
}

func (u *unpacker) close() {
	u.leave()
	unix.Close(u.root)
}

// step opens the directory base of another, and makes it where it is missing.
func (u *unpacker) step(in int, name, base string) (int, error) {
	if u.dirs[name] == nil {
		err := unix.Mkdirat(in, base, 0o700)
		if err != nil {
			return -1, &os.PathError{Op: "mkdir", Path: name, Err: err}
		}
		u.bytes += diskBlock
		u.dirs[name] = &meta{implied: true, mode: 0o755, uid: u.shift, gid: u.shift, time: time.Unix(0, 0)}
	}
	fd, err := unix.Openat(in, base, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return fd, nil
}

func (u *unpacker) mkdir(base string) error {
	err := unix.Mkdirat(u.in, base, 0o700)
	if err != nil {
		return fmt.Errorf("making the directory: %w", err)
	}
	u.bytes += diskBlock
	return nil
}

func (u *unpacker) symlink(base, target string, m *meta) error {
	err := unix.Symlinkat(target, u.in, base)
	if err != nil {
		return fmt.Errorf("making the symbolic link: %w", err)
	}
	if !u.rootless {
		err = unix.Fchownat(u.in, base, m.uid, m.gid, unix.AT_SYMLINK_NOFOLLOW)
		if err != nil {
			return fmt.Errorf("giving the symbolic link to user %d: %w", m.uid, err)
		}
	}
	return u.touch(base, m)
}

func (u *unpacker) link(target, base string) error {
	dir, name := path.Split(target)
	here := u.parent
	if u.dirs[path.Clean(dir)] == nil {
		return fmt.Errorf("linking to %q of the same layer: %w", target, unix.ENOENT)
	}
	err := u.enter(path.Clean(dir))
	if err != nil {
		return err
	}
	from, err := unix.Openat(u.in, ".", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening the directory of the file that is linked: %w", err)
	}
	defer unix.Close(from)
	err = u.enter(here)
	if err != nil {
		return err
	}
	err = unix.Linkat(from, name, u.in, base, 0)
	if err == unix.EPERM && u.dirs[target] != nil {
		err = unix.EISDIR
	}
	if err != nil {
		return fmt.Errorf("linking to %q of the same layer: %w", target, err)
	}
	return nil
}

// file writes a regular file. Blocks of zeros become holes.
func (u *unpacker) file(base string, size int64, data io.Reader, m *meta) error {
	fd, err := unix.Openat(u.in, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return fmt.Errorf("making the file: %w", err)
	}
	defer unix.Close(fd)
	err = u.fill(fd, size, data)
	if err != nil {
		return err
	}
	err = u.set(fd, m)
	if err != nil {
		return err
	}
	err = unix.Fchmod(fd, m.mode)
	if err != nil {
		return fmt.Errorf("giving the file mode %o: %w", m.mode, err)
	}
	return u.touch(base, m)
}

// fill writes the data of a file.
func (u *unpacker) fill(fd int, size int64, data io.Reader) error {
	at, end := int64(0), int64(0) // end is how long the file has become
	for at < size {
		n, err := io.ReadFull(data, u.buffer[:min(size-at, chunk)])
		if err != nil {
			return &readError{err}
		}
		// In pieces, so that a file of zeros takes no space. Those that hold
		// something are written together.
		b := u.buffer[:n]
		for len(b) > 0 {
			full := 0
			for full < len(b) && !hole(b[full:]) {
				full = min(full+diskBlock, len(b))
			}
			err = pwrite(fd, b[:full], at)
			if err != nil {
				return err
			}
			if full > 0 {
				end = at + int64(full)
				u.bytes += int64(full+diskBlock-1) &^ (diskBlock - 1)
			}
			at, b = at+int64(full), b[full:]
			for len(b) > 0 && hole(b) {
				step := min(diskBlock, len(b))
				at, b = at+int64(step), b[step:]
			}
		}
	}
	if end < size {
		err := unix.Ftruncate(fd, size)
		if err != nil {
			return fmt.Errorf("making the file %d bytes long: %w", size, err)
		}
	}
	return nil
}

// hole says whether the first block of b has nothing but zeros.
func hole(b []byte) bool {
	n := min(diskBlock, len(b))
	return b[0] == 0 && bytes.Equal(b[:n], zeros[:n])
}

func pwrite(fd int, b []byte, at int64) error {
	for len(b) > 0 {
		n, err := unix.Pwrite(fd, b, at)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("writing the file: %w", err)
		}
		b, at = b[n:], at+int64(n)
	}
	return nil
}

// set gives a file or directory its owner and its attributes. The owner comes
// first: a change of it takes capabilities away.
func (u *unpacker) set(fd int, m *meta) error {
	if !u.rootless {
		err := unix.Fchown(fd, m.uid, m.gid)
		if err != nil {
			return fmt.Errorf("giving it to user %d and group %d: %w", m.uid, m.gid, err)
		}
	}
	for name, value := range m.xattrs {
		err := unix.Fsetxattr(fd, name, value, 0)
		if err != nil {
			return fmt.Errorf("setting attribute %s: %w", name, err)
		}
	}
	return nil
}

// touch sets the time of a file in the directory that was entered.
func (u *unpacker) touch(base string, m *meta) error {
	err := touch(u.in, base, m.time)
	if err != nil {
		return fmt.Errorf("setting its time: %w", err)
	}
	return nil
}

func touch(dir int, base string, t time.Time) error {
	spec, err := unix.TimeToTimespec(t)
	if err != nil {
		return err
	}
	return unix.UtimesNanoAt(dir, base, []unix.Timespec{spec, spec}, unix.AT_SYMLINK_NOFOLLOW)
}

package layer

import (
	"archive/tar"
	"bufio"
	"cmp"
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
)

// Options says how Diff reads a tree. All of it may be zero.
type Options struct {
	// Shift is what was added to the owners' ids: see Config. A file of any
	// other user than those from Shift on is ErrBadTree: no program of the
	// machine can have made it.
	Shift int
	// Rootless: all files belong to root of the machine; their owners on the
	// disk are the user of the process.
	Rootless bool
	// Skip are paths that are no part of the layer, with all below them: what
	// was made for the machine to mount on. Clean and relative, such as dev or
	// run/product.
	Skip []string
	// Limits are those with which the layer will be read: more is ErrBadTree.
	Limits archive.Limits
}

// Stats says what Diff has written.
type Stats struct {
	DiffID  string // sha256:...
	Size    int64  // bytes of the archive
	Entries int    // 0: nothing was changed
	Skipped int    // sockets and named pipes, which no layer has; whiteouts stand for them
}

// Diff writes the upper directory of an overlay as the tar archive of an OCI
// layer, not compressed. The overlay must have been mounted with redirect_dir
// and metacopy off, and nothing may write to it any more. The same tree gives
// the same bytes.
//
// Left out are sockets and named pipes, Options.Skip, the root directory itself,
// access and change times, parts of a second, the names of users, and all
// extended attributes but those of users and capabilities. A symbolic link at
// whose beginning there is more ".." than the tree is deep loses what is too
// much: it leads to the same place. Whatever else no layer can express is
// ErrBadTree: names that begin with .wh., device nodes, names that are longer
// than a layer may have. Errors of w are as they come.
func Diff(ctx context.Context, w io.Writer, dir string, o Options) (Stats, error) {
	root, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return Stats{}, fmt.Errorf("reading what was written above the layers: %w", &os.PathError{Op: "open", Path: dir, Err: err})
	}
	defer unix.Close(root)
	o.Limits.Entries = cmp.Or(o.Limits.Entries, archive.DefaultEntries)
	o.Limits.Bytes = cmp.Or(o.Limits.Bytes, archive.DefaultBytes)
	o.Limits.File = cmp.Or(o.Limits.File, archive.DefaultFile)
	o.Limits.Name = cmp.Or(o.Limits.Name, archive.DefaultName)
	sum := sha256.New()
	out := &counter{w: io.MultiWriter(w, sum)}
	buffered := bufio.NewWriterSize(out, chunk)
	d := &differ{ctx: ctx, options: o, root: root, tar: tar.NewWriter(buffered), first: map[inode]string{}, buffer: make([]byte, chunk)}
	err = d.dir(".")
	if err == nil {
		err = d.tar.Close()
	}
	if err == nil {
		err = buffered.Flush()
	}
	if err != nil {
		return Stats{}, fmt.Errorf("reading what was written above the layers: %w", err)
	}
	d.stats.DiffID, d.stats.Size = "sha256:"+hex.EncodeToString(sum.Sum(nil)), out.n
	return d.stats, nil
}

// counter counts what is written.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// differ writes one layer.
type differ struct {
	ctx     context.Context
	options Options
	root    int
	tar     *tar.Writer
	first   map[inode]string // the first name of a file that has several
	buffer  []byte
	data    int64 // bytes of files that were written
	stats   Stats
}

type inode struct{ dev, ino uint64 }

// fail says what is wrong with a file.
func fail(name string, text string, args ...any) error {
	return fmt.Errorf("%w: %q: %s", ErrBadTree, name, fmt.Sprintf(text, args...))
}

// dir writes what is in a directory: first its files, then all below its
// directories, each in the order of the names. No descriptor is held meanwhile:
// a program may have made them very deep.
func (d *differ) dir(name string) error {
	below, err := d.files(name)
	if err != nil {
		return err
	}
	for _, base := range below {
		err = d.dir(path.Join(name, base))
		if err != nil {
			return err
		}
	}
	return nil
}

// files writes the entries of all that is in a directory, and returns the names
// of the directories among them.
func (d *differ) files(name string) (below []string, err error) {
	fd, err := d.open(name)
	if err != nil {
		return nil, fmt.Errorf("opening %q: %w", name, err)
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	bases, err := f.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("listing %q: %w", name, err)
	}
	mode, err := d.enterable(fd)
	if err != nil {
		return nil, fmt.Errorf("opening %q: %w", name, err)
	}
	defer mode()
	slices.Sort(bases)
	for _, base := range bases {
		if d.ctx.Err() != nil {
			return nil, context.Cause(d.ctx)
		}
		at := path.Join(name, base)
		if slices.Contains(d.options.Skip, at) {
			continue
		}
		isDir, err := d.file(fd, base, at)
		if err != nil {
			return nil, err
		}
		if isDir {
			below = append(below, base)
		}
	}
	return below, nil
}

// open opens a directory by its name from the root on.
func (d *differ) open(name string) (int, error) {
	in := d.root
	for base := range strings.SplitSeq(name, "/") {
		next, err := unix.Openat(in, base, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err == unix.EACCES && d.options.Rootless {
			var mode func()
			mode, err = openUp(in)
			if err == nil {
				next, err = unix.Openat(in, base, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
				mode()
			}
		}
		if in != d.root {
			unix.Close(in)
		}
		if err != nil {
			return -1, err
		}
		in = next
	}
	defer unix.Close(in)
	return d.readable(in, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC)
}

// enterable lets the owner of a directory look for its files, until mode is called.
func (d *differ) enterable(dir int) (mode func(), err error) {
	var st unix.Stat_t
	err = unix.Fstat(dir, &st)
	if err != nil || !d.options.Rootless || st.Mode&0o500 == 0o500 {
		return func() {}, err
	}
	return openUp(dir)
}

// readable opens what an O_PATH descriptor stands for, also if its mode forbids
// that to its owner.
func (d *differ) readable(at, how int) (int, error) {
	self := fmt.Sprintf("/proc/self/fd/%d", at)
	fd, err := unix.Open(self, how, 0)
	if err == unix.EACCES && d.options.Rootless {
		var mode func()
		mode, err = openUp(at)
		if err != nil {
			return -1, err
		}
		defer mode()
		fd, err = unix.Open(self, how, 0)
	}
	return fd, err
}

// openUp gives the owner of a file all rights to it, until mode is called.
func openUp(at int) (mode func(), err error) {
	var st unix.Stat_t
	err = unix.Fstat(at, &st)
	if err != nil {
		return nil, err
	}
	self := fmt.Sprintf("/proc/self/fd/%d", at)
	err = unix.Chmod(self, st.Mode&0o7777|0o700)
	if err != nil {
		return nil, err
	}
	return func() { unix.Chmod(self, st.Mode&0o7777) }, nil
}

// file writes the entry of the file base of a directory, and says whether it is
// a directory.
func (d *differ) file(dir int, base, name string) (isDir bool, err error) {
	var st unix.Stat_t
	err = unix.Fstatat(dir, base, &st, unix.AT_SYMLINK_NOFOLLOW)
	if err != nil {
		return false, fmt.Errorf("reading %q: %w", name, err)
	}
	kind := st.Mode & unix.S_IFMT
	switch {
	case kind == unix.S_IFSOCK, kind == unix.S_IFIFO:
		// No layer has it; but what the image has in its place is gone.
		d.stats.Skipped++
		return false, d.gone(name, st)
	case kind == unix.S_IFCHR && st.Rdev == 0:
		return false, d.gone(name, st)
	case kind == unix.S_IFCHR, kind == unix.S_IFBLK:
		return false, fail(name, "device node")
	case strings.HasPrefix(base, ".wh."):
		return false, fail(name, "names that begin with .wh. mean what was deleted")
	}
	h := &tar.Header{
		Name: name, Mode: int64(st.Mode & 0o7777), Uid: int(st.Uid) - d.options.Shift, Gid: int(st.Gid) - d.options.Shift,
		ModTime: time.Unix(st.Mtim.Sec, 0), Format: tar.FormatPAX,
	}
	switch {
	case d.options.Rootless:
		h.Uid, h.Gid = 0, 0
	case h.Uid < 0, h.Gid < 0, d.options.Shift != 0 && (h.Uid >= IDs || h.Gid >= IDs):
		return false, fail(name, "it belongs to user %d and group %d of the host, which the machine has not got", st.Uid, st.Gid)
	}
	if kind != unix.S_IFDIR && st.Nlink > 1 {
		of := inode{uint64(st.Dev), st.Ino}
		first := d.first[of]
		if first != "" {
			h.Typeflag, h.Linkname = tar.TypeLink, first
			return false, d.header(h)
		}
		d.first[of] = name
	}
	note, err := d.xattrs(handle(dir, base), h)
	if err != nil {
		if errors.Is(err, ErrBadTree) {
			return false, err
		}
		return false, fmt.Errorf("reading %q: %w", name, err)
	}
	switch kind {
	case unix.S_IFDIR:
		h.Typeflag, h.Name = tar.TypeDir, name+"/"
		err = d.header(h)
		if err == nil && note == "opaque" {
			err = d.header(&tar.Header{Typeflag: tar.TypeReg, Name: name + "/.wh..wh..opq", Mode: 0o600, ModTime: h.ModTime, Format: tar.FormatPAX})
		}
		return true, err
	case unix.S_IFLNK:
		h.Typeflag, h.Mode = tar.TypeSymlink, 0o777
		h.Linkname, err = target(dir, base, name)
		if err != nil {
			return false, err
		}
		return false, d.header(h)
	case unix.S_IFREG:
		if note == "whiteout" && st.Size == 0 {
			return false, d.gone(name, st)
		}
		h.Typeflag, h.Size = tar.TypeReg, st.Size
		return false, d.regular(dir, base, h)
	}
	return false, fail(name, "a file of an unknown kind")
}

// gone writes that a file of a layer below was deleted.
func (d *differ) gone(name string, st unix.Stat_t) error {
	dir, base := path.Split(name)
	if strings.HasPrefix(base, ".wh.") {
		return fail(name, "names that begin with .wh. mean what was deleted")
	}
	return d.header(&tar.Header{Typeflag: tar.TypeReg, Name: dir + ".wh." + base, Mode: 0o600, ModTime: time.Unix(st.Mtim.Sec, 0), Format: tar.FormatPAX})
}

// header writes the header of an entry.
func (d *differ) header(h *tar.Header) error {
	d.stats.Entries++
	name := strings.TrimSuffix(h.Name, "/")
	switch {
	case d.stats.Entries > d.options.Limits.Entries:
		return fail(name, "%s, at most %d", archive.TooManyFiles, d.options.Limits.Entries)
	case len(h.Name) > d.options.Limits.Name, len(path.Base(name)) > 255, len(h.Linkname) > d.options.Limits.Name:
		return fail(name, "%s for a layer", archive.LongName)
	}
	err := d.tar.WriteHeader(h)
	if errors.Is(err, tar.ErrHeader) {
		return fail(name, "%v", err)
	}
	if err != nil {
		return fmt.Errorf("writing the entry %q: %w", name, err)
	}
	return nil
}

// regular writes a regular file.
func (d *differ) regular(dir int, base string, h *tar.Header) error {
	d.data += h.Size
	if h.Size > d.options.Limits.File || d.data > d.options.Limits.Bytes {
		return fail(h.Name, "%s: %d bytes, and %d in all", archive.TooLarge, h.Size, d.data)
	}
	err := d.header(h)
	if err != nil || h.Size == 0 {
		return err
	}
	at, err := unix.Openat(dir, base, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening %q: %w", h.Name, err)
	}
	defer unix.Close(at)
	fd, err := d.readable(at, unix.O_RDONLY|unix.O_CLOEXEC)
	if err != nil {
		return fmt.Errorf("opening %q: %w", h.Name, err)
	}
	f := os.NewFile(uintptr(fd), h.Name)
	defer f.Close()
	// Not by ReadFrom: tar's and bufio's own copies are smaller.
	n, err := io.CopyBuffer(onlyWriter{d.tar}, &upTo{d.ctx, io.LimitReader(f, h.Size)}, d.buffer)
	if err == nil && n < h.Size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("copying %q: %w", h.Name, err)
	}
	return nil
}

// onlyWriter hides all other methods from io.Copy.
type onlyWriter struct{ io.Writer }

// xattrs puts the extended attributes of a file into its header, and says what
// overlayfs notes about the file: opaque, whiteout or nothing.
func (d *differ) xattrs(file string, h *tar.Header) (note string, err error) {
	all, err := listXattr(file)
	if err != nil {
		return "", err
	}
	// What overlayfs keeps of its own. Under the other name it is what a program of
	// the machine wrote, who may want to have a directory taken for a new one.
	prefix := "trusted.overlay."
	if d.options.Rootless {
		prefix = "user.overlay."
	}
	for _, name := range all {
		of, isOverlay := strings.CutPrefix(name, prefix)
		if !isOverlay && !ours(name) {
			continue
		}
		value, ok, err := getXattr(file, name)
		if err != nil {
			return "", err
		}
		switch {
		case !ok:
		case isOverlay && of == "opaque" && string(value) == "y", isOverlay && of == "whiteout":
			note = of
		case isOverlay && (of == "redirect" || of == "metacopy"):
			return "", fail(h.Name, "the overlay was mounted with %s, which no layer can express", of)
		case isOverlay: // origin, impure, nlink, uuid: what overlayfs keeps for itself
		case strings.Contains(name, "="):
			return "", fail(h.Name, "attribute %q can't be written to an archive", name)
		default:
			if name == capability {
				value, err = shiftCapability(value, -int64(d.machineRoot()))
				if err != nil {
					return "", fail(h.Name, "%v", err)
				}
			}
			if h.PAXRecords == nil {
				h.PAXRecords = map[string]string{}
			}
			h.PAXRecords[paxXattr+name] = string(value)
		}
	}
	return note, nil
}

// machineRoot is the host's id of the machine's root, for whom capabilities hold.
func (d *differ) machineRoot() int {
	if d.options.Rootless {
		return os.Geteuid()
	}
	return d.options.Shift
}

// target reads a symbolic link.
func target(dir int, base, name string) (string, error) {
	b := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(dir, base, b)
	if err != nil {
		return "", fmt.Errorf("reading the symbolic link %q: %w", name, err)
	}
	to := string(b[:n])
	if !archive.Leaves(name, to) {
		return to, nil
	}
	// Above the root of a file system is the root again, so what is too much at
	// the beginning says nothing; the directory that a link lies in is no link.
	depth, up, rest := strings.Count(name, "/"), 0, to
	for rest != "" {
		first, more, _ := strings.Cut(rest, "/")
		if first == ".." {
			up++
		} else if first != "." && first != "" {
			break
		}
		rest = more
	}
	cleaned := cmp.Or(strings.Repeat("../", min(up, depth))+rest, ".")
	if rest == "" {
		cleaned = strings.TrimSuffix(cleaned, "/")
	}
	if archive.Leaves(name, cleaned) {
		return "", fail(name, "symbolic link to %q, which leaves the tree", to)
	}
	return cleaned, nil
}

package scan

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"path"
	"slices"
	"sort"
	"strings"

	"souk/artifact/archive"
	"souk/artifact/scan/advisory"
	"souk/artifact/scan/inventory"
)

// How much of a file is held in memory while it is looked at. Of larger ones
// only what streams past is looked at: hashes and byte patterns.
const (
	smallFile    = 1 << 20   // bytes of files that are searched for secrets
	maxDatabase  = 64 << 20  // of a package database
	maxProgram   = 128 << 20 // of a program whose build information is read
	chunk        = 256 << 10
	maxFindings  = 2000   // of one layer
	maxWhiteouts = 50_000 // of one layer
	maxInventory = 5000   // files with packages of one layer
)

// contents is what a scan knows of a layer: all that is needed of it, whatever
// lies above and below. It is kept by the layer's digest.
//
// It is kept in gob form: names of strangers' files are bytes, no UTF-8.
type contents struct {
	// Files are those of which something is known.
	Files map[string]*facts
	// Removed and Emptied are the whiteouts: names that the layers below lose,
	// and folders that lose all that the layers below have in them.
	Removed []string
	Emptied []string
	// Names has 8 bytes of the hash of each name that is no folder, in order:
	// such a file hides those of its name below.
	Names []byte
	// Broken says why the rest of the layer was not read; "" if all of it was.
	Broken string
}

// facts are what is known of a file.
type facts struct {
	Findings []Finding
	Manager  inventory.Manager
	Packages []inventory.Package
	Release  *inventory.Release
	Sshd     []setting
	Unread   string // the manager whose database it is, if no scan reads that
	IsSshd   bool   // also where no setting is of interest
}

// reader reads one layer.
type reader struct {
	signatures *signatures
	out        *contents
	names      []uint64
	found      int
	stocked    int   // files with packages and settings
	total      int64 // bytes of files, with the holes of sparse ones
	most       int64 // of total
	sum        hash.Hash
	small      []byte // smallFile bytes
	large      []byte // grows to the largest file that is held; used again for the next
}

// readLayer reads a layer from its first byte to its last. An archive that no
// honest image has is no error: what was read until then counts, and Broken
// says why it ended. Errors are those of the stream itself.
func readLayer(ctx context.Context, open func(context.Context) (io.ReadCloser, error), limits archive.Limits, sigs *signatures) (*contents, error) {
	stream, err := open(ctx)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	small := buffers.Get().(*[]byte)
	defer buffers.Put(small)
	r := reader{signatures: sigs, out: &contents{Files: map[string]*facts{}}, sum: sha256.New(), small: *small, most: limits.Bytes}
	if r.most == 0 {
		r.most = archive.DefaultBytes
	}
	err = r.read(ctx, stream, limits)
	var refusal *archive.Refusal
	switch {
	case errors.As(err, &refusal):
		r.out.Broken = plain([]byte(refusal.Error()))
	case err != nil:
		return nil, err
	}
	slices.Sort(r.names)
	r.names = slices.Compact(r.names)
	r.out.Names = make([]byte, 0, 8*len(r.names))
	for _, n := range r.names {
		r.out.Names = binary.BigEndian.AppendUint64(r.out.Names, n)
	}
	return r.out, nil
}

func (r *reader) read(ctx context.Context, stream io.Reader, limits archive.Limits) error {
	a, err := archive.New(stream, limits)
	if err != nil {
		return err
	}
	defer a.Close()
	for {
		h, err := a.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("reading a layer: %w", err)
		}
		if r.whiteout(h.Name) || h.Typeflag == tar.TypeDir {
			continue
		}
		r.names = append(r.names, nameHash(h.Name))
		if h.Typeflag == tar.TypeReg || h.Typeflag == tar.TypeGNUSparse {
			if err := r.file(h.Name, h.Size, a); err != nil {
				return err
			}
		}
		if h.Typeflag == tar.TypeLink && r.out.Files[h.Linkname] != nil && inventory.DatabaseOf(h.Name) == inventory.DatabaseOf(h.Linkname) {
			r.out.Files[h.Name] = r.out.Files[h.Linkname] // another name of the same file
		}
	}
}

// whiteout notes a mark that hides what lies below.
//
// OCI image specification, "Image Layer Filesystem Changeset", "Whiteouts".
func (r *reader) whiteout(name string) bool {
	dir, base := path.Split(name)
	base, ok := strings.CutPrefix(base, ".wh.")
	switch {
	case !ok:
		return false
	case base == ".wh..opq":
		if len(r.out.Emptied) < maxWhiteouts {
			r.out.Emptied = append(r.out.Emptied, path.Clean(dir))
		}
	case !strings.HasPrefix(base, ".wh.") && len(r.out.Removed) < maxWhiteouts: // others are aufs's own
		r.out.Removed = append(r.out.Removed, dir+base)
	}
	return true
}

// nameHash is stable, and nobody finds another name for one.
func nameHash(name string) uint64 {
	sum := sha256.Sum256([]byte(name))
	return binary.BigEndian.Uint64(sum[:8])
}

// has says whether the layer has a file of that name that is no folder.
func (c *contents) has(want uint64) bool {
	n := len(c.Names) / 8
	i := sort.Search(n, func(i int) bool { return binary.BigEndian.Uint64(c.Names[8*i:]) >= want })
	return i < n && binary.BigEndian.Uint64(c.Names[8*i:]) == want
}

// cover says what a layer hides of those below.
type cover struct {
	*contents
	removed, emptied map[string]bool
}

func newCover(c *contents) cover {
	v := cover{contents: c, removed: map[string]bool{}, emptied: map[string]bool{}}
	for _, name := range c.Removed {
		v.removed[name] = true
	}
	for _, name := range c.Emptied {
		v.emptied[name] = true
	}
	return v
}

// step is a name and its hash.
type step struct {
	name string
	hash uint64
}

// maxDepth is how deep a file lies at most to be hidden by a layer above: no
// system has deeper ones, and looking has a price.
const maxDepth = 64

// way returns the name of a file and of the folders that it lies in, the file first.
func way(name string) []step {
	if strings.Count(name, "/") >= maxDepth {
		return nil
	}
	var all []step
	for ; name != "."; name = path.Dir(name) {
		all = append(all, step{name, nameHash(name)})
	}
	return all
}

// hides says whether a file of a layer below is not seen through this one.
func (v cover) hides(way []step) bool {
	for i, s := range way {
		if v.has(s.hash) || v.removed[s.name] || i > 0 && v.emptied[s.name] {
			return true
		}
	}
	return len(way) > 0 && v.emptied["."]
}

// add notes findings of a file.
func (r *reader) add(name string, found ...Finding) {
	found = found[:min(len(found), maxFindings-r.found)]
	if len(found) == 0 {
		return
	}
	r.found += len(found)
	f := r.facts(name)
	f.Findings = append(f.Findings, found...)
}

func (r *reader) facts(name string) *facts {
	f := r.out.Files[name]
	if f == nil {
		f = &facts{}
		r.out.Files[name] = f
	}
	return f
}

// file looks at the content of a file.
func (r *reader) file(name string, size int64, content io.Reader) error {
	r.total += size
	if r.total > r.most {
		return &archive.Refusal{Entry: name, Reason: archive.TooLarge}
	}
	if unread := inventory.Unread(name); unread != "" {
		r.facts(name).Unread = unread
	}
	if size == 0 {
		r.look(name, inventory.DatabaseOf(name), nil)
		return nil
	}
	head := r.small[:min(size, smallFile)]
	if err := fill(content, head); err != nil {
		return err
	}
	r.sum.Reset()
	manager := inventory.DatabaseOf(name)
	whole := head
	switch {
	case size <= smallFile:
	case manager != "" && size <= maxDatabase, inventory.ELF(head) && size <= maxProgram:
		if int64(cap(r.large)) < size {
			r.large = make([]byte, size+size/4)
		}
		whole = r.large[:size]
		copy(whole, head)
		if err := fill(content, whole[len(head):]); err != nil {
			return err
		}
	default:
		switch {
		case manager != "":
			r.add(name, Finding{Check: PackageVulnerabilities, Code: "DATABASE_TOO_LARGE", Severity: advisory.High, Path: name,
				Message: fmt.Sprintf("The package database /%s has %d bytes, more than %d: its packages were not looked at.", name, size, maxDatabase)})
		case inventory.ELF(head):
			r.add(name, Finding{Check: PackageVulnerabilities, Code: "PROGRAM_TOO_LARGE", Severity: advisory.Low, Path: name,
				Message: fmt.Sprintf("The program /%s has %d bytes, more than %d: what it was built from was not looked at.", name, size, maxProgram)})
		}
		return r.stream(name, head, content)
	}
	if len(r.signatures.sums) > 0 {
		r.sum.Write(whole)
		r.compare(name)
	}
	if bad := r.signatures.search(whole); bad != "" {
		r.add(name, infected(name, bad))
	}
	r.look(name, manager, whole)
	return nil
}

// fill reads exactly as much as a tar header promised.
func fill(r io.Reader, b []byte) error {
	_, err := io.ReadFull(r, b)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return &archive.Refusal{Reason: archive.Truncated}
	}
	return err
}

// look reads what a file that is held whole means.
func (r *reader) look(name string, manager inventory.Manager, whole []byte) {
	if inventory.ELF(whole) {
		if r.stocked == maxInventory {
			return
		}
		if packages := inventory.Program(whole); len(packages) > 0 {
			r.stocked++
			f := r.facts(name)
			f.Manager, f.Packages = inventory.Go, packages
		}
		return
	}
	if (manager != "" || inventory.IsRelease(name) || sshdFile(name)) && r.stocked < maxInventory {
		r.stocked++
		f := r.facts(name)
		switch {
		case manager != "":
			f.Manager, f.Packages = manager, inventory.Read(manager, whole)
		case inventory.IsRelease(name):
			release := inventory.ReadRelease(whole)
			f.Release = &release
		default:
			f.IsSshd, f.Sshd = true, readSshd(whole)
		}
	}
	if manager == "" && len(whole) <= smallFile {
		r.add(name, secrets(name, whole)...)
	}
}

// compare looks the sum up among those of malware.
func (r *reader) compare(name string) {
	var sum [sha256.Size]byte
	r.sum.Sum(sum[:0])
	if bad, ok := r.signatures.sums[sum]; ok {
		r.add(name, infected(name, bad))
	}
}

// stream looks at a file that is too large to be held: each part with the end
// of the one before, so that no pattern is cut in two.
func (r *reader) stream(name string, head []byte, content io.Reader) error {
	summing := len(r.signatures.sums) > 0
	if summing {
		r.sum.Write(head)
	}
	bad := r.signatures.search(head)
	keep := max(r.signatures.longest-1, 0)
	part := make([]byte, keep+chunk)
	held := copy(part, bytes.Clone(head[max(0, len(head)-keep):]))
	for {
		n, err := io.ReadFull(content, part[held:held+chunk])
		if summing {
			r.sum.Write(part[held : held+n])
		}
		if bad == "" && n > 0 {
			bad = r.signatures.search(part[:held+n])
		}
		held = copy(part, part[max(0, held+n-keep):held+n])
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if bad != "" {
		r.add(name, infected(name, bad))
	}
	if summing {
		r.compare(name)
	}
	return nil
}

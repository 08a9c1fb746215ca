package images

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"souk/artifact/archive"
)

// Flatten writes the layers, the lowest first, as the tar archive of the one
// root file system that they are: see ExportRootFS. It reads each layer twice
// and keeps the headers of what is left in memory, never a file's data.
func Flatten(ctx context.Context, w io.Writer, layers []Layer, limits Limits) error {
	limits = limits.orDefaults()
	if len(layers) > limits.Layers {
		return bad("it has %d layers, at most %d", len(layers), limits.Layers)
	}
	t := tree{root: &node{children: map[string]*node{}}}
	err := each(ctx, layers, limits, func(layer, seq int, h *tar.Header, _ io.Reader) error {
		return t.apply(layer, seq, h)
	})
	if err != nil {
		return err
	}
	out := flat{w: tar.NewWriter(w), live: map[place]*inode{}}
	err = out.folders(".", t.root)
	if err != nil {
		return fmt.Errorf("writing a root file system: %w", err)
	}
	err = each(ctx, layers, limits, out.entry)
	if err != nil {
		return err
	}
	err = out.w.Close()
	if err != nil {
		return fmt.Errorf("writing a root file system: %w", err)
	}
	return nil
}

// each reads all entries of layers. seq counts those of a layer.
func each(ctx context.Context, layers []Layer, limits Limits, do func(layer, seq int, h *tar.Header, data io.Reader) error) error {
	left := budget{limits.Archive}
	for n, l := range layers {
		r, err := l.Open(ctx)
		if err != nil {
			return err
		}
		seq := 0
		got, err := left.layer(ctx, r, nil, func(h *tar.Header, data io.Reader) error {
			seq++
			return do(n, seq, h, data)
		})
		r.Close()
		if err != nil {
			return refused(fmt.Sprintf("layer %d (%s): ", n+1, l.Digest), err)
		}
		if got.diffID != l.DiffID {
			return bad("layer %d (%s): after decompression it is %s, the config says %s", n+1, l.Digest, got.diffID, l.DiffID)
		}
	}
	return nil
}

// place is where an entry stands: the number of its layer and its own there.
type place struct{ layer, seq int }

// inode is what may have several names.
type inode struct {
	header *tar.Header
	at     place
	names  []string // that are left after the last layer
}

// node is a name in the tree.
type node struct {
	inode    *inode           // nil for a directory that no layer has an entry of
	children map[string]*node // nil for what is no directory
	layer    int              // the last one that has written it
}

// tree is a root file system that is made of layers. Links are followed inside
// of it, as a kernel does it whose root it is.
type tree struct{ root *node }

// apply does what an entry of a layer says ("Image Layer Filesystem Changeset").
func (t *tree) apply(layer, seq int, h *tar.Header) error {
	dir, base := path.Split(h.Name)
	if h.Name == "." {
		t.root.inode = &inode{header: h, at: place{layer, seq}}
		return nil
	}
	gone, whiteout := strings.CutPrefix(base, ".wh.")
	parent, err := t.folder(dir, layer, !whiteout)
	if err != nil {
		return bad("layer %d: entry %q: %w", layer+1, h.Name, err)
	}
	switch {
	case whiteout && parent == nil:
		return nil // there is nothing to take away
	case gone == ".wh..opq":
		parent.clear(layer)
		return nil
	case whiteout:
		if n := parent.children[gone]; n != nil && !n.clear(layer) {
			delete(parent.children, gone)
		}
		return nil
	}
	is := &inode{header: h, at: place{layer, seq}}
	switch h.Typeflag {
	case tar.TypeDir:
		if n := parent.children[base]; n != nil && n.children != nil {
			n.inode, n.layer = is, layer
			return nil
		}
		parent.children[base] = &node{inode: is, children: map[string]*node{}, layer: layer}
		return nil
	case tar.TypeLink:
		target, err := t.find(h.Linkname)
		if err != nil {
			return bad("layer %d: entry %q: hard link to %q: %w", layer+1, h.Name, h.Linkname, err)
		}
		is = target.inode
	}
	parent.children[base] = &node{inode: is, layer: layer}
	return nil
}

// clear takes away what lower layers have written in a node, and says whether
// anything is left of it.
func (n *node) clear(layer int) (left bool) {
	for name, c := range n.children {
		if !c.clear(layer) {
			delete(n.children, name)
		}
	}
	return n.layer == layer || len(n.children) > 0
}

// maxLinks is how many symbolic links a path may go through (MAXSYMLINKS).
const maxLinks = 40

// folder finds the directory of a path, through links. With make, what is
// missing is made; else nil is returned for it.
func (t *tree) folder(dir string, layer int, make bool) (*node, error) {
	links := 0
	// stack is the way to the place that is reached, for "..".
	stack := []*node{t.root}
	rest := strings.Split(dir, "/")
	for len(rest) > 0 {
		part := rest[0]
		rest = rest[1:]
		at := stack[len(stack)-1]
		switch part {
		case "", ".":
			continue
		case "..":
			if len(stack) > 1 {
				stack = stack[:len(stack)-1]
			}
			continue
		}
		next := at.children[part]
		switch {
		case next == nil && !make:
			return nil, nil
		case next == nil:
			next = &node{children: map[string]*node{}, layer: layer}
			at.children[part] = next
			stack = append(stack, next)
		case next.children != nil:
			stack = append(stack, next)
		case next.inode.header.Typeflag == tar.TypeSymlink:
			links++
			if links > maxLinks {
				return nil, fmt.Errorf("too many symbolic links on its way")
			}
			target := next.inode.header.Linkname
			if strings.HasPrefix(target, "/") {
				stack = stack[:1]
			}
			rest = append(strings.Split(target, "/"), rest...)
		default:
			return nil, fmt.Errorf("it lies below %q, which is no directory", part)
		}
	}
	return stack[len(stack)-1], nil
}

// find finds what is no directory by its path.
func (t *tree) find(name string) (*node, error) {
	dir, base := path.Split(name)
	parent, err := t.folder(dir, 0, false)
	if err != nil {
		return nil, err
	}
	if parent == nil || parent.children[base] == nil {
		return nil, fmt.Errorf("there is no such file")
	}
	n := parent.children[base]
	if n.children != nil {
		return nil, fmt.Errorf("it is a directory")
	}
	return n, nil
}

// flat writes a tree: first its directories, then all else in the order of the
// layers, each with its hard links behind it.
type flat struct {
	w    *tar.Writer
	live map[place]*inode
}

// folders writes the directories from one on, and notes what else there is.
func (f *flat) folders(name string, n *node) error {
	h := &tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755, Format: tar.FormatPAX}
	if n.inode != nil {
		h = written(n.inode.header, name+"/")
	}
	if n.inode != nil || name != "." {
		err := f.w.WriteHeader(h)
		if err != nil {
			return fmt.Errorf("entry %q: %w", name, err)
		}
	}
	for _, base := range slices.Sorted(maps.Keys(n.children)) {
		c, below := n.children[base], path.Join(name, base)
		if c.children != nil {
			err := f.folders(below, c)
			if err != nil {
				return err
			}
			continue
		}
		// Where a link has led an entry, its name is another than the one that was checked.
		h := c.inode.header
		if h.Typeflag == tar.TypeSymlink && archive.Leaves(below, h.Linkname) || len(below) > archive.DefaultName {
			return bad("layer %d: entry %q comes to lie at %q, where it leaves the tree", c.inode.at.layer+1, h.Name, below)
		}
		c.inode.names = append(c.inode.names, below)
		f.live[c.inode.at] = c.inode
	}
	return nil
}

// entry writes an entry of a layer if it is left in the tree.
func (f *flat) entry(layer, seq int, h *tar.Header, data io.Reader) error {
	is := f.live[place{layer, seq}]
	if is == nil {
		return nil
	}
	first := is.names[0]
	err := f.w.WriteHeader(written(h, first))
	if err != nil {
		return fmt.Errorf("writing entry %q: %w", first, err)
	}
	if h.Typeflag == tar.TypeReg || h.Typeflag == tar.TypeGNUSparse {
		_, err = io.Copy(f.w, data)
		if err != nil {
			return fmt.Errorf("writing entry %q: %w", first, err)
		}
	}
	for _, other := range is.names[1:] {
		l := written(h, other)
		l.Typeflag, l.Linkname, l.Size, l.PAXRecords = tar.TypeLink, first, 0, nil
		err = f.w.WriteHeader(l)
		if err != nil {
			return fmt.Errorf("writing entry %q: %w", other, err)
		}
	}
	return nil
}

// written is the header of an entry as it is written under a name: what a file
// system keeps of it.
func written(h *tar.Header, name string) *tar.Header {
	to := &tar.Header{
		Typeflag: h.Typeflag, Name: name, Linkname: h.Linkname, Size: h.Size, Mode: h.Mode,
		Uid: h.Uid, Gid: h.Gid, Uname: h.Uname, Gname: h.Gname, ModTime: h.ModTime, Format: tar.FormatPAX,
	}
	if to.Typeflag == tar.TypeGNUSparse {
		to.Typeflag = tar.TypeReg
	}
	for key, value := range h.PAXRecords {
		if strings.HasPrefix(key, "SCHILY.xattr.") {
			if to.PAXRecords == nil {
				to.PAXRecords = map[string]string{}
			}
			to.PAXRecords[key] = value
		}
	}
	return to
}

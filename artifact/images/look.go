package images

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
)

// Entry is what an image has at a path.
type Entry struct {
	Dir        bool
	Regular    bool
	Executable bool // somebody may run it
	Size       int64
	at         place
}

// ErrTooLarge: a file of an image is larger than what was to be read of it.
var ErrTooLarge = errors.New("the file is too large")

// Look reads all layers of an image, as those of a stranger, and says what the
// root file system that they make has at some paths, symbolic links followed
// inside of it. A path at which there is nothing is missing in the answer.
// Errors: ErrNoImage, ErrBadImage.
func (m *Images) Look(ctx context.Context, p Place, paths []string) (map[string]Entry, error) {
	layers, err := m.Layers(ctx, p.Repository, p.Digest)
	if err != nil {
		return nil, err
	}
	t := tree{root: &node{children: map[string]*node{}}}
	err = each(ctx, layers, m.config.Limits, func(layer, seq int, h *tar.Header, _ io.Reader) error {
		return t.apply(layer, seq, h)
	})
	if err != nil {
		return nil, err
	}
	found := map[string]Entry{}
	for _, name := range paths {
		n := t.look(name)
		if n == nil {
			continue
		}
		e := Entry{Dir: n.children != nil}
		if n.inode != nil && !e.Dir {
			h := n.inode.header
			e.Regular = h.Typeflag == tar.TypeReg
			e.Executable = e.Regular && h.Mode&0o111 != 0
			e.Size, e.at = h.Size, n.inode.at
		}
		found[name] = e
	}
	return found, nil
}

// ReadFile returns the content of a regular file that Look has found in an image.
// ErrTooLarge if it has more than most bytes.
func (m *Images) ReadFile(ctx context.Context, p Place, e Entry, most int64) ([]byte, error) {
	if !e.Regular {
		return nil, fmt.Errorf("reading a file of %s: it is no regular file", p)
	}
	if e.Size > most {
		return nil, fmt.Errorf("reading a file of %s: %w: it has %d bytes", p, ErrTooLarge, e.Size)
	}
	layers, err := m.Layers(ctx, p.Repository, p.Digest)
	if err != nil {
		return nil, err
	}
	if e.at.layer >= len(layers) {
		return nil, fmt.Errorf("reading a file of %s: it is another image now", p)
	}
	var content []byte
	err = each(ctx, layers[e.at.layer:e.at.layer+1], m.config.Limits, func(_, seq int, _ *tar.Header, data io.Reader) error {
		if seq != e.at.seq {
			return nil
		}
		b, err := readLimited(data, most)
		content = b
		return err
	})
	return content, err
}

// look finds what is at a path, through links, also a last one; nil if there is
// nothing, or no way to it.
func (t *tree) look(name string) *node {
	for range maxLinks {
		dir, base := path.Split(name)
		if base == "" || base == "." || base == ".." {
			n, err := t.folder(name, 0, false)
			if err != nil {
				return nil
			}
			return n
		}
		parent, err := t.folder(dir, 0, false)
		if err != nil || parent == nil {
			return nil
		}
		n := parent.children[base]
		if n == nil || n.children != nil || n.inode.header.Typeflag != tar.TypeSymlink {
			return n
		}
		target := n.inode.header.Linkname
		if !path.IsAbs(target) {
			target = dir + "/" + target
		}
		name = target
	}
	return nil
}

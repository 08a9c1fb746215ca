package component

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"

	"souk/artifact/registry"
	"souk/catalog/change"
)

// PublishedFiles are the copy of a component's files that belongs to a product.
func PublishedFiles(productID string, f Files) Files {
	if f.None() {
		return Files{}
	}
	f.Repository = registry.Published(productID, f.Repository)
	return f
}

// Unpack writes files below a folder, which is made if it is not there and should
// be empty. They belong to whom this process runs as; everybody may read them and
// nobody else may write them. A later layer's file takes the place of an earlier
// one's. Nothing is written outside of the folder, whatever the archives say.
// ErrBadFiles; then, and after any other error, part of them may be there.
func (m *Components) Unpack(ctx context.Context, f Files, dir string) error {
	if f.None() {
		return nil
	}
	is, err := m.manifest(ctx, f.Repository, f.Digest)
	if err != nil {
		return err
	}
	err = os.MkdirAll(dir, 0o755)
	if err != nil {
		return fmt.Errorf("unpacking the files %s@%s: %w", f.Repository, f.Digest, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("unpacking the files %s@%s: %w", f.Repository, f.Digest, err)
	}
	defer root.Close()
	return m.each(ctx, f.Repository, is, folder{root})
}

// folder is a sink that writes below a folder. All that it opens is opened by
// os.Root, which follows no link out of it.
type folder struct{ root *os.Root }

func (f folder) directory(name string) error {
	if name == "." {
		return nil
	}
	if info, err := f.root.Lstat(name); err == nil && !info.IsDir() {
		err = f.root.Remove(name)
		if err != nil {
			return err
		}
	}
	return f.above(name, f.root.MkdirAll(name, 0o755))
}

func (f folder) file(name string, mode fs.FileMode, r io.Reader) error {
	err := f.clear(name)
	if err != nil {
		return err
	}
	// Whoever runs an installer isn't who wrote its files: all may read them.
	mode = mode&0o755 | 0o444
	w, err := f.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return f.above(name, err)
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, w.Chmod(mode), w.Close())
}

func (f folder) symlink(name, target string) error {
	err := f.clear(name)
	if err != nil {
		return err
	}
	return f.above(name, f.root.Symlink(target, name))
}

func (f folder) link(name, target string) error {
	info, err := f.root.Lstat(target)
	if err != nil || !info.Mode().IsRegular() {
		return bad("entry %q: hard link to %q, which is no file before it", name, target)
	}
	err = f.clear(name)
	if err != nil {
		return err
	}
	return f.above(name, f.root.Link(target, name))
}

// clear makes room for an entry: its folder is there, and nothing of its name.
func (f folder) clear(name string) error {
	if name == "." {
		return bad("the root is no folder")
	}
	if above := path.Dir(name); above != "." {
		err := f.root.MkdirAll(above, 0o755)
		if err != nil {
			return f.above(name, err)
		}
	}
	err := f.root.RemoveAll(name)
	if err != nil {
		return f.above(name, err)
	}
	return nil
}

// above says of an error whether the entry is to blame: it lies below something
// that is no folder, or its name leads out of the files by a link.
func (f folder) above(name string, err error) error {
	if err == nil {
		return nil
	}
	var failed *fs.PathError
	var link *os.LinkError
	if ourFault(err) || !errors.As(err, &failed) && !errors.As(err, &link) {
		return err
	}
	return bad("entry %q: %v", name, err)
}

// ourFault says whether it is this machine that could not write.
func ourFault(err error) bool {
	for _, e := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EIO, syscall.EROFS, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EACCES} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// publish pins files into a product.
func (m *Components) publish(ctx context.Context, productID string, f Files) error {
	if f.None() {
		return nil
	}
	err := m.config.Registry.Images().Publish(ctx, productID, change.ImageRef{Repository: f.Repository, Digest: f.Digest}, f.Digest)
	if errors.Is(err, change.ErrImageNotFound) {
		return fmt.Errorf("%w: %v", ErrBadFiles, err)
	}
	if err != nil {
		return fmt.Errorf("publishing the files %s@%s for %s: %w", f.Repository, f.Digest, productID, err)
	}
	return nil
}

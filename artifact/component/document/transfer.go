package document

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// wild matches a name with a pattern in which * alone stands for more than
// itself.
func wild(pattern, name string) bool {
	first, rest, found := strings.Cut(pattern, "*")
	if !found {
		return pattern == name
	}
	name, ok := strings.CutPrefix(name, first)
	if !ok {
		return false
	}
	parts := strings.Split(rest, "*")
	for _, part := range parts[:len(parts)-1] {
		_, after, ok := strings.Cut(name, part)
		if !ok {
			return false
		}
		name = after
	}
	return strings.HasSuffix(name, parts[len(parts)-1])
}

// match returns the files or the folders that a path means, whose last name may
// have *. A path without * is returned whether it is there or not.
func match(pattern string, folders bool) ([]string, error) {
	dir, last := filepath.Split(strings.TrimRight(pattern, "/"))
	if strings.Contains(dir, "*") {
		return nil, fmt.Errorf("[%s]: * may stand in the last name only", cut(pattern, 200))
	}
	if !strings.Contains(last, "*") {
		return []string{pattern}, nil
	}
	if dir == "" {
		dir = "."
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() == folders && wild(last, e.Name()) {
			names = append(names, filepath.Join(dir, e.Name()))
		}
	}
	return names, nil
}

// transfer calls f with what is to be copied or moved, and where to.
func transfer(ctx context.Context, in input, folders bool, f func(from, to string) error) error {
	source, destination := in.texts["source"], in.texts["destination"]
	sources, err := match(source, folders)
	if err != nil {
		return err
	}
	into := strings.HasSuffix(destination, "/")
	switch {
	case len(sources) == 0:
		return fmt.Errorf("there is nothing that [%s] matches", cut(source, 200))
	case len(sources) > 1 && !into:
		return fmt.Errorf("[%s] matches %d; then destination must be a folder and end with /", cut(source, 200), len(sources))
	}
	for _, from := range sources {
		if err := ctx.Err(); err != nil {
			return err
		}
		info, err := os.Stat(from)
		if err != nil {
			return err
		}
		if info.IsDir() != folders {
			return fmt.Errorf("[%s]: files are for CopyFile and MoveFile, folders for CopyFolder and MoveFolder", from)
		}
		to := filepath.Clean(destination)
		if into {
			to = filepath.Join(destination, filepath.Base(filepath.Clean(from)))
		}
		there, err := os.Stat(to)
		switch {
		case err == nil && !in.flag("overwrite", true):
			return fmt.Errorf("[%s] is there and overwrite is false", to)
		case err == nil && there.IsDir() != folders:
			return fmt.Errorf("[%s] is there, and one of both is a folder", to)
		case err == nil && os.SameFile(info, there):
			return fmt.Errorf("[%s] and [%s] are the same", from, to)
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
			return err
		}
		if err := f(filepath.Clean(from), to); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(ctx context.Context, _ *work, in input) (string, error) {
	return "", transfer(ctx, in, false, func(from, to string) error {
		info, err := os.Stat(from)
		if err != nil {
			return err
		}
		return copyOne(ctx, from, to, info, false)
	})
}

func moveFile(ctx context.Context, _ *work, in input) (string, error) {
	return "", transfer(ctx, in, false, func(from, to string) error {
		if os.Rename(from, to) == nil {
			return nil
		}
		// To another file system the bytes go.
		info, err := os.Lstat(from)
		if err != nil {
			return err
		}
		if err := copyOne(ctx, from, to, info, true); err != nil {
			return err
		}
		return os.Remove(from)
	})
}

func copyFolder(ctx context.Context, _ *work, in input) (string, error) {
	return "", transfer(ctx, in, true, func(from, to string) error { return copyTree(ctx, from, to, false) })
}

func moveFolder(ctx context.Context, _ *work, in input) (string, error) {
	return "", transfer(ctx, in, true, func(from, to string) error {
		if err := apart(from, to); err != nil {
			return err
		}
		if _, err := os.Lstat(to); errors.Is(err, fs.ErrNotExist) && os.Rename(from, to) == nil {
			return nil
		}
		// Into a folder that is there, or out of a layer of the image: overlay
		// file systems rename no folders of lower layers.
		if err := copyTree(ctx, from, to, true); err != nil {
			return err
		}
		return os.RemoveAll(from)
	})
}

// apart refuses to put a folder into itself.
func apart(from, to string) error {
	real, err := filepath.EvalSymlinks(from)
	if err != nil {
		return err
	}
	// The folder may not be there yet, its parent is.
	parent, err := filepath.EvalSymlinks(filepath.Dir(to))
	if err != nil {
		return err
	}
	below, err := filepath.Rel(real, filepath.Join(parent, filepath.Base(to)))
	if err != nil {
		return err
	}
	if below == "." || !strings.HasPrefix(below+"/", "../") {
		return fmt.Errorf("[%s] can't go into itself", from)
	}
	return nil
}

// copyTree copies what is in a folder into another one. Files that are there are
// replaced, others stay. With owned the owners are kept, as a move keeps them.
func copyTree(ctx context.Context, from, to string, owned bool) error {
	if err := apart(from, to); err != nil {
		return err
	}
	from, err := filepath.EvalSymlinks(from)
	if err != nil {
		return err
	}
	type folder struct {
		name string
		info fs.FileInfo
	}
	var folders []folder
	err = filepath.WalkDir(from, func(name string, entry fs.DirEntry, err error) error {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		below, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		target := filepath.Join(to, below)
		if !info.IsDir() {
			return copyOne(ctx, name, target, info, owned)
		}
		folders = append(folders, folder{target, info})
		return os.MkdirAll(target, 0o777)
	})
	if err != nil {
		return err
	}
	// Their permissions last, so that none closes a folder too early.
	for _, f := range folders {
		if err := finish(f.name, f.info, owned); err != nil {
			return err
		}
	}
	return nil
}

// copyOne copies a file or a symbolic link. Devices, pipes and sockets are
// refused.
func copyOne(ctx context.Context, from, to string, info fs.FileInfo, owned bool) error {
	if info.Mode()&fs.ModeSymlink != 0 {
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := os.Symlink(target, to); err != nil {
			return err
		}
		if uid, gid, ok := ownerOf(info); ok && owned {
			return os.Lchown(to, uid, gid)
		}
		return nil
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("[%s] is no file, folder or symbolic link", from)
	}
	if err := notSpecial(to); err != nil {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, untilDone{ctx, in})
	if err := errors.Join(err, out.Close()); err != nil {
		return err
	}
	if err := finish(to, info, owned); err != nil || !owned {
		return err
	}
	return copyCapability(from, to)
}

// finish gives a copy the permissions, and with owned the owner, of the original.
func finish(name string, info fs.FileInfo, owned bool) error {
	mode := info.Mode() & (fs.ModePerm | fs.ModeSticky)
	if owned {
		mode = info.Mode() & (fs.ModePerm | fs.ModeSticky | fs.ModeSetuid | fs.ModeSetgid)
		if uid, gid, ok := ownerOf(info); ok {
			if err := os.Chown(name, uid, gid); err != nil {
				return err
			}
		}
	}
	return os.Chmod(name, mode)
}

// untilDone reads until its context ends.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u untilDone) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(p)
}

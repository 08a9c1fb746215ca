package layer

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// A directory that only the paths of a layer's entries name is what the layers below
// say of it. overlayfs takes its mode and owner from the highest layer that has it,
// which is that one. So a further folder is stacked above all layers: it has nothing
// but such directories, as the layers below have them.

// maxImplied is how many such directories of a layer are remembered. Those beyond
// belong to root and have the mode 0755.
const maxImplied = 1 << 16

// stack is layers as they are stacked, the lowest first.
type stack struct {
	dirs    []string
	implied []map[string]bool
	opaque  string // the name of overlayfs's attribute
}

// stack returns the folders of layers that are to be stacked, and a function that
// gives all of them back.
func (c *Cache) stack(all []*kept) (dirs []string, release func(), err error) {
	s := stack{opaque: (&unpacker{rootless: c.config.Rootless}).overlay("opaque")}
	var names [][]string
	for _, k := range all {
		if k.Covers {
			s.dirs, s.implied, names = nil, nil, nil
		}
		implied := map[string]bool{}
		for _, name := range k.Implied {
			implied[name] = true
		}
		s.dirs, s.implied, names = append(s.dirs, filepath.Join(c.config.Root, k.name)), append(s.implied, implied), append(names, k.Implied)
	}
	give := c.giver(all)
	wanted := map[string]string{} // directories to make -> those that they are to be like
	for n := 1; n < len(names); n++ {
		for _, name := range names[n] {
			top, from := s.find(name)
			if top == n && from >= 0 {
				wanted[name] = filepath.Join(s.dirs[from], name)
			}
		}
	}
	if len(wanted) == 0 {
		return s.dirs, give, nil
	}
	above, err := c.above(s, wanted)
	if err != nil {
		give()
		return nil, nil, fmt.Errorf("stacking layers: %w", err)
	}
	return append(s.dirs, above), sync.OnceFunc(func() { give(); c.remove([]string{above}) }), nil
}

// find returns the highest layer that shows a directory, and the one that says what
// it is like: -1 if none does.
func (s stack) find(name string) (top, from int) {
	top = -1
	for n := len(s.dirs) - 1; n >= 0; n-- {
		there, hides := s.look(n, name)
		if there && top < 0 {
			top = n
		}
		if there && !s.implied[n][name] {
			return top, n
		}
		if hides {
			break
		}
	}
	return top, -1
}

// look says whether a layer has a directory, and whether it hides what the layers
// below have of it.
func (s stack) look(n int, name string) (there, hides bool) {
	at, mark := s.dirs[n], make([]byte, 2)
	opaque := false // what hides all below itself does not hide itself
	for part := range strings.SplitSeq(name, "/") {
		at, hides = filepath.Join(at, part), opaque
		info, err := os.Lstat(at)
		if os.IsNotExist(err) {
			return false, hides
		}
		if err != nil || !info.IsDir() {
			return false, true
		}
		size, err := unix.Lgetxattr(at, s.opaque, mark)
		opaque = opaque || err == nil && string(mark[:size]) == "y"
	}
	return true, hides
}

// above makes the folder above the layers. It is of no use to the next process, which
// removes it.
func (c *Cache) above(s stack, wanted map[string]string) (_ string, err error) {
	root, err := os.MkdirTemp(c.config.Root, unfinished)
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			c.remove([]string{root})
		}
	}()
	// The directories on the way there are shown as this folder has them, too.
	for name := range wanted {
		for i := range name {
			if way := name[:i]; name[i] == '/' && wanted[way] == "" {
				top, from := s.find(way)
				wanted[way] = filepath.Join(s.dirs[max(from, 0)], way)
				if from < 0 {
					wanted[way] = filepath.Join(s.dirs[top], way)
				}
			}
		}
	}
	names := make([]string, 0, len(wanted))
	for name := range wanted {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		err = os.Mkdir(filepath.Join(root, name), 0o700)
		if err != nil {
			return "", err
		}
	}
	slices.Reverse(names) // a directory may be closed to us by its mode
	for _, name := range names {
		err = c.alike(filepath.Join(root, name), wanted[name])
		if err != nil {
			return "", err
		}
	}
	return root, os.Chmod(root, 0o755)
}

// alike makes a directory like another.
func (c *Cache) alike(dir, like string) error {
	var st unix.Stat_t
	err := unix.Lstat(like, &st)
	if err != nil {
		return &os.PathError{Op: "lstat", Path: like, Err: err}
	}
	all, err := listXattr(like)
	if err != nil {
		return err
	}
	for _, name := range all {
		if !ours(name) {
			continue
		}
		value, ok, err := getXattr(like, name)
		if err == nil && ok {
			err = unix.Lsetxattr(dir, name, value, 0)
		}
		if err != nil {
			return err
		}
	}
	if !c.config.Rootless {
		err = os.Lchown(dir, int(st.Uid), int(st.Gid))
		if err != nil {
			return err
		}
	}
	err = unix.UtimesNanoAt(unix.AT_FDCWD, dir, []unix.Timespec{st.Atim, st.Mtim}, unix.AT_SYMLINK_NOFOLLOW)
	if err == nil {
		err = unix.Chmod(dir, st.Mode&0o7777)
	}
	if err != nil {
		return &os.PathError{Op: "setting the mode of", Path: dir, Err: err}
	}
	return nil
}

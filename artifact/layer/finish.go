package layer

import (
	"fmt"
	"path"
	"slices"

	"golang.org/x/sys/unix"
)

// finish does what can only be done when all entries are there: it takes away
// what the layer takes away, and gives directories what writing into them
// would change again, the deepest first.
func (u *unpacker) finish() error {
	hides := map[string]bool{}
	for _, dir := range u.opaque {
		hides[dir] = true
	}
	for _, name := range u.gone {
		dir, base := path.Split(name)
		dir = path.Clean(dir)
		// What is taken away belongs to the layers below: a directory of this
		// layer with the same name stays and hides theirs.
		switch {
		case u.dirs[name] != nil:
			hides[name] = true
			u.dirs[name].implied = false // theirs is gone
			continue
		case hides[dir]:
			continue
		}
		err := u.enter(dir)
		if err == nil {
			err = u.whiteout(base)
		}
		if err != nil {
			return fmt.Errorf("taking away %q: %w", name, err)
		}
	}
	u.covers = hides["."] // overlayfs has no opaque root: the layers below must not be stacked
	all := make([]string, 0, len(u.dirs))
	for name := range u.dirs {
		all = append(all, name)
	}
	slices.Sort(all)
	slices.Reverse(all)
	for _, name := range all {
		if name != "." { // the last one, wherever its name sorts
			err := u.finishDir(name, hides[name])
			if err != nil {
				return err
			}
		}
	}
	return u.finishDir(".", false)
}

func (u *unpacker) finishDir(name string, opaque bool) error {
	m := u.dirs[name]
	wrap := func(err error) error {
		if theirs(err) {
			return fmt.Errorf("%w: entry %q: %w", ErrBadLayer, name, err)
		}
		return fmt.Errorf("entry %q: %w", name, err)
	}
	err := u.enter(path.Dir(name))
	if err != nil {
		return wrap(err)
	}
	fd, err := unix.Openat(u.in, path.Base(name), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return wrap(err)
	}
	defer unix.Close(fd)
	err = u.set(fd, m)
	if err != nil {
		return wrap(err)
	}
	if opaque {
		err = unix.Fsetxattr(fd, u.overlay("opaque"), []byte("y"), 0)
		if err != nil {
			return wrap(fmt.Errorf("hiding what is below: %w", err))
		}
	}
	err = touch(fd, ".", m.time)
	if err != nil {
		return wrap(err)
	}
	err = unix.Fchmod(fd, m.mode)
	if err != nil {
		return wrap(err)
	}
	return nil
}

// overlay is the name of an attribute of overlayfs.
func (u *unpacker) overlay(name string) string {
	if u.rootless {
		return "user.overlay." + name
	}
	return "trusted.overlay." + name
}

// whiteout takes a name away in the directory that was entered. A file of this
// layer of the same name stays.
func (u *unpacker) whiteout(base string) error {
	err := unix.Mknodat(u.in, base, unix.S_IFCHR, 0)
	switch err {
	case nil, unix.EEXIST:
		return nil
	case unix.EPERM: // before Linux 5.8, where only root may
	default:
		return err
	}
	fd, err := unix.Openat(u.in, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err == unix.EEXIST {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	err = unix.Fsetxattr(fd, u.overlay("whiteout"), []byte("y"), 0)
	if err != nil {
		return err
	}
	return unix.Setxattr(fmt.Sprintf("/proc/self/fd/%d", u.in), u.overlay("opaque"), []byte("x"), 0)
}

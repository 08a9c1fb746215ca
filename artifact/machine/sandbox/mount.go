package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"souk/artifact/machine"
)

// tree is the root file system of a machine while it is put together. Its names
// are a stranger's: no link in it is followed.
type tree struct {
	fd    int // of the root
	owner int // the host's id of the machine's root
}

// openTree opens the current directory of this thread, which is the machine's root.
func openTree(owner int) (*tree, error) {
	fd, err := unix.Open(".", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening the machine's root: %w", err)
	}
	return &tree{fd: fd, owner: owner}, nil
}

func (t *tree) close() { unix.Close(t.fd) }

// open opens a directory of the tree, and makes it if it is not there. What is
// there and is none is the image's fault.
func (t *tree) open(name string, mode uint32) (int, error) {
	at, _ := unix.FcntlInt(uintptr(t.fd), unix.F_DUPFD_CLOEXEC, 3)
	for _, part := range strings.Split(name, "/") {
		next, err := openDir(at, part)
		if errors.Is(err, unix.ENOENT) {
			err = unix.Mkdirat(at, part, mode)
			if err == nil && t.owner != 0 {
				err = unix.Fchownat(at, part, t.owner, t.owner, unix.AT_SYMLINK_NOFOLLOW)
			}
			if err == nil {
				next, err = openDir(at, part)
			}
		}
		unix.Close(at)
		if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
			return -1, fmt.Errorf("%w: /%s is no directory", machine.ErrBadImage, name)
		}
		if err != nil {
			return -1, fmt.Errorf("making /%s: %w", name, err)
		}
		at = next
	}
	return at, nil
}

func openDir(at int, name string) (int, error) {
	return unix.Openat(at, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
}

// descriptor is a path that leads to what a descriptor is of.
func descriptor(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// mount mounts something on a directory of the tree.
func (t *tree) mount(source, name, kind string, flags uintptr, options string) error {
	fd, err := t.open(name, 0o755)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	err = unix.Mount(source, descriptor(fd), kind, flags, options)
	if err != nil {
		return fmt.Errorf("mounting /%s: %w", name, err)
	}
	return nil
}

// bind shows a folder of the host in the tree. It has the flags at once: nobody
// sees it without them, as the machine has not been started.
func (t *tree) bind(source, name string, flags uintptr) error {
	err := t.mount(source, name, "", unix.MS_BIND|unix.MS_REC, "")
	if err != nil {
		return err
	}
	return t.mount("", name, "", unix.MS_BIND|unix.MS_REMOUNT|flags, "")
}

// file makes an empty file in a directory that was mounted, for a mount on it.
func (t *tree) file(name string) (int, error) {
	dir, err := t.open(path.Dir(name), 0o755)
	if err != nil {
		return -1, err
	}
	defer unix.Close(dir)
	fd, err := unix.Openat(dir, path.Base(name), unix.O_CREAT|unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return -1, fmt.Errorf("making /%s: %w", name, err)
	}
	return fd, nil
}

const quietFlag = unix.MS_NOSUID | unix.MS_NODEV

// What a machine's /dev may have beside what we put there.
const devLimits = "size=64k,nr_inodes=1024"

// memoryFolder is how large a file system in a machine's memory is at most, in bytes.
const memoryFolder = 64 << 20

// memoryLimits are those of each file system in a machine's memory: full, they leave
// its programs half of it. What the kernel needs for an empty file counts, too.
func memoryLimits(memory int64) string {
	size := min(memory/4, memoryFolder)
	return fmt.Sprintf("size=%d,nr_inodes=%d", size, max(size/4096, 256))
}

// devices are those of the host that a machine has.
var devices = []string{"null", "zero", "full", "random", "urandom", "tty"}

// links of /dev.
var links = map[string]string{
	"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
	"ptmx": "pts/ptmx", "core": "/proc/kcore",
}

// furnish mounts what a machine has beside its image, but what belongs to
// namespaces that it does not have yet. tmp is a folder for its /tmp, files for
// machine.FilesPath or "", memory what it may have.
func (t *tree) furnish(tmp, files string, memory int64) error {
	owned := fmt.Sprintf("mode=755,uid=%d,gid=%d", t.owner, t.owner)
	err := t.mount("tmpfs", "dev", "tmpfs", unix.MS_NOSUID|unix.MS_NOEXEC, devLimits+","+owned)
	if err != nil {
		return err
	}
	for _, d := range devices {
		fd, err := t.file("dev/" + d)
		if err != nil {
			return err
		}
		err = unix.Mount("/dev/"+d, descriptor(fd), "", unix.MS_BIND, "")
		unix.Close(fd)
		if err != nil {
			return fmt.Errorf("giving the machine /dev/%s: %w", d, err)
		}
	}
	dev, err := t.open("dev", 0o755)
	if err != nil {
		return err
	}
	defer unix.Close(dev)
	for name, target := range links {
		if name == "core" {
			continue // there is none
		}
		err = unix.Symlinkat(target, dev, name)
		if err != nil {
			return fmt.Errorf("making /dev/%s: %w", name, err)
		}
	}
	err = t.mount("tmpfs", "dev/shm", "tmpfs", quietFlag|unix.MS_NOEXEC, memoryLimits(memory)+",mode=1777,uid="+strconv.Itoa(t.owner))
	if err != nil {
		return err
	}
	err = t.mount("tmpfs", "run", "tmpfs", quietFlag, memoryLimits(memory)+","+owned)
	if err != nil {
		return err
	}
	err = t.bind(tmp, "tmp", quietFlag)
	if err != nil {
		return err
	}
	if files == "" {
		return nil
	}
	return t.bind(files, strings.TrimPrefix(machine.FilesPath, "/"), quietFlag|unix.MS_RDONLY)
}

// ours are paths on which a machine has something of ours: no part of its layer.
var ours = []string{"dev", "proc", "sys", "run", "tmp"}

// overlay says how the root of a machine is stacked. All folders are relative to
// the machine's, but those of layers are names of links there.
type overlay struct {
	Dir      string // the machine's folder
	Layers   int
	Rootless bool
	Kept     bool
}

// linkLayers makes short names for the folders of layers, the lowest first: the
// options of a mount have no more than a page.
func linkLayers(dir string, layers []string) error {
	for i, l := range layers {
		name := filepath.Join(dir, strconv.Itoa(i))
		err := os.Remove(name)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		err = os.Symlink(l, name)
		if err != nil {
			return err
		}
	}
	return nil
}

// mount mounts the root and makes it the current directory of this thread, which
// has mounts of its own.
func (o overlay) mount() error {
	err := unix.Chdir(o.Dir)
	if err != nil {
		return fmt.Errorf("entering the machine's folder: %w", err)
	}
	lower := make([]string, o.Layers)
	for i := range lower {
		lower[i] = strconv.Itoa(o.Layers - 1 - i) // overlayfs has the highest first
	}
	options := "lowerdir=" + strings.Join(lower, ":") + ",upperdir=" + diskFolder + "/" + upperName + ",workdir=" + diskFolder + "/" + workName
	if o.Rootless {
		options += ",userxattr"
	} else {
		// What a layer can't say must not come to be.
		options += ",redirect_dir=off,metacopy=off,index=off"
	}
	if !o.Kept {
		options += ",volatile" // what is synced is not worth waiting for: see format
	}
	err = unix.Mount("overlay", rootFolder, "overlay", unix.MS_NODEV|unix.MS_NOATIME, options)
	if err != nil {
		return fmt.Errorf("stacking %d layers: %w", o.Layers, err)
	}
	err = unix.Chdir(rootFolder)
	if err != nil {
		return fmt.Errorf("entering the machine's root: %w", err)
	}
	return nil
}

// freshen prepares the disk of a machine for a start: /tmp is empty, and so is what
// overlayfs keeps for itself. owner is the host's id of the machine's root.
func freshen(dir string, owner int, remove func(string) error) error {
	disk := filepath.Join(dir, diskFolder)
	for _, d := range []struct {
		name  string
		mode  os.FileMode
		fresh bool
	}{{upperName, 0o755, false}, {workName, 0o700, true}, {tmpName, 0o777 | os.ModeSticky, true}} {
		name := filepath.Join(disk, d.name)
		if d.fresh {
			err := remove(name)
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
		// It gets its name when it is whole: whoever ends this process in between
		// leaves no root that its own user can't write.
		if _, err := os.Lstat(name); err == nil {
			continue
		}
		half := name + ".new"
		err := remove(half)
		if errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		if err == nil {
			err = os.Mkdir(half, d.mode)
		}
		if err == nil {
			err = os.Chmod(half, d.mode) // the umask
		}
		if err == nil && owner != 0 {
			err = os.Lchown(half, owner, owner)
		}
		if err == nil {
			err = os.Rename(half, name)
		}
		if err != nil {
			return fmt.Errorf("preparing the machine's disk: %w", err)
		}
	}
	return nil
}

package sandbox

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The writable layer of a machine lies in a file with a file system of its own,
// which is as large as Spec.Disk and no larger. The file is sparse: it takes of the
// host's disk what the machine has written.

// Files of a machine's folder.
const (
	diskFile   = "disk.img" // the file system of the writable layer
	diskFolder = "disk"     // where it is mounted; or the writable layer itself
	rootFolder = "root"     // where the machine's root is mounted
	upperName  = "upper"    // below diskFolder
	workName   = "work"
	tmpName    = "tmp" // /tmp of the machine: it is on its disk, and no part of its layer
)

// minDisk is what a file system needs for itself.
const minDisk = 4 << 20

// diskFeatures are those of ext4, which the program has from a file of the host
// otherwise: a disk is the same wherever it is made. With them its tables need not be
// written before they are used, which saves a disk of 8 GiB some 130 MB and most of
// the time to make it.
const diskFeatures = "extent,flex_bg,metadata_csum,dir_nlink,extra_isize,huge_file,^resize_inode"

// format makes a disk. Only that of a machine that is kept has a journal: the
// programs of others are not promised that what they wrote outlives a loss of power,
// and a disk that was in use then is checked before it is used again.
func format(ctx context.Context, mkfs, path string, size int64, kept bool) error {
	size = max(size, minDisk)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	err = errors.Join(f.Truncate(size), f.Close())
	if err != nil {
		return err
	}
	args := []string{"-q", "-F", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1,root_owner=0:0"}
	if kept {
		args = append(args, "-O", diskFeatures+",has_journal", "-J", "size="+journalSize(size))
	} else {
		args = append(args, "-O", diskFeatures+",^has_journal")
	}
	// A file for each 16 KiB, as by default, but enough of them on small disks.
	if size < 1<<30 {
		args = append(args, "-N", "65536")
	}
	c := exec.CommandContext(ctx, mkfs, append(args, path)...)
	c.Env = []string{"MKE2FS_CONFIG=/dev/null", "LC_ALL=C"}
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err = c.Run()
	if err != nil {
		return fmt.Errorf("mkfs.ext4: %w: %.300s", err, out.Bytes())
	}
	return nil
}

// journalSize is how many MiB of a disk its journal has.
func journalSize(disk int64) string {
	if disk < 1<<30 {
		return "4" // the least with blocks of 4096 bytes
	}
	return "8"
}

// clean says whether an ext4 file system was unmounted as it should.
func clean(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	super := make([]byte, 0x64)
	_, err = f.ReadAt(super, 1024)
	const valid, faulty, recover = 1, 2, 4
	state, features := binary.LittleEndian.Uint16(super[0x3a:]), binary.LittleEndian.Uint32(super[0x60:])
	return state&(valid|faulty) == valid && features&recover == 0, err
}

// check repairs a disk that was in use when the host lost its power.
func check(ctx context.Context, fsck, path string) error {
	ok, err := clean(path)
	if ok || err != nil {
		return err
	}
	if fsck == "" {
		return errors.New("the disk was not unmounted, and there is no e2fsck to check it (Debian's package e2fsprogs)")
	}
	c := exec.CommandContext(ctx, fsck, "-f", "-y", path)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err = c.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 { // repaired
		return nil
	}
	if err != nil {
		return fmt.Errorf("e2fsck: %w: %.300s", err, out.Bytes())
	}
	return nil
}

// attach gives a file a loop device, which the kernel takes away again when
// nothing uses it any more. The caller closes the device.
func attach(path string, readonly bool) (*os.File, error) {
	flags := os.O_RDWR
	if readonly {
		flags = os.O_RDONLY
	}
	backing, err := os.OpenFile(path, flags, 0)
	if err != nil {
		return nil, err
	}
	defer backing.Close()
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	for range 200 { // others take devices, too
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, fmt.Errorf("asking for a loop device: %w", err)
		}
		device, err := os.OpenFile("/dev/loop"+strconv.Itoa(n), flags, 0)
		if err != nil {
			return nil, err
		}
		config := unix.LoopConfig{Fd: uint32(backing.Fd())}
		config.Info.Flags = unix.LO_FLAGS_AUTOCLEAR
		if readonly {
			config.Info.Flags |= unix.LO_FLAGS_READ_ONLY
		}
		err = unix.IoctlLoopConfigure(int(device.Fd()), &config)
		if err == nil {
			return device, nil
		}
		device.Close()
		if !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.ENXIO) {
			return nil, fmt.Errorf("setting up a loop device: %w", err)
		}
	}
	return nil, errors.New("setting up a loop device: others took every one that was free")
}

// mountDisk mounts the disk of a machine's folder on this thread. kept: what is
// synced there is on the host's disk.
func mountDisk(dir string, readonly, kept bool) error {
	device, err := attach(filepath.Join(dir, diskFile), readonly)
	if err != nil {
		return err
	}
	defer device.Close()
	flags := uintptr(unix.MS_NODEV | unix.MS_NOATIME)
	if readonly {
		flags |= unix.MS_RDONLY
	}
	options := "nobarrier"
	if kept {
		options = "barrier"
	}
	err = unix.Mount(device.Name(), filepath.Join(dir, diskFolder), "ext4", flags, options)
	if err != nil {
		return fmt.Errorf("mounting the disk: %w", err)
	}
	return nil
}

// harden makes the disk of a machine that is kept, and what the host knows of it,
// outlive a loss of power. Nothing is mounted.
func (b *box) harden() error {
	var errs []error
	if b.record.Image {
		errs = append(errs, syncFile(filepath.Join(b.dir, diskFile)))
	} else {
		errs = append(errs, syncAll(filepath.Join(b.dir, diskFolder)))
	}
	return errors.Join(append(errs, syncFile(b.dir), syncFile(filepath.Dir(b.dir)))...)
}

// syncFile syncs a file, or the names in a folder.
func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// syncAll syncs the file system of a folder.
func syncAll(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = unix.Syncfs(int(f.Fd()))
	if err != nil {
		err = fmt.Errorf("syncing %s: %w", dir, err)
	}
	return errors.Join(err, f.Close())
}

// What a disk has that is not full: bytes and files.
const (
	leastRoom  = 2 << 20
	leastFiles = 16
)

// room is ENOSPC if the file system of a folder is full.
func room(dir string) error {
	var st unix.Statfs_t
	err := unix.Statfs(dir, &st)
	if err == nil && (int64(st.Bavail)*st.Bsize < leastRoom || st.Ffree < leastFiles) {
		return unix.ENOSPC
	}
	return err
}

// loops returns the loop devices whose files lie below a folder.
func loops(below string) []string {
	entries, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	var all []string
	for _, e := range entries {
		file, err := os.ReadFile(e)
		name := strings.TrimSuffix(strings.TrimSpace(string(file)), " (deleted)")
		if err == nil && strings.HasPrefix(name, below+"/") {
			all = append(all, strings.Split(e, "/")[3])
		}
	}
	return all
}

// settle waits until no loop device has a file below a folder: a file system is
// unmounted a moment after the last process that saw it has ended.
func settle(ctx context.Context, below string) error {
	for wait := 500 * time.Microsecond; ; wait = min(2*wait, 50*time.Millisecond) {
		left := loops(below)
		if len(left) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s to be free: %w", strings.Join(left, ", "), ctx.Err())
		case <-time.After(wait):
		}
	}
}

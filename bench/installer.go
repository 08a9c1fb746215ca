package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// chroot installs the product as somebody would by hand.
type chroot struct {
	base, product, folder string
	// memory unpacks the base into memory, where nothing waits for the disk: what
	// dpkg syncs costs as little as in a machine whose disk is thrown away.
	memory bool
}

// install unpacks the base, then runs the script in it and returns how long that
// took.
func (c *chroot) install(ctx context.Context) (took time.Duration, err error) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		// The thread has mounts of its own and ends with this function, and they with it.
		runtime.LockOSThread()
		err = errors.Join(unix.Unshare(unix.CLONE_FS|unix.CLONE_NEWNS), unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""))
		if err == nil {
			took, err = c.run(ctx)
		}
	}()
	<-ended
	if err != nil {
		return 0, fmt.Errorf("installing in a chroot: %w", err)
	}
	return took, nil
}

// run is install on its thread.
func (c *chroot) run(ctx context.Context) (took time.Duration, err error) {
	root := filepath.Join(c.folder, "chroot")
	err = os.Mkdir(root, 0o755)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
	if c.memory {
		err = unix.Mount("tmpfs", root, "tmpfs", 0, "size=1g,mode=755")
		if err != nil {
			return 0, fmt.Errorf("mounting memory: %w", err)
		}
		defer func() { err = errors.Join(err, unix.Unmount(root, unix.MNT_DETACH)) }()
	}
	_, err = program(ctx, "tar", "-C", root, "--numeric-owner", "-xf", c.base)
	if err == nil {
		_, err = program(ctx, "cp", "-r", c.product, filepath.Join(root, "opt", "product"))
	}
	if err == nil {
		err = devices(filepath.Join(root, "dev"))
	}
	if err != nil {
		return 0, fmt.Errorf("unpacking the base: %w", err)
	}
	unix.Sync() // what was unpacked is not written while the script runs
	return program(ctx, "chroot", root, "/bin/sh", "/opt/product/"+productSetup, "/opt/product")
}

// devices makes the devices that a script needs, where the base has none.
func devices(folder string) error {
	for minor, name := range map[int]string{3: "null", 5: "zero", 9: "urandom"} {
		path := filepath.Join(folder, name)
		err := os.MkdirAll(folder, 0o755) // which an image need not have
		if err != nil {
			return err
		}
		err = unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(1, uint32(minor))))
		if err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("making %s: %w", path, err)
		}
		err = os.Chmod(path, 0o666)
		if err != nil {
			return err
		}
	}
	return nil
}

// buildah installs the product on the same base with buildah.
type buildah struct {
	path    string
	where   []string
	product string
	how     string // version, storage and isolation, for people
	made    int
}

// buildahBase is the name of the base in buildah's storage.
const buildahBase = "bench-base"

// newBuildah imports the base into a storage of buildah's own. Where buildah is
// not on this machine it returns nil.
func newBuildah(ctx context.Context, base, product, folder string) (*buildah, error) {
	path, err := exec.LookPath("buildah")
	if err != nil {
		return nil, nil
	}
	b := &buildah{path: path, product: product}
	for _, driver := range []string{"overlay", "vfs"} {
		storage := filepath.Join(folder, "buildah-"+driver)
		b.where = []string{"--root", filepath.Join(storage, "root"), "--runroot", filepath.Join(storage, "run"), "--storage-driver", driver}
		err = b.fetch(ctx, base)
		if err == nil {
			version, err := exec.CommandContext(ctx, path, "--version").Output() // buildah version 1.39.3 (image-spec 1.1.1, ...)
			if err != nil {
				return nil, fmt.Errorf("asking buildah for its version: %w", err)
			}
			name, _, _ := strings.Cut(string(version), " (")
			b.how = fmt.Sprintf("%s, %s, isolation chroot", strings.TrimSpace(name), driver)
			return b, nil
		}
	}
	return nil, fmt.Errorf("giving buildah the base: %w", err)
}

// fetch makes an image of the base.
func (b *buildah) fetch(ctx context.Context, base string) error {
	id, err := b.do(ctx, "from", "--quiet", "scratch")
	if err == nil {
		_, err = b.do(ctx, "add", "--quiet", id, base, "/")
	}
	if err == nil {
		_, err = b.do(ctx, "commit", "--quiet", id, buildahBase)
	}
	if err == nil {
		_, err = b.do(ctx, "rm", id)
	}
	return err
}

// do runs buildah and returns what it printed.
func (b *buildah) do(ctx context.Context, command string, args ...string) (string, error) {
	c := exec.CommandContext(ctx, b.path, append(append(append([]string(nil), b.where...), command), args...)...)
	var problems strings.Builder
	c.Stderr = &problems
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("buildah %s: %w\n%s", command, err, problems.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// build measures from, run and commit.
func (b *buildah) build(ctx context.Context) (took time.Duration, err error) {
	b.made++
	unix.Sync()
	began := time.Now()
	id, err := b.do(ctx, "from", "--quiet", "--pull-never", "localhost/"+buildahBase)
	if err != nil {
		return 0, err
	}
	_, err = b.do(ctx, "run", "--isolation", "chroot", "--volume", b.product+":/run/product:ro", id, "--", "/bin/sh", "/run/product/"+productSetup, "/run/product")
	if err != nil {
		return 0, err
	}
	image, err := b.do(ctx, "commit", "--quiet", id, fmt.Sprintf("bench-built-%d", b.made))
	took = time.Since(began)
	if err != nil {
		return 0, err
	}
	_, err = b.do(ctx, "rm", id)
	if err == nil {
		_, err = b.do(ctx, "rmi", image)
	}
	return took, err
}

// program runs a program and returns how long it took.
func program(ctx context.Context, name string, args ...string) (time.Duration, error) {
	c := exec.CommandContext(ctx, name, args...)
	began := time.Now()
	out, err := c.CombinedOutput()
	took := time.Since(began)
	if err != nil {
		return 0, fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return took, nil
}

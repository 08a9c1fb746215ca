package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// dial connects to where a machine should not get: NETWORK ADDRESS.
func dial(args []string) error {
	if len(args) != 2 {
		return errUsage
	}
	c, err := net.DialTimeout(args[0], args[1], 3*time.Second)
	if err != nil {
		fmt.Println(err)
		return nil
	}
	c.Close()
	return through("%s %s answers", args[0], args[1])
}

// nets lists the network's interfaces; there should be lo alone.
func nets([]string) error {
	all, err := net.Interfaces()
	if err != nil {
		fmt.Println(err)
		return nil
	}
	for _, i := range all {
		a, _ := i.Addrs()
		fmt.Println(i.Name, i.Flags, a)
		if i.Flags&net.FlagLoopback == 0 && (i.Flags&net.FlagUp != 0 || len(a) > 0) {
			return through("the machine has the interface %s", i.Name)
		}
	}
	return nil
}

// write tries to open files of the kernel for writing; PATTERN...
func write(args []string) error {
	var open []string
	for _, pattern := range args {
		names, err := filepath.Glob(pattern)
		if err != nil {
			return errUsage
		}
		for _, name := range names {
			info, err := os.Stat(name)
			if err != nil || info.IsDir() {
				continue
			}
			fd, err := unix.Open(name, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
			if err != nil {
				fmt.Println(name, err)
				continue
			}
			unix.Close(fd)
			if null(name) {
				fmt.Println(name, "is the null device")
				continue
			}
			open = append(open, name)
		}
	}
	if len(open) > 0 {
		return through("these can be written: %s", strings.Join(open, " "))
	}
	return nil
}

// null says whether a file is the null device, by which others are masked.
func null(name string) bool {
	var s unix.Stat_t
	return unix.Stat(name, &s) == nil && s.Mode&unix.S_IFMT == unix.S_IFCHR && s.Rdev == unix.Mkdev(1, 3)
}

// read tries to read what the kernel tells of the host: PATH...
func read(args []string) error {
	var told []string
	for _, name := range args {
		fd, err := unix.Open(name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			fmt.Println(name, err)
			continue
		}
		b := make([]byte, 4096)
		n, err := unix.Read(fd, b)
		unix.Close(fd)
		switch {
		case n <= 0:
			fmt.Println(name, n, err)
		case strings.HasSuffix(name, "kallsyms") && bytes.HasPrefix(b, []byte("0000000000000000")):
			fmt.Println(name, "has no addresses")
		default:
			told = append(told, fmt.Sprintf("%s: %q", name, b[:min(n, 60)]))
		}
	}
	if len(told) > 0 {
		return through("these can be read: %s", strings.Join(told, "; "))
	}
	return nil
}

// files lists the descriptors of a process and what they are; what leads to a
// file of the host is told. FOLDER PREFIX... are those that may be.
func files(args []string) error {
	if len(args) == 0 {
		return errUsage
	}
	entries, err := os.ReadDir(args[0])
	if err != nil {
		fmt.Println(err) // it can't even be listed
		return nil
	}
	var leaked []string
	for _, e := range entries {
		path := args[0] + "/" + e.Name()
		to, err := os.Readlink(path)
		if err != nil {
			fmt.Println(path, err)
			continue
		}
		fmt.Println(path, to)
		may := false
		for _, prefix := range args[1:] {
			may = may || strings.HasPrefix(to, prefix)
		}
		if may {
			continue
		}
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err == nil {
			unix.Close(fd)
		}
		leaked = append(leaked, fmt.Sprintf("%s -> %s (opening it: %v)", path, to, err))
	}
	if len(leaked) > 0 {
		return through("descriptors: %s", strings.Join(leaked, "; "))
	}
	return nil
}

// reopen does to its own output what a pipe's other end might not like.
func reopen([]string) error {
	for _, flags := range []int{unix.O_RDWR, unix.O_RDONLY | unix.O_NONBLOCK, unix.O_WRONLY | unix.O_TRUNC | unix.O_NONBLOCK} {
		fd, err := unix.Open("/proc/self/fd/1", flags|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		var s unix.Stat_t
		if unix.Fstat(fd, &s) == nil && s.Mode&unix.S_IFMT == unix.S_IFREG {
			return through("the output is a file of the host")
		}
		unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, 4096)              //nolint:errcheck
		unix.FcntlInt(uintptr(fd), unix.F_SETFL, unix.O_NONBLOCK|0x4000) //nolint:errcheck // and packets
		unix.Ftruncate(fd, 0)                                            //nolint:errcheck
		unix.Fchmod(fd, 0)                                               //nolint:errcheck
		unix.Fchown(fd, 1, 1)                                            //nolint:errcheck
		unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)                        //nolint:errcheck
		unix.Seek(fd, 0, 0)                                              //nolint:errcheck
		unix.Close(fd)
	}
	unix.SetNonblock(1, false) //nolint:errcheck
	os.Stdout.WriteString("the output goes on\n")
	unix.Close(1)
	return nil
}

// exe tries to write to the program that pid 1 and a tool are, as CVE-2019-5736
// did to runc.
func exe(args []string) error {
	for _, path := range append([]string{"/proc/1/exe"}, args...) {
		fd, err := unix.Open(path, unix.O_WRONLY|unix.O_TRUNC|unix.O_CLOEXEC, 0)
		if err != nil {
			fmt.Println(path, err)
			fd, err = unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
			if err != nil {
				fmt.Println(path, err)
				continue
			}
			again, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_WRONLY|unix.O_CLOEXEC, 0)
			unix.Close(fd)
			if err != nil {
				fmt.Println(path, err)
				continue
			}
			fd = again
		}
		n, err := unix.Pwrite(fd, []byte("x"), 1<<20)
		unix.Close(fd)
		if n > 0 || err == nil {
			return through("%s was written to", path)
		}
		fmt.Println(path, err)
	}
	return nil
}

// memfd runs a program that is in no file system. That may be; but it runs under
// the same rules.
func memfd([]string) error {
	program, err := os.ReadFile("/bin/busybox")
	if err != nil {
		return err
	}
	fd, err := unix.MemfdCreate("x", 0)
	if err != nil {
		fmt.Println(err)
		return nil
	}
	if _, err := unix.Write(fd, program); err != nil {
		return err
	}
	c := exec.Command(fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), fd))
	c.Args = []string{"sh", "-c", "mount -t tmpfs none /mnt && echo mounted"}
	out, err := c.CombinedOutput()
	fmt.Printf("%s%v\n", out, err)
	if err == nil || strings.Contains(string(out), "mounted") {
		return through("a program of a memfd mounts")
	}
	return nil
}

// chroot gets out of a chroot within the machine, and looks whether that is out of
// the machine: MARKER is a file of the host.
func chroot(args []string) error {
	if len(args) != 1 {
		return errUsage
	}
	if err := os.MkdirAll("/root/jail", 0o755); err != nil {
		return err
	}
	d, err := os.Open("/")
	if err != nil {
		return err
	}
	if err := unix.Chroot("/root/jail"); err != nil {
		fmt.Println(err)
		return nil
	}
	if err := d.Chdir(); err != nil {
		return err
	}
	for range 64 {
		unix.Chdir("..") //nolint:errcheck
	}
	unix.Chroot(".") //nolint:errcheck
	return alive(args)
}

// alive looks for files of the host: PATH...
func alive(args []string) error {
	for _, path := range args {
		for _, prefix := range []string{"", "/proc/1/root", "/proc/1/cwd", "/proc/self/root", "/proc/self/cwd", "/proc/1/root/../../../../..", "/../../../.."} {
			if _, err := os.Lstat(prefix + path); err == nil {
				return through("%s%s of the host is there", prefix, path)
			} else if !errors.Is(err, os.ErrNotExist) {
				fmt.Println(err)
			}
		}
	}
	return nil
}

// setcap gives a file the capability to bind low ports, as setcap does.
func setcap(args []string) error {
	return unix.Setxattr(args[0], "security.capability", []byte{1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0)
}

// setxattr sets the attributes by which overlay file systems mark directories, so
// that whoever reads the layer takes one for replaced. What came of it says the
// layer.
func setxattr(args []string) error {
	if len(args) != 2 {
		return errUsage
	}
	value := map[string]string{"opaque": "y", "redirect": "/etc"}[args[1]]
	for _, name := range []string{"trusted.overlay.", "user.overlay.", "trusted.overlay.overlay.", "user.overlay.overlay."} {
		fmt.Println(name, unix.Setxattr(args[0], name+args[1], []byte(value), 0))
	}
	fmt.Println(unix.Setxattr(args[0]+"/whiteout", "user.overlay.whiteout", []byte("y"), 0))
	return nil
}

// typeahead puts characters into the terminal's input as if the user typed them.
func typeahead([]string) error {
	for _, c := range []byte("touch /root/typed\n") {
		b := []byte{c}
		if err := raw(unix.SYS_IOCTL, 0, unix.TIOCSTI, bytesAt(b)); err != nil {
			fmt.Println(err)
			return nil
		}
	}
	return nil
}

// sockets tries the abstract unix sockets that it can see.
func sockets([]string) error {
	b, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		fmt.Println(err)
		return nil
	}
	for line := range strings.Lines(string(b)) {
		if _, name, ok := strings.Cut(line, " @"); ok {
			if err := dial([]string{"unix", "@" + strings.TrimSpace(name)}); err != nil {
				return err
			}
		}
	}
	return nil
}

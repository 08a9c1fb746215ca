package main

import (
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// raw makes a system call by its number.
func raw(nr uintptr, args ...uintptr) error {
	var a [6]uintptr
	copy(a[:], args)
	_, _, errno := syscall.RawSyscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
	if errno != 0 {
		return errno
	}
	return nil
}

// str is a C string for a raw call.
func str(s string) uintptr {
	b := append([]byte(s), 0)
	kept = append(kept, b)
	return uintptr(unsafe.Pointer(&b[0]))
}

// buf is memory for a raw call.
func buf(n int) uintptr {
	b := make([]byte, n)
	kept = append(kept, b)
	return uintptr(unsafe.Pointer(&b[0]))
}

// words is memory that holds numbers.
func words(w ...uint64) uintptr {
	kept64 = append(kept64, w)
	return uintptr(unsafe.Pointer(&w[0]))
}

var (
	kept   [][]byte // what the kernel has the address of
	kept64 [][]uint64
)

// child makes a process by a raw clone with flags, which ends at once.
func child(flags uintptr) error {
	runtime.LockOSThread()
	pid, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, flags|uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 {
		return errno
	}
	if pid == 0 {
		syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 0, 0, 0)
	}
	var status syscall.WaitStatus
	syscall.Wait4(int(pid), &status, 0, nil)
	return nil
}

// socket opens a socket.
func socket(family, kind, protocol int) func() error {
	return func() error {
		fd, err := unix.Socket(family, kind, protocol)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}
}

// unshare makes new namespaces for a thread that is thrown away.
func unshare(flags int) func() error {
	return func() error { runtime.LockOSThread(); return unix.Unshare(flags) }
}

// setns enters a namespace of pid 1.
func setns(name string, kind int) func() error {
	return func() error {
		runtime.LockOSThread()
		fd, err := unix.Open("/proc/1/ns/"+name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Setns(fd, kind)
	}
}

// node makes a device node and, where that is let, opens it.
func node(name string, mode uint32, major, minor uint32) func() error {
	return func() error {
		path := "/root/" + name
		defer os.Remove(path)
		if err := unix.Mknod(path, mode|0o666, int(unix.Mkdev(major, minor))); err != nil {
			return err
		}
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK, 0)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}
}

// calls are the system calls by name. Their arguments are right, so that a kernel
// that is asked by one who may would do it; where that would harm the host of a
// machine that holds nothing, they are those of the harmless variant.
var calls = map[string]func() error{
	"mount tmpfs":           func() error { return unix.Mount("none", "/mnt", "tmpfs", 0, "") },
	"mount proc":            func() error { return unix.Mount("none", "/mnt", "proc", 0, "") },
	"mount bind":            func() error { return unix.Mount("/etc", "/mnt", "", unix.MS_BIND, "") },
	"mount overlay":         func() error { return unix.Mount("o", "/mnt", "overlay", 0, "lowerdir=/etc,upperdir=/opt,workdir=/var") },
	"mount cgroup":          func() error { return unix.Mount("c", "/mnt", "cgroup", 0, "memory") },
	"mount cgroup2":         func() error { return unix.Mount("c", "/mnt", "cgroup2", 0, "") },
	"mount sysfs":           func() error { return unix.Mount("s", "/mnt", "sysfs", 0, "") },
	"mount a disk":          func() error { return unix.Mount("/dev/vda", "/mnt", "ext4", 0, "") },
	"remount proc writable": func() error { return unix.Mount("", "/proc/sys", "", unix.MS_REMOUNT|unix.MS_BIND, "") },
	"remount root":          func() error { return unix.Mount("", "/", "", unix.MS_REMOUNT, "") },
	"make root shared":      func() error { return unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, "") },
	"move a mount":          func() error { return unix.Mount("/proc", "/mnt", "", unix.MS_MOVE, "") },
	"umount proc":           func() error { return unix.Unmount("/proc", unix.MNT_DETACH) },
	"umount a mask":         func() error { return unix.Unmount("/proc/sys", unix.MNT_DETACH) },
	"umount root":           func() error { return unix.Unmount("/", unix.MNT_DETACH) },
	"pivot_root":            func() error { return unix.PivotRoot("/mnt", "/mnt") },
	"fsopen":                func() error { return raw(unix.SYS_FSOPEN, str("tmpfs"), 0) },
	"fspick":                func() error { return raw(unix.SYS_FSPICK, ^uintptr(99), str("/"), 0) },
	"open_tree":             func() error { return raw(unix.SYS_OPEN_TREE, ^uintptr(99), str("/"), 1) },
	"move_mount": func() error {
		return raw(unix.SYS_MOVE_MOUNT, ^uintptr(99), str("/proc"), ^uintptr(99), str("/mnt"), 0)
	},
	"mount_setattr": func() error { return raw(unix.SYS_MOUNT_SETATTR, ^uintptr(99), str("/"), 0, words(0, 1, 0, 0), 32) },

	"mknod block":            node("sda", unix.S_IFBLK, 8, 0),
	"mknod loop":             node("loop0", unix.S_IFBLK, 7, 0),
	"mknod memory":           node("mem", unix.S_IFCHR, 1, 1),
	"mknod kernel log":       node("kmsg", unix.S_IFCHR, 1, 11),
	"mknod null":             node("null", unix.S_IFCHR, 1, 3),
	"mknod fuse":             node("fuse", unix.S_IFCHR, 10, 229),
	"mknod kvm":              node("kvm", unix.S_IFCHR, 10, 232),
	"mknod whiteout":         node("whiteout", unix.S_IFCHR, 0, 0),
	"ptrace attach to pid 1": func() error { return unix.PtraceAttach(1) },
	"ptrace seize pid 1":     func() error { return raw(unix.SYS_PTRACE, 0x4206, 1, 0, 0) },
	"process_vm_readv": func() error {
		return raw(unix.SYS_PROCESS_VM_READV, 1, words(uint64(buf(8)), 8), 1, words(0x400000, 8), 1, 0)
	},
	"process_vm_writev": func() error {
		return raw(unix.SYS_PROCESS_VM_WRITEV, 1, words(uint64(buf(8)), 8), 1, words(0x400000, 8), 1, 0)
	},
	"kcmp":                    func() error { return raw(unix.SYS_KCMP, 1, uintptr(os.Getpid()), 0, 0, 0) },
	"descriptors of pid 1":    descriptors,
	"memory of pid 1":         func() error { return peek("/proc/1/mem") },
	"process_madvise":         func() error { return processMadvise() },
	"move_pages of pid 1":     func() error { return raw(unix.SYS_MOVE_PAGES, 1, 0, 0, 0, 0, 0) },
	"migrate_pages of pid 1":  func() error { return raw(unix.SYS_MIGRATE_PAGES, 1, 64, words(1), words(1)) },
	"get_robust_list of pid1": func() error { return raw(unix.SYS_GET_ROBUST_LIST, 1, buf(8), buf(8)) },

	"raw socket":         socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP),
	"raw socket of IPv6": socket(unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_ICMPV6),
	"packet socket":      socket(unix.AF_PACKET, unix.SOCK_RAW, 0x0300),
	"packet datagrams":   socket(unix.AF_PACKET, unix.SOCK_DGRAM, 0x0300),
	"vsock":              socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0),
	"AF_ALG":             socket(unix.AF_ALG, unix.SOCK_SEQPACKET, 0),
	"AF_KEY":             socket(unix.AF_KEY, unix.SOCK_RAW, 2),
	"AF_XDP":             socket(unix.AF_XDP, unix.SOCK_RAW, 0),
	"AF_BLUETOOTH":       socket(unix.AF_BLUETOOTH, unix.SOCK_RAW, 1),
	"AF_CAN":             socket(unix.AF_CAN, unix.SOCK_RAW, 1),
	"AF_RDS":             socket(unix.AF_RDS, unix.SOCK_SEQPACKET, 0),
	"AF_TIPC":            socket(unix.AF_TIPC, unix.SOCK_RDM, 0),
	"netlink: uevents":   netlink(unix.NETLINK_KOBJECT_UEVENT),
	"netlink: audit":     netlink(unix.NETLINK_AUDIT),
	"netlink: netfilter": netlink(unix.NETLINK_NETFILTER),
	"netlink: crypto":    netlink(unix.NETLINK_CRYPTO),
	"netlink: xfrm":      netlink(unix.NETLINK_XFRM),

	"setns mount":      setns("mnt", unix.CLONE_NEWNS),
	"setns user":       setns("user", unix.CLONE_NEWUSER),
	"setns net":        setns("net", unix.CLONE_NEWNET),
	"setns pid":        setns("pid", unix.CLONE_NEWPID),
	"setns uts":        setns("uts", unix.CLONE_NEWUTS),
	"setns ipc":        setns("ipc", unix.CLONE_NEWIPC),
	"setns cgroup":     setns("cgroup", unix.CLONE_NEWCGROUP),
	"unshare user":     unshare(unix.CLONE_NEWUSER),
	"unshare mount":    unshare(unix.CLONE_NEWNS),
	"unshare net":      unshare(unix.CLONE_NEWNET),
	"unshare pid":      unshare(unix.CLONE_NEWPID),
	"unshare cgroup":   unshare(unix.CLONE_NEWCGROUP),
	"unshare time":     unshare(unix.CLONE_NEWTIME),
	"clone user":       func() error { return child(unix.CLONE_NEWUSER) },
	"clone mount":      func() error { return child(unix.CLONE_NEWNS) },
	"clone user+mount": func() error { return child(unix.CLONE_NEWUSER | unix.CLONE_NEWNS) },
	"clone net":        func() error { return child(unix.CLONE_NEWNET) },
	"clone3 user":      func() error { return clone3(unix.CLONE_NEWUSER) },
	"clone3 mount":     func() error { return clone3(unix.CLONE_NEWNS) },
	"clone3 net":       func() error { return clone3(unix.CLONE_NEWNET) },

	"add_key":     func() error { return raw(unix.SYS_ADD_KEY, str("user"), str("souk"), str("x"), 1, ^uintptr(2)) },
	"request_key": func() error { return raw(unix.SYS_REQUEST_KEY, str("user"), str("souk"), 0, ^uintptr(2)) },
	"keyctl":      func() error { return raw(unix.SYS_KEYCTL, 0, ^uintptr(2), 1) },
	"keyctl join": func() error { return raw(unix.SYS_KEYCTL, 1, str("souk")) },
	"bpf map":     func() error { return raw(unix.SYS_BPF, 0, words(2|4<<32, 4|1<<32, 0, 0, 0, 0, 0, 0, 0), 72) },
	"bpf program": func() error {
		return raw(unix.SYS_BPF, 5, words(1|2<<32, uint64(words(0x00000000000000b7, 0x95)), uint64(str("GPL")), 0, 0, 0, 0, 0, 0), 72)
	},
	"perf_event_open": func() error {
		return raw(unix.SYS_PERF_EVENT_OPEN, words(1|128<<32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0, ^uintptr(0), ^uintptr(0), 0)
	},
	"userfaultfd":    func() error { return raw(unix.SYS_USERFAULTFD, 0) },
	"io_uring_setup": func() error { return raw(unix.SYS_IO_URING_SETUP, 4, buf(120)) },
	"fanotify_init":  func() error { return raw(unix.SYS_FANOTIFY_INIT, 0, 0) },
	"open_by_handle": shocker,
	"kexec_load":     func() error { return raw(unix.SYS_KEXEC_LOAD, 0, 0, 0, 0) },
	"init_module":    func() error { return raw(unix.SYS_INIT_MODULE, buf(64), 64, str("")) },
	"finit_module":   func() error { return raw(unix.SYS_FINIT_MODULE, 0, str(""), 0) },
	"delete_module":  func() error { return raw(unix.SYS_DELETE_MODULE, str("no_such_module_of_souk"), unix.O_NONBLOCK) },
	"swapon":         func() error { return raw(unix.SYS_SWAPON, str("/etc/passwd"), 0) },
	"swapoff":        func() error { return raw(unix.SYS_SWAPOFF, str("/etc/passwd")) },
	"acct":           func() error { return raw(unix.SYS_ACCT, str("/etc/passwd")) },
	"quotactl":       func() error { return raw(unix.SYS_QUOTACTL, 0x80000100, str("/dev/vda"), 0, 0) }, // Q_SYNC
	"reboot":         func() error { return raw(unix.SYS_REBOOT, 0xfee1dead, 672274793, 0x89abcdef, 0) },
	"settimeofday":   func() error { return setTime() },
	"clock_settime":  func() error { return clockSetTime() },
	"adjtimex":       func() error { t := unix.Timex{Modes: 0x4000, Tick: 10000}; _, err := unix.Adjtimex(&t); return err },
	"clock_adjtime": func() error {
		return raw(unix.SYS_CLOCK_ADJTIME, 0, words(0x4000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))
	},
	"syslog":         func() error { return raw(unix.SYS_SYSLOG, 3, buf(4096), 4096) },
	"vhangup":        func() error { return raw(unix.SYS_VHANGUP) },
	"lookup_dcookie": func() error { return raw(unix.SYS_LOOKUP_DCOOKIE, 0, buf(64), 64) },
	"raise a limit": func() error {
		l := unix.Rlimit{Cur: 1 << 40, Max: 1 << 40}
		return unix.Prlimit(0, unix.RLIMIT_NOFILE, &l, nil)
	},
	"limits of pid 1": func() error {
		l := unix.Rlimit{Cur: 1 << 40, Max: 1 << 40}
		return unix.Prlimit(1, unix.RLIMIT_MEMLOCK, &l, nil)
	},
	"nice":      func() error { return unix.Setpriority(unix.PRIO_PROCESS, 0, -20) },
	"real time": func() error { return raw(unix.SYS_SCHED_SETSCHEDULER, 0, 1, words(50)) },
	"deadline": func() error {
		return raw(unix.SYS_SCHED_SETATTR, 0, words(48|6<<32, 0, 0, 1000000, 2000000, 2000000), 0)
	},
	"ioprio real time": func() error { return raw(unix.SYS_IOPRIO_SET, 1, 0, 1<<13) },
	"oom_score_adj": func() error {
		f, err := os.OpenFile("/proc/self/oom_score_adj", os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = f.WriteString("-1000")
		return err
	},
	"signal outside": func() error {
		for _, pid := range []int{-4194304, 4194303} { // numbers that no process of the machine has
			if err := unix.Kill(pid, 0); err != unix.ESRCH {
				return err
			}
		}
		return unix.EPERM // nothing to signal
	},
}

func netlink(protocol int) func() error {
	return func() error {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, protocol)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1})
	}
}

func clone3(flags uint64) error {
	runtime.LockOSThread()
	pid, _, errno := syscall.RawSyscall(unix.SYS_CLONE3, words(flags, 0, 0, 0, uint64(syscall.SIGCHLD), 0, 0, 0), 64, 0)
	if errno != 0 {
		return errno
	}
	if pid == 0 {
		syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 0, 0, 0)
	}
	return nil
}

// shocker opens a file of the host by its handle, as in the exploit of that name.
func shocker() error {
	dir, err := unix.Open("/", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	for _, inode := range []uint32{2, 128, 256} { // roots of ext4, xfs, btrfs
		h := unix.NewFileHandle(1, []byte{byte(inode), byte(inode >> 8), 0, 0, 0, 0, 0, 0})
		fd, err := unix.OpenByHandleAt(dir, h, unix.O_RDONLY)
		if err == nil {
			unix.Close(fd)
			return nil
		}
		if err == unix.EPERM || err == unix.ENOSYS {
			return err
		}
	}
	return unix.ESTALE // it was let look
}

// descriptors takes descriptors out of pid 1.
func descriptors() error {
	fd, err := unix.PidfdOpen(1, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for n := range 64 {
		_, err := unix.PidfdGetfd(fd, n, 0)
		if err == nil || err == unix.EPERM || err == unix.ENOSYS {
			return err
		}
	}
	return unix.EBADF
}

func processMadvise() error {
	fd, err := unix.PidfdOpen(1, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return raw(unix.SYS_PROCESS_MADVISE, uintptr(fd), words(0x400000, 4096), 1, 21, 0)
}

// peek reads the memory that holds pid 1's program.
func peek(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.ReadAt(make([]byte, 8), 0x400000)
	return err
}

func setTime() error {
	var now unix.Timeval
	if err := unix.Gettimeofday(&now); err != nil {
		return err
	}
	return unix.Settimeofday(&now)
}

func clockSetTime() error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_REALTIME, &now); err != nil {
		return err
	}
	return unix.ClockSettime(unix.CLOCK_REALTIME, &now)
}

// bytesAt is where bytes are, for a raw call.
func bytesAt(b []byte) uintptr {
	kept = append(kept, b)
	return uintptr(unsafe.Pointer(&b[0]))
}

package sandbox

import (
	"encoding/binary"
	"runtime"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// answer runs a filter as the kernel does. The package's machine reads words in
// network order, so the data is given to it that way.
func answer(t *testing.T, filter []unix.SockFilter, arch, number uint32, args ...uint64) uint32 {
	t.Helper()
	var raw []bpf.RawInstruction
	for _, i := range filter {
		raw = append(raw, bpf.RawInstruction{Op: i.Code, Jt: i.Jt, Jf: i.Jf, K: i.K})
	}
	code, ok := bpf.Disassemble(raw)
	if !ok {
		t.Fatal("the filter has an instruction that is none")
	}
	vm, err := bpf.NewVM(code)
	if err != nil {
		t.Fatal(err)
	}
	data := binary.BigEndian.AppendUint32(nil, number)
	data = binary.BigEndian.AppendUint32(data, arch)
	data = append(data, make([]byte, 8)...)
	for i := range 6 {
		var v uint64
		if i < len(args) {
			v = args[i]
		}
		data = binary.BigEndian.AppendUint32(data, uint32(v)) // the low half lies first
		data = binary.BigEndian.AppendUint32(data, uint32(v>>32))
	}
	got, err := vm.Run(data)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(got)
}

func TestFiltersAnswerAsTheTableSays(t *testing.T) {
	t.Parallel()
	const eperm, enosys, family = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM), unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS), unix.SECCOMP_RET_ERRNO | uint32(unix.EAFNOSUPPORT)
	// Numbers are those of the kernel's tables: amd64, arm64.
	numbers := map[string][2]uint32{
		"read": {0, 63}, "openat": {257, 56}, "execve": {59, 221}, "wait4": {61, 260}, "chroot": {161, 51},
		"ptrace": {101, 117}, "mount": {165, 40}, "umount2": {166, 39}, "unshare": {272, 97}, "setns": {308, 268}, "pivot_root": {155, 41},
		"bpf": {321, 280}, "perf_event_open": {298, 241}, "keyctl": {250, 219}, "add_key": {248, 217}, "request_key": {249, 218},
		"kexec_load": {246, 104}, "init_module": {175, 105}, "finit_module": {313, 273}, "reboot": {169, 142}, "settimeofday": {164, 170},
		"clock_settime": {227, 112}, "clock_adjtime": {305, 266}, "adjtimex": {159, 171}, "open_by_handle_at": {304, 265}, "userfaultfd": {323, 282},
		"io_uring_setup": {425, 425}, "process_vm_readv": {310, 270}, "process_vm_writev": {311, 271}, "pidfd_getfd": {438, 438},
		"move_mount": {429, 429}, "open_tree": {428, 428}, "fsopen": {430, 430}, "mount_setattr": {442, 442}, "swapon": {167, 224}, "acct": {163, 89},
		"syslog": {103, 116}, "sethostname": {170, 161}, "quotactl": {179, 60}, "lookup_dcookie": {212, 18}, "vhangup": {153, 58}, "kcmp": {312, 272},
		"clone": {56, 220}, "clone3": {435, 435}, "socket": {41, 198}, "socketpair": {53, 199}, "personality": {135, 92},
	}
	allowed := map[string]bool{"read": true, "openat": true, "execve": true, "wait4": true, "chroot": true}
	special := map[string]bool{"clone": true, "clone3": true, "socket": true, "socketpair": true, "personality": true}
	for i, arch := range []string{"amd64", "arm64"} {
		audit := []uint32{0xc000003e, 0xc00000b7}[i]
		filter, err := compile(arch, false)
		if err != nil {
			t.Fatal(err)
		}
		open, err := compile(arch, true)
		if err != nil {
			t.Fatal(err)
		}
		check := func(what string, got, want uint32) {
			t.Helper()
			if got != want {
				t.Errorf("%s: %s: got %x, want %x", arch, what, got, want)
			}
		}
		for name, n := range numbers {
			if special[name] {
				continue
			}
			want := uint32(eperm)
			if allowed[name] {
				want = unix.SECCOMP_RET_ALLOW
			}
			check(name, answer(t, filter, audit, n[i]), want)
		}
		call := func(name string, args ...uint64) uint32 { return answer(t, filter, audit, numbers[name][i], args...) }
		check("another architecture", answer(t, filter, 0x40000003, 0), unix.SECCOMP_RET_KILL_PROCESS)
		check("a call that is newer than the table", answer(t, filter, audit, 600), enosys)
		if arch == "amd64" {
			check("a number of x32", answer(t, filter, audit, 0x40000000), enosys)
		}
		check("a thread", call("clone", 0x3d0f00), unix.SECCOMP_RET_ALLOW)
		check("a process", call("clone", 17), unix.SECCOMP_RET_ALLOW)
		for _, flag := range []uint64{0x10000000, 0x20000, 0x20000000, 0x40000000, 0x4000000, 0x8000000, 0x2000000} {
			check("a namespace", call("clone", flag|17), eperm)
		}
		check("clone3", call("clone3"), enosys)
		check("clone3 where it is allowed", answer(t, open, audit, 435), unix.SECCOMP_RET_ALLOW)
		for f := uint64(0); f < 64; f++ {
			want := uint32(family)
			if f == unix.AF_UNIX || f == unix.AF_INET || f == unix.AF_INET6 {
				want = unix.SECCOMP_RET_ALLOW
			}
			if f == unix.AF_NETLINK {
				want = unix.SECCOMP_RET_ALLOW // of protocol 0: routes
			}
			check("a socket", call("socket", f), want)
			check("a pair of sockets", call("socketpair", f), want)
		}
		check("netlink of another kind", call("socket", unix.AF_NETLINK, 3, unix.NETLINK_AUDIT), family)
		check("personality 0", call("personality", 0), unix.SECCOMP_RET_ALLOW)
		check("personality asked for", call("personality", 0xffffffff), unix.SECCOMP_RET_ALLOW)
		check("another personality", call("personality", 0x0040000), eperm)
	}
}

func TestThereIsNoFilterForOtherArchitectures(t *testing.T) {
	t.Parallel()
	_, err := compile("riscv64", false)
	if err == nil {
		t.Error("a filter was made")
	}
}

// TestTheTableHasTheNumbersOfThisArchitecture takes them from another source.
func TestTheTableHasTheNumbersOfThisArchitecture(t *testing.T) {
	t.Parallel()
	all, err := syscalls(runtime.GOARCH)
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]uint32{}
	for _, r := range all {
		have[r.name] = r.number
	}
	for name, want := range map[string]uint32{
		"read": unix.SYS_READ, "clone3": unix.SYS_CLONE3, "openat2": unix.SYS_OPENAT2, "futex_waitv": unix.SYS_FUTEX_WAITV, "statx": unix.SYS_STATX,
		"landlock_restrict_self": unix.SYS_LANDLOCK_RESTRICT_SELF, "fchmodat2": unix.SYS_FCHMODAT2, "getrandom": unix.SYS_GETRANDOM, "seccomp": unix.SYS_SECCOMP,
	} {
		if have[name] != want {
			t.Errorf("%s is %d, want %d", name, have[name], want)
		}
	}
}

package sandbox

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

//go:embed syscalls.tsv
var syscallTable string

// syscallRule is a row of syscalls.tsv for one architecture.
type syscallRule struct {
	name   string
	rule   string
	number uint32
}

// Rules of syscalls.tsv.
const (
	ruleAllow       = "allow"
	ruleSocket      = "socket"      // of some families
	rulePersonality = "personality" // one of the usual
	ruleClone       = "clone"       // without namespaces of its own
	ruleClone3      = "clone3"      // its flags can't be seen: see compile
)

// architectures are those that the table has, with the kernel's name for each.
var architectures = map[string]struct {
	audit  uint32
	column int
	x32    bool // has a second set of numbers, which is refused
}{
	"amd64": {unix.AUDIT_ARCH_X86_64, 2, true},
	"arm64": {unix.AUDIT_ARCH_AARCH64, 3, false},
}

// syscalls reads the table for an architecture, as Go names it.
func syscalls(arch string) ([]syscallRule, error) {
	a, ok := architectures[arch]
	if !ok {
		return nil, fmt.Errorf("there is no list of system calls for %s", arch)
	}
	var all []syscallRule
	for line := range strings.Lines(syscallTable) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(strings.TrimSpace(line), "\t")
		if len(fields) != 4 {
			return nil, fmt.Errorf("syscalls.tsv: %q has not four columns", line)
		}
		if fields[a.column] == "-" {
			continue
		}
		n, err := strconv.ParseUint(fields[a.column], 10, 16)
		if err != nil {
			return nil, fmt.Errorf("syscalls.tsv: %s: %w", fields[0], err)
		}
		all = append(all, syscallRule{fields[0], fields[1], uint32(n)})
	}
	slices.SortFunc(all, func(a, b syscallRule) int { return int(a.number) - int(b.number) })
	return all, nil
}

// Where a filter finds what it looks at: struct seccomp_data, little-endian.
const (
	dataNumber = 0
	dataArch   = 4
	dataArgs   = 16 // eight bytes each
)

// Answers of a filter.
const (
	answerAllow = unix.SECCOMP_RET_ALLOW
	answerKill  = unix.SECCOMP_RET_KILL_PROCESS
)

func refuse(e unix.Errno) uint32 { return unix.SECCOMP_RET_ERRNO | uint32(e) }

// x32Bit is set in the numbers of amd64's second set.
const x32Bit = 0x40000000

// namespaceFlags are those of clone that make namespaces.
const namespaceFlags = unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET |
	unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWCGROUP

// personalities are Linux, its 32-bit form, its old memory layouts, and the
// question which one holds.
var personalities = []uint32{0, 0x8, 0x20000, 0x20008, 0xffffffff}

// families are those of sockets that a machine may use: there is nothing behind
// others but parts of the kernel that few look at. Netlink is for the route family
// alone, which tells the addresses of the machine.
var families = []uint32{unix.AF_UNIX, unix.AF_INET, unix.AF_INET6}

// builder builds a filter.
type builder struct{ code []unix.SockFilter }

func (b *builder) load(offset uint32) {
	b.code = append(b.code, unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset})
}

func (b *builder) ret(answer uint32) {
	b.code = append(b.code, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: answer})
}

// jump skips so many instructions if the test is true, or if it is false.
func (b *builder) jump(test uint16, k uint32, yes, no uint8) {
	b.code = append(b.code, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_K | test, K: k, Jt: yes, Jf: no})
}

// is answers if what is loaded is a value.
func (b *builder) is(k, answer uint32) {
	b.jump(unix.BPF_JEQ, k, 0, 1)
	b.ret(answer)
}

// compile makes the filter of an architecture. clone3 says that the call is
// allowed, although a filter can't see its flags: then the machine's user
// namespace must allow no namespaces in itself.
func compile(arch string, clone3 bool) ([]unix.SockFilter, error) {
	rules, err := syscalls(arch)
	if err != nil {
		return nil, err
	}
	a := architectures[arch]
	var b builder
	b.load(dataArch)
	b.jump(unix.BPF_JEQ, a.audit, 1, 0)
	b.ret(answerKill)
	b.load(dataNumber)
	if a.x32 {
		b.jump(unix.BPF_JGE, x32Bit, 0, 1)
		b.ret(refuse(unix.ENOSYS))
	}
	// Runs of numbers that are allowed whatever their arguments are.
	for i := 0; i < len(rules); {
		if rules[i].rule != ruleAllow {
			i++
			continue
		}
		j := i + 1
		for j < len(rules) && rules[j].rule == ruleAllow && rules[j].number == rules[j-1].number+1 {
			j++
		}
		b.jump(unix.BPF_JGE, rules[i].number, 0, 2)
		b.jump(unix.BPF_JGT, rules[j-1].number, 1, 0)
		b.ret(answerAllow)
		i = j
	}
	for _, r := range rules {
		if r.rule == ruleAllow {
			continue
		}
		var part builder
		err := part.special(r, clone3)
		if err != nil {
			return nil, err
		}
		b.jump(unix.BPF_JEQ, r.number, 0, uint8(len(part.code)))
		b.code = append(b.code, part.code...)
	}
	b.jump(unix.BPF_JGT, rules[len(rules)-1].number, 0, 1)
	b.ret(refuse(unix.ENOSYS))
	b.ret(refuse(unix.EPERM))
	return b.code, nil
}

// special answers for a call whose arguments matter. It never falls through.
func (b *builder) special(r syscallRule, clone3 bool) error {
	switch r.rule {
	case ruleClone3:
		if clone3 {
			b.ret(answerAllow)
			return nil
		}
		b.ret(refuse(unix.ENOSYS)) // libraries fall back to clone
	case ruleClone:
		b.load(dataArgs)
		b.jump(unix.BPF_JSET, namespaceFlags, 0, 1)
		b.ret(refuse(unix.EPERM))
		b.ret(answerAllow)
	case rulePersonality:
		b.load(dataArgs)
		for _, p := range personalities {
			b.is(p, answerAllow)
		}
		b.ret(refuse(unix.EPERM))
	case ruleSocket:
		b.load(dataArgs)
		for _, f := range families {
			b.is(f, answerAllow)
		}
		b.jump(unix.BPF_JEQ, unix.AF_NETLINK, 0, 3)
		b.load(dataArgs + 16)
		b.is(unix.NETLINK_ROUTE, answerAllow)
		b.ret(refuse(unix.EAFNOSUPPORT))
	default:
		return fmt.Errorf("syscalls.tsv: %s has a rule that is not known: %s", r.name, r.rule)
	}
	return nil
}

// install puts a filter on all threads of this process, and on all that it starts.
func install(filter []unix.SockFilter) error {
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return fmt.Errorf("filtering system calls: %w", errno)
	}
	return nil
}

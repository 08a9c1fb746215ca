package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"souk/artifact/machine/agent"
)

// This file runs in the machine: its first process puts it together as far as the
// host could not, gives away what it needs no more, and becomes the agent.

// argument is argument 0 of a machine's first process.
const argument = "souk-machine"

// Descriptors that the first process is started with.
const (
	sideFD  = 3 // takes the setup and groups, gives what failed
	agentFD = 4 // the agent's stream
)

// setup says how the first process puts its machine together.
type setup struct {
	Hostname string
	Rootless bool    // it stacks and furnishes the root itself
	Overlay  overlay // if Rootless
	Tmp      string  // if Rootless
	Files    string  // if Rootless
	Memory   int64
	OneUser  bool // there is no user but root
	Sudo     bool // programs may gain rights by being run
	Pids     int  // 0: the host limits them
	// Loaded: this program needs a loader, which stands in the machine; Load are its
	// files on the host, if Rootless.
	Loaded bool
	Load   map[string]string
	// Commands are the machine's, and Program the file on the host that they lead to,
	// if Rootless.
	Commands []string
	Program  string
	// Threads is how many lists of groups come with this.
	Threads int
	// Apart: programs get a namespace of control groups. Where version 2 limits them
	// the agent could then start none in their groups.
	Apart bool
}

// Main is the first process of a machine, or a tool of its agent, if this process
// was started as one; it does not return then. Otherwise it returns at once. A
// program that makes machines calls it before anything else: it is started again
// as their first process.
func Main(tools map[string]agent.Tool) {
	agent.Main(tools)
	if len(os.Args) != 1 || os.Args[0] != argument {
		return
	}
	runtime.LockOSThread()
	side := os.NewFile(sideFD, "side")
	err := first(side)
	if err != nil {
		_ = unix.Send(sideFD, []byte(err.Error()), 0)
		os.Exit(1)
	}
	os.Exit(0)
}

// maxSide is how large a message on the side channel may be.
const maxSide = 64 << 10

// first is the first process.
func first(side *os.File) error {
	// Go leaves open what our parent had open.
	err := unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC)
	if err != nil {
		return fmt.Errorf("closing the host's files: %w", err)
	}
	s, threads, err := receive()
	if err != nil {
		return err
	}
	clone3, err := s.enter()
	if err != nil {
		return err
	}
	// The thread that starts programs is not the first: that one is in the agent's group.
	g := &groups{side: side, ready: map[uint32]int{}, clone3: clone3, starts: make(chan func())}
	confined := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		err := s.join(threads)
		if err == nil {
			err = s.confine(clone3)
		}
		confined <- err
		for f := range g.starts {
			f()
		}
	}()
	err = <-confined
	if err != nil {
		return err
	}
	if s.Pids != 0 {
		keepThreads()
	}
	theirs := os.NewFile(agentFD, "agent")
	stream, err := net.FileConn(theirs)
	if err != nil {
		return fmt.Errorf("opening the stream to the host: %w", err)
	}
	// By the file, not by its number: else that is closed once more when the file is
	// collected, and may be a pipe of a program by then.
	theirs.Close()
	config := agent.Config{Conn: stream, Start: g.start, OneUser: s.OneUser, Commands: len(s.Commands) > 0, Reap: true}
	if s.Loaded {
		config.Self = loaded
	}
	return agent.Serve(config)
}

// keepThreads makes as many threads as the agent may need. Where it shares the limit
// of processes with its programs they may leave it none, and Go dies of that; it
// keeps those that it has.
func keepThreads() {
	var all [2]int
	err := unix.Pipe2(all[:], unix.O_CLOEXEC)
	if err != nil {
		return
	}
	var busy sync.WaitGroup
	for range agentPids / 2 {
		busy.Go(func() {
			_, _ = unix.Read(all[0], make([]byte, 1)) // in the kernel, where it holds a thread
		})
	}
	for {
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil || len(threads) > agentPids/2 {
			break
		}
		time.Sleep(100 * time.Microsecond)
	}
	unix.Close(all[1])
	busy.Wait()
	unix.Close(all[0])
}

// receive waits for the host to say how to start.
func receive() (s setup, threads []int, err error) {
	buf, control := make([]byte, maxSide), make([]byte, unix.CmsgSpace(4*16))
	n, oobn, _, _, err := unix.Recvmsg(sideFD, buf, control, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return s, nil, fmt.Errorf("waiting for the host: %w", err)
	}
	if n == 0 {
		return s, nil, errors.New("the host went away")
	}
	err = json.Unmarshal(buf[:n], &s)
	if err != nil {
		return s, nil, fmt.Errorf("reading how to start: %w", err)
	}
	messages, err := unix.ParseSocketControlMessage(control[:oobn])
	if err == nil && len(messages) == 1 {
		threads, err = unix.ParseUnixRights(&messages[0])
	}
	if err != nil || len(threads) != s.Threads {
		return s, nil, fmt.Errorf("taking the lists of groups: %d of %d: %w", len(threads), s.Threads, err)
	}
	return s, threads, nil
}

// join puts this thread into the groups of the machine's programs, and hides those
// above from what it starts.
func (s setup) join(threads []int) error {
	for _, fd := range threads {
		_, err := unix.Write(fd, []byte("0"))
		unix.Close(fd)
		if err != nil {
			return fmt.Errorf("joining the machine's group: %w", err)
		}
	}
	if !s.Apart {
		return nil
	}
	err := unix.Unshare(unix.CLONE_NEWCGROUP)
	if err != nil {
		return fmt.Errorf("hiding the host's groups: %w", err)
	}
	return nil
}

// enter makes the machine's root this process's and gives it the namespaces' own
// things. It returns whether the machine can make no namespaces whatever call it
// uses.
func (s setup) enter() (sealed bool, err error) {
	err = unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, "")
	if err != nil {
		return false, fmt.Errorf("keeping mounts apart: %w", err)
	}
	if s.Rootless {
		err = s.Overlay.mount()
		if err != nil {
			return false, err
		}
	}
	t, err := openTree(0)
	if err != nil {
		return false, err
	}
	defer t.close()
	if s.Rootless {
		err = t.furnish(s.Tmp, s.Files, s.Memory)
		if err == nil {
			err = t.load(s.Load)
		}
		if err == nil {
			err = t.command(s.Commands, s.Program)
		}
		if err != nil {
			return false, err
		}
	}
	// The host has so many terminals, which all share.
	pts := "newinstance,ptmxmode=0666,mode=0620,max=256"
	if !s.OneUser {
		pts += ",gid=5"
	}
	err = t.mount("devpts", "dev/pts", "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, pts)
	if err != nil {
		return false, err
	}
	err = t.mount("proc", "proc", "proc", quietFlag|unix.MS_NOEXEC, "")
	if err != nil {
		return false, err
	}
	err = pivot()
	if err != nil {
		return false, fmt.Errorf("entering the machine's root: %w", err)
	}
	err = unix.Unmount(".", unix.MNT_DETACH) // the host's root, which lies on ours
	if err != nil {
		return false, fmt.Errorf("leaving the host's root: %w", err)
	}
	err = unix.Chdir("/")
	if err != nil {
		return false, fmt.Errorf("entering the machine's root: %w", err)
	}
	cgroups := "0"
	if s.Apart {
		cgroups = "2" // that of this process, and that of join
	}
	sealed = forbidNamespaces(cgroups)
	err = maskProc()
	if err != nil {
		return false, err
	}
	err = unix.Sethostname([]byte(s.Hostname))
	if err != nil {
		return false, fmt.Errorf("naming the machine: %w", err)
	}
	return sealed, loopback()
}

// pivot makes the current directory the root. The kernel takes no mount for that
// which came with the namespace, so it gets a copy that is ours. No path leads there
// that this process may walk.
func pivot() error {
	fd, err := unix.OpenTree(unix.AT_FDCWD, ".", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	err = unix.MoveMount(fd, "", unix.AT_FDCWD, ".", unix.MOVE_MOUNT_F_EMPTY_PATH)
	if err != nil {
		return err
	}
	err = unix.Fchdir(fd)
	if err != nil {
		return err
	}
	return unix.PivotRoot(".", ".")
}

// forbidNamespaces makes the kernel allow no further namespaces in the machine's
// user namespace, but so many of cgroups.
func forbidNamespaces(cgroups string) bool {
	for _, kind := range []string{"user", "mnt", "pid", "net", "uts", "ipc", "cgroup"} {
		file, most := "/proc/sys/user/max_"+kind+"_namespaces", "0"
		if kind == "cgroup" {
			most = cgroups
		}
		err := os.WriteFile(file, []byte(most), 0)
		if err != nil {
			return false
		}
		got, err := os.ReadFile(file)
		if err != nil || string(got) != most+"\n" {
			return false
		}
	}
	return true
}

// maskProc hides what of /proc tells of the host, and makes read-only what changes it.
func maskProc() error {
	for _, name := range []string{"sys", "sysrq-trigger", "irq", "bus", "fs"} {
		name = "/proc/" + name
		err := unix.Mount(name, name, "", unix.MS_BIND|unix.MS_REC, "")
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err == nil {
			err = unix.Mount("", name, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|quietFlag|unix.MS_NOEXEC, "")
		}
		if err != nil {
			return fmt.Errorf("making %s read-only: %w", name, err)
		}
	}
	for _, name := range []string{"kcore", "keys", "key-users", "latency_stats", "timer_list", "sched_debug", "kallsyms", "kmsg", "interrupts", "config.gz", "slabinfo", "pagetypeinfo", "vmallocinfo"} {
		err := unix.Mount("/dev/null", "/proc/"+name, "", unix.MS_BIND, "")
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("hiding /proc/%s: %w", name, err)
		}
	}
	for _, name := range []string{"acpi", "scsi", "asound"} {
		err := unix.Mount("tmpfs", "/proc/"+name, "tmpfs", unix.MS_RDONLY|quietFlag|unix.MS_NOEXEC, "size=0")
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("hiding /proc/%s: %w", name, err)
		}
	}
	return nil
}

// loopback switches on the only network interface.
func loopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("switching on the loopback: %w", err)
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq("lo")
	if err == nil {
		r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
		err = unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r)
	}
	if err != nil {
		return fmt.Errorf("switching on the loopback: %w", err)
	}
	return nil
}

// capabilities are those that installers need and that reach no further than the
// machine's own files and processes.
var capabilities = []uintptr{
	unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FOWNER, unix.CAP_FSETID, unix.CAP_KILL, unix.CAP_SETGID, unix.CAP_SETUID,
	unix.CAP_SETPCAP, unix.CAP_NET_BIND_SERVICE, unix.CAP_SYS_CHROOT, unix.CAP_SETFCAP,
}

// lastCapability is beyond all that kernels have.
const lastCapability = 63

// confine gives away what the machine's programs must not have.
func (s setup) confine(clone3 bool) error {
	for _, l := range []struct {
		resource int
		value    uint64
	}{{unix.RLIMIT_CORE, 0}, {unix.RLIMIT_NOFILE, 1 << 16}, {unix.RLIMIT_MEMLOCK, 8 << 20}, {unix.RLIMIT_MSGQUEUE, 800 << 10}, {unix.RLIMIT_NPROC, uint64(s.Pids)}} {
		var was unix.Rlimit
		err := unix.Getrlimit(l.resource, &was)
		if err != nil {
			return fmt.Errorf("limiting the machine: %w", err)
		}
		if l.resource == unix.RLIMIT_NPROC && l.value == 0 {
			continue
		}
		l.value = min(l.value, was.Max)
		err = syscall.Setrlimit(l.resource, &syscall.Rlimit{Cur: l.value, Max: l.value})
		if err != nil {
			return fmt.Errorf("limiting the machine: %w", err)
		}
	}
	// Nobody inside looks into this process, or takes what it has open.
	err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	if err != nil {
		return fmt.Errorf("closing the first process to others: %w", err)
	}
	filter, err := compile(runtime.GOARCH, clone3)
	if err != nil {
		return err
	}
	if !s.Sudo {
		errno := onAll(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0)
		if errno != 0 {
			return fmt.Errorf("giving away new rights: %w", errno)
		}
	}
	// While this process may still: without no_new_privs it needs a right for it.
	err = install(filter)
	if err != nil {
		return err
	}
	var kept uint64
	for _, c := range capabilities {
		kept |= 1 << c
	}
	for c := uintptr(0); c <= lastCapability; c++ {
		if kept&(1<<c) != 0 {
			continue
		}
		errno := onAll(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, c, 0)
		if errno == unix.EINVAL {
			break // the kernel has no more
		}
		if errno != 0 {
			return fmt.Errorf("giving away capability %d: %w", c, errno)
		}
	}
	return setCapabilities(kept)
}

// groups starts programs in the group that the host made for each.
type groups struct {
	side   *os.File
	clone3 bool

	starts chan func() // to the thread that starts programs

	mu    sync.Mutex
	ready map[uint32]int // guarded by mu: descriptors of groups by stream
}

// start starts a program from the thread that has its rights and its group. The host
// has sent the program's own group before it asked for it.
func (g *groups) start(stream uint32, c *exec.Cmd) error {
	fd, ok := g.of(stream)
	if ok {
		defer unix.Close(fd)
	}
	result := make(chan error, 1)
	g.starts <- func() {
		if ok && g.clone3 {
			c.SysProcAttr.UseCgroupFD, c.SysProcAttr.CgroupFD = true, fd
		}
		err := c.Start()
		if err != nil && c.SysProcAttr.UseCgroupFD {
			// If the group was the reason, it runs without: it can still be ended, though
			// not all that it starts.
			c.SysProcAttr.UseCgroupFD = false
			again := &exec.Cmd{Path: c.Path, Args: c.Args, Env: c.Env, Dir: c.Dir, Stdin: c.Stdin, Stdout: c.Stdout, Stderr: c.Stderr, SysProcAttr: c.SysProcAttr}
			err = again.Start() // a Cmd starts once
			c.Process = again.Process
		}
		if err == nil {
			// When the host's own memory runs out, they go before what is the host's.
			_ = os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", c.Process.Pid), []byte("500"), 0)
		}
		result <- err
	}
	return <-result
}

// of takes the group of a stream from the host's messages.
func (g *groups) of(stream uint32) (int, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	buf, control := make([]byte, 64), make([]byte, unix.CmsgSpace(4))
	for {
		if fd, ok := g.ready[stream]; ok {
			delete(g.ready, stream)
			return fd, fd >= 0
		}
		n, oobn, _, _, err := unix.Recvmsg(sideFD, buf, control, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
		if err != nil || n == 0 {
			return -1, false // the host made none
		}
		number, err := strconv.ParseUint(string(buf[:n]), 10, 32)
		if err != nil {
			continue
		}
		fd := -1
		messages, err := unix.ParseSocketControlMessage(control[:oobn])
		if err == nil && len(messages) == 1 {
			if fds, err := unix.ParseUnixRights(&messages[0]); err == nil && len(fds) == 1 {
				fd = fds[0]
			}
		}
		g.ready[uint32(number)] = fd
	}
}

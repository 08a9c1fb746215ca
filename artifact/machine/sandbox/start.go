package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"souk/artifact/layer"
	"souk/artifact/machine"
	"souk/artifact/machine/agent"
	"souk/egress/proxy"
)

// running is a machine that runs.
type running struct {
	keeper *keeper
	owner  int // the host's id of the machine's root
	group  *group
	side   *os.File // our end of the side channel
	sideMu sync.Mutex
	agent  *agent.Host
	proxy  *proxy.Handler // nil: it has no network
	first  *os.Process
	ended  chan struct{} // closed when the first process has ended
	cancel context.CancelFunc
}

// over says whether the machine has ended by itself.
func (r *running) over() bool {
	select {
	case <-r.ended:
		return true
	default:
		return false
	}
}

// agentPids are the threads of a machine's agent, where they are counted with what
// its programs have.
const agentPids = 24

// Reach implements machine.Provider.
func (s *Sandbox) Reach(ctx context.Context, id string, egress []string) error {
	err := s.reachable(egress)
	if err != nil {
		return fmt.Errorf("what %s may reach: %w", id, err)
	}
	b, err := s.box(id)
	if err != nil {
		return err
	}
	defer b.mu.Unlock()
	if b.running != nil && !b.running.over() {
		return fmt.Errorf("what %s may reach: %w: it runs", id, machine.ErrState)
	}
	if slices.Equal(b.record.Egress, egress) {
		return nil
	}
	changed := b.record
	changed.Egress = slices.Clone(egress)
	err = changed.write(b.dir)
	if err != nil {
		return fmt.Errorf("noting what machine %s may reach: %w", id, err)
	}
	b.record = changed
	return nil
}

// reachable says whether machines can be given a list of places.
func (s *Sandbox) reachable(egress []string) error {
	if len(egress) == 0 {
		return nil
	}
	if s.config.Proxy == nil {
		return fmt.Errorf("%w: there is no proxy for it", machine.ErrUnsupported)
	}
	_, err := proxy.Parse(egress)
	return err
}

// Start implements machine.Provider.
func (s *Sandbox) Start(ctx context.Context, id string) error {
	b, err := s.box(id)
	if err != nil {
		return err
	}
	defer b.mu.Unlock()
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return errors.New("the provider of machines is closed")
	}
	if b.running != nil && !b.running.over() {
		return fmt.Errorf("starting %s: %w: it runs", id, machine.ErrState)
	}
	err = s.halt(b) // one that ended by itself
	if err == nil {
		err = s.start(ctx, b)
	}
	if err != nil {
		return fmt.Errorf("starting machine %s: %w", id, err)
	}
	return nil
}

// start starts a machine that is stopped. Its lock is held.
func (s *Sandbox) start(ctx context.Context, b *box) (err error) {
	if b.layers == nil {
		b.dirs, b.layers, err = s.config.Cache.Hold(b.record.DiffIDs)
		if err != nil {
			return err
		}
	}
	if b.record.Shift != s.config.Shift {
		return fmt.Errorf("its files were written for users from %d on, and they are from %d on now", b.record.Shift, s.config.Shift)
	}
	if !b.record.Started {
		b.record.Started = true
		err = b.record.write(b.dir)
		if err != nil {
			return err
		}
	}
	r := &running{ended: make(chan struct{}), owner: s.config.Shift}
	b.running = r
	defer func() {
		if err != nil {
			err = errors.Join(err, s.halt(b))
		}
	}()
	if b.record.Image {
		err = check(ctx, s.fsck, filepath.Join(b.dir, diskFile))
		if err != nil {
			return err
		}
	}
	if len(b.record.Egress) > 0 {
		if s.config.Proxy == nil {
			return fmt.Errorf("%w: there is no proxy for what it may reach", machine.ErrUnsupported)
		}
		r.proxy, err = s.config.Proxy.Handler(b.record.Egress)
		if err != nil {
			return err
		}
	}
	r.group = &group{of: s.cgroups, id: b.id}
	err = r.group.make(limits{memory: b.record.Memory, pids: b.record.Pids + 1, cpu: b.record.CPU})
	if err != nil {
		return err
	}
	if dir := r.group.unified(); dir != "" {
		// Whoever starts a process in a group needs leave in the one above both, too.
		err = lend(dir, r.owner)
		if err == nil && s.cgroups.unifies() {
			err = lend(filepath.Dir(dir), r.owner)
		}
		if err != nil {
			return err
		}
	}
	r.keeper, err = newKeeper(!s.rootless)
	if err != nil {
		return fmt.Errorf("making mounts of its own: %w", err)
	}
	setup, err := s.prepare(b, r)
	if err != nil {
		return err
	}
	stream, err := s.launch(b, r)
	if err != nil {
		return err
	}
	var serve, door func(net.Conn)
	work, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	if r.proxy != nil {
		serve = func(c net.Conn) { r.proxy.ServeConn(work, c) }
	}
	if b.record.Door {
		if s.config.Door == nil {
			stream.Close()
			return fmt.Errorf("%w: nobody serves its door", machine.ErrUnsupported)
		}
		door = func(c net.Conn) {
			defer c.Close()
			defer context.AfterFunc(work, func() { c.Close() })()
			s.config.Door(work, b.id, c)
		}
	}
	// A machine whose agent can't be spoken to has ended.
	first := r.first
	r.agent = agent.NewHost(agent.HostConfig{Conn: stream, Proxy: serve, Door: door, Prepare: r.prepare, Gone: func() { _ = first.Kill() }})
	threads, err := r.group.threads()
	if err != nil {
		return err
	}
	var rights []int
	for _, f := range threads {
		defer f.Close()
		rights = append(rights, int(f.Fd()))
	}
	setup.Threads = len(threads)
	setup.Apart = !s.cgroups.unifies()
	message, err := json.Marshal(setup)
	if err == nil {
		err = unix.Sendmsg(int(r.side.Fd()), message, unix.UnixRights(rights...), nil, unix.MSG_NOSIGNAL)
	}
	if err != nil {
		return fmt.Errorf("telling the first process: %w", err)
	}
	patience, stop := context.WithTimeout(ctx, s.config.StartTimeout)
	defer stop()
	err = r.agent.Ready(patience)
	if err != nil {
		return r.reason(err)
	}
	return nil
}

// reason finds out why the first process did not become an agent. What it says of
// itself is a text, since it may not be ours any more.
func (r *running) reason(err error) error {
	buf := make([]byte, 512)
	n, _, failed := unix.Recvfrom(int(r.side.Fd()), buf, unix.MSG_DONTWAIT)
	if failed != nil || n == 0 {
		return err
	}
	text := strings.ToValidUTF8(string(buf[:n]), "?")
	if rest, ok := strings.CutPrefix(text, machine.ErrBadImage.Error()); ok {
		return fmt.Errorf("%w%s", machine.ErrBadImage, rest)
	}
	return fmt.Errorf("%w: %s", err, text)
}

// prepare mounts the machine's root, as far as that is not its own work.
func (s *Sandbox) prepare(b *box, r *running) (setup, error) {
	err := linkLayers(b.dir, b.dirs)
	if err != nil {
		return setup{}, err
	}
	is := setup{Hostname: b.record.Hostname, Sudo: b.record.Sudo, OneUser: s.rootless, Memory: b.record.Memory, Commands: b.record.Commands}
	files := map[string]string{}
	if s.config.Binary == "" {
		files, err = dynamic()
		if err != nil {
			return setup{}, err
		}
		is.Loaded = len(files) > 0
	}
	program := ""
	if len(is.Commands) > 0 && !is.Loaded {
		program, err = s.commandProgram()
		if err != nil {
			return setup{}, err
		}
	}
	stack := overlay{Dir: b.dir, Layers: len(b.dirs), Rootless: s.rootless, Kept: b.record.Kept}
	tmp := filepath.Join(b.dir, diskFolder, tmpName)
	if s.rootless {
		is.Rootless, is.Overlay, is.Tmp, is.Files, is.Load = true, stack, tmp, b.record.Files, files
		is.Program = program
		if !s.cgroups.holds("pids") {
			is.Pids = b.record.Pids + agentPids
		}
		return is, freshen(b.dir, 0, layer.Remove)
	}
	return is, r.keeper.do(func() (err error) {
		if b.record.Image {
			err = mountDisk(b.dir, false, b.record.Kept)
			if err != nil {
				return err
			}
			defer func() {
				if errors.Is(err, unix.ENOSPC) && room(filepath.Join(b.dir, diskFolder)) != nil {
					err = fmt.Errorf("%w: %w", machine.ErrDiskFull, err)
				}
			}()
		}
		err = freshen(b.dir, s.config.Shift, layer.Remove)
		if err != nil {
			return err
		}
		err = stack.mount()
		if err != nil {
			return err
		}
		t, err := openTree(s.config.Shift)
		if err != nil {
			return err
		}
		defer t.close()
		err = t.furnish(tmp, b.record.Files, b.record.Memory)
		if err != nil {
			return err
		}
		err = t.load(files)
		if err != nil {
			return err
		}
		return t.command(is.Commands, program)
	})
}

// launch starts the first process, which waits for its setup, and returns the
// stream to it.
func (s *Sandbox) launch(b *box, r *running) (_ net.Conn, err error) {
	side, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	r.side = os.NewFile(uintptr(side[0]), "side")
	theirSide := os.NewFile(uintptr(side[1]), "side")
	defer theirSide.Close()
	stream, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	ours, theirs := os.NewFile(uintptr(stream[0]), "agent"), os.NewFile(uintptr(stream[1]), "agent")
	defer theirs.Close()
	defer ours.Close() // FileConn has its own
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		conn.Close()
		return nil, err
	}
	defer null.Close()
	attr := &os.ProcAttr{
		Env:   []string{"GOTRACEBACK=none", "GOMAXPROCS=2", agent.Quick},
		Files: []*os.File{null, null, null, theirSide, theirs},
		Sys:   s.namespaces(),
	}
	err = r.keeper.do(func() error { return s.startFirst(r, attr) })
	if r.first != nil {
		go func() {
			_, _ = r.first.Wait()
			close(r.ended)
		}()
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("starting the first process: %w", err)
	}
	id, err := process(r.first.Pid)
	if err == nil {
		err = writeWhole(filepath.Join(b.dir, processFile), []byte(id), false)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// startFirst starts the first process in the agent's group: from its beginning, where
// the kernel can do that.
func (s *Sandbox) startFirst(r *running, attr *os.ProcAttr) error {
	start := func() error {
		first, err := os.StartProcess(descriptor(int(s.program.Fd())), []string{argument}, attr)
		if err == nil {
			r.first = first
		}
		return err
	}
	dir := r.group.agent()
	if dir == "" {
		return start()
	}
	fd, err := unix.Open(dir, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	attr.Sys.UseCgroupFD, attr.Sys.CgroupFD = true, fd
	if start() == nil {
		return nil
	}
	attr.Sys.UseCgroupFD = false
	err = start()
	if err == nil {
		err = r.group.take(r.first.Pid)
	}
	return err
}

// namespaces says how the first process is started.
func (s *Sandbox) namespaces() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{
		Setsid:    true,
		Pdeathsig: syscall.SIGKILL, // when the keeper ends
		Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET |
			unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
		Credential: &syscall.Credential{Uid: 0, Gid: 0},
	}
	if !s.cgroups.unifies() {
		attr.Cloneflags |= unix.CLONE_NEWCGROUP // see setup.Apart
	}
	if s.rootless {
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
		attr.Credential.NoSetGroups = true
		return attr
	}
	attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: s.config.Shift, Size: layer.IDs}}
	attr.GidMappings = attr.UidMappings
	attr.GidMappingsEnableSetgroups = true
	return attr
}

// halt ends a machine that runs, and waits until its disk is free. Its lock is held.
func (s *Sandbox) halt(b *box) error {
	r := b.running
	if r == nil {
		return nil
	}
	if r.first != nil {
		_ = r.first.Kill() // and with it all processes of its namespace
		<-r.ended
	}
	if r.agent != nil {
		_ = r.agent.Close()
	}
	if r.cancel != nil {
		r.cancel()
	}
	if r.side != nil {
		_ = r.side.Close()
	}
	var errs []error
	if r.proxy != nil {
		errs = append(errs, r.proxy.Close())
	}
	if r.keeper != nil {
		_ = r.keeper.do(func() error {
			// Now rather than when the thread has ended, so that little is left to wait for.
			_ = unix.Chdir("/")
			_ = unix.Unmount(filepath.Join(b.dir, rootFolder), unix.MNT_DETACH)
			if b.record.Image {
				_ = unix.Unmount(filepath.Join(b.dir, diskFolder), 0)
			}
			return nil
		})
		r.keeper.end()
	}
	if r.group != nil {
		errs = append(errs, r.group.remove())
	}
	if b.record.Image {
		ctx, cancel := context.WithTimeout(context.Background(), s.config.StartTimeout)
		defer cancel()
		errs = append(errs, settle(ctx, b.dir))
	}
	if b.record.Kept {
		errs = append(errs, b.harden())
	}
	b.running = nil
	err := os.Remove(filepath.Join(b.dir, processFile))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// prepare makes a group for a program and sends it to the agent, where there are
// groups that can be ended as a whole.
func (r *running) prepare(stream uint32) (kill, end func(), err error) {
	nothing := func() {}
	dir := r.group.unified()
	if dir == "" {
		return nothing, nothing, nil
	}
	dir = filepath.Join(dir, "x"+strconv.FormatUint(uint64(stream), 10))
	err = os.Mkdir(dir, 0o755)
	if err != nil {
		return nil, nil, fmt.Errorf("making a group for a program: %w", err)
	}
	end = func() {
		// What the program left in the background keeps its group until the machine stops.
		_ = os.Remove(dir)
	}
	fd, err := unix.Open(dir, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == nil {
		err = lend(dir, r.owner)
	}
	if err == nil {
		r.sideMu.Lock()
		err = unix.Sendmsg(int(r.side.Fd()), []byte(strconv.FormatUint(uint64(stream), 10)), unix.UnixRights(fd), nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
		r.sideMu.Unlock()
		unix.Close(fd)
	}
	if err != nil {
		end()
		return nil, nil, fmt.Errorf("giving a program its group: %w", err)
	}
	kill = func() { killAll(dir) }
	return kill, end, nil
}

// Exec implements machine.Provider.
func (s *Sandbox) Exec(ctx context.Context, id string, c machine.Cmd) (machine.Exit, error) {
	b, err := s.box(id)
	if err != nil {
		return machine.Exit{}, err
	}
	r, env, image := b.running, b.record.Env, b.record.Image
	b.mu.Unlock()
	if r == nil || r.over() {
		return machine.Exit{}, fmt.Errorf("running a program in %s: %w: it is stopped", id, machine.ErrState)
	}
	if r.proxy != nil {
		env = append(proxyEnvironment(), env...)
	}
	c.Env = append(append([]string(nil), env...), c.Env...)
	before := r.group.killed()
	exit, err := r.agent.Exec(ctx, c)
	exit.OutOfMemory = r.group.killed() > before
	if errors.Is(err, agent.ErrGone) {
		if exit.OutOfMemory { // the machine died of it
			return machine.Exit{Code: 128 + int(unix.SIGKILL), Signal: int(unix.SIGKILL), OutOfMemory: true}, nil
		}
		err = fmt.Errorf("%w: it stopped", machine.ErrNoAgent)
	}
	if err != nil {
		return exit, fmt.Errorf("running a program in %s: %w", id, err)
	}
	exit.DiskFull = exit.Code != 0 && image && r.keeper.do(func() error { return room(filepath.Join(b.dir, diskFolder)) }) == unix.ENOSPC
	return exit, nil
}

// proxyEnvironment names the proxy, as programs look for it.
func proxyEnvironment() []string {
	var env []string
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		env = append(env, name+"=http://"+agent.ProxyAddress)
	}
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		env = append(env, name+"=localhost,127.0.0.1,::1")
	}
	return env
}

// patienceOfProbe is how long a no-op may take.
const patienceOfProbe = 30 * time.Second

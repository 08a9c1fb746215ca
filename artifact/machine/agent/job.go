package agent

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"souk/artifact/machine"
	"souk/artifact/machine/frame"
)

// lingering is how long output is still read after a program's end, if something
// that it left behind holds it.
const lingering = time.Second

// job is a program that runs.
type job struct {
	agent  *agent
	stream *frame.Stream // In has the program's input, Out is of its output

	mu       sync.Mutex
	pid      int      // guarded by mu; 0 before the start and after the end
	killed   bool     // guarded by mu
	terminal *os.File // guarded by mu
}

// Exit codes of programs that could not be started, as shells have them.
const (
	cannotRun = 126
	notFound  = 127
)

// run runs the program and tells its end.
func (j *job) run(r request) {
	e, err := j.start(r)
	if err != nil {
		_ = j.stream.SendData(kindData, []byte{channelErr}, []byte(err.Error()+"\n"))
	}
	j.agent.mu.Lock()
	delete(j.agent.jobs, j.stream.Number)
	j.agent.mu.Unlock()
	j.stream.In.Drop()
	_ = j.stream.SendJSON(kindExit, e, frame.Max)
}

// start starts the program and waits for its end and its output. An error says
// why it did not start.
func (j *job) start(r request) (ended, error) {
	who, err := lookupUser(os.DirFS("/"), r.User)
	if err != nil {
		return ended{Code: cannotRun}, err
	}
	c := &exec.Cmd{Args: r.Args, Dir: r.Dir, Env: environment(r, who, j.agent.config.Commands), SysProcAttr: &syscall.SysProcAttr{Setsid: true}}
	if c.Dir == "" {
		c.Dir = "/"
	}
	if r.Tool {
		c.Path, c.Args = j.agent.config.Self(append([]string{toolArgument}, r.Args...))
		c.Env = append([]string{Quick}, c.Env...) // what was asked for wins
	} else {
		c.Path, err = lookPath(r.Args[0], c.Dir, c.Env)
		if err != nil {
			return ended{Code: notFound}, err
		}
	}
	if r.User != "" && !(j.agent.config.OneUser && who.uid == 0 && who.gid == 0) {
		if j.agent.config.OneUser {
			return ended{Code: cannotRun}, fmt.Errorf("user %s: this machine has root alone", r.User)
		}
		c.SysProcAttr.Credential = &syscall.Credential{Uid: who.uid, Gid: who.gid, Groups: who.groups}
	}
	var pumps []*pump
	var theirs []*os.File // ends that the program has
	defer func() {
		for _, p := range pumps {
			p.from.Close()
		}
	}()
	closeTheirs := func() {
		for _, f := range theirs {
			f.Close()
		}
		theirs = nil
	}
	defer closeTheirs()
	var input *os.File
	if r.Terminal {
		master, slave, err := openTerminal(r.Rows, r.Columns, who)
		if err != nil {
			return ended{Code: cannotRun}, fmt.Errorf("opening a terminal: %w", err)
		}
		theirs = append(theirs, slave)
		c.Stdin, c.Stdout, c.Stderr = slave, slave, slave
		c.SysProcAttr.Setctty = true
		input = master
		pumps = append(pumps, &pump{from: master, channel: channelOut})
		j.mu.Lock()
		j.terminal = master
		j.mu.Unlock()
	} else {
		in, ours, err := os.Pipe()
		if err != nil {
			return ended{Code: cannotRun}, err
		}
		theirs = append(theirs, in)
		input, c.Stdin = ours, in
		for _, channel := range []byte{channelOut, channelErr} {
			from, to, err := os.Pipe()
			if err != nil {
				ours.Close()
				return ended{Code: cannotRun}, err
			}
			pumps = append(pumps, &pump{from: from, channel: channel})
			theirs = append(theirs, to)
			if channel == channelOut {
				c.Stdout = to
			} else {
				c.Stderr = to
			}
		}
		defer ours.Close()
	}
	end, err := j.launch(c)
	closeTheirs()
	if err != nil {
		code := cannotRun
		if errors.Is(err, os.ErrNotExist) {
			code = notFound
		}
		return ended{Code: code}, fmt.Errorf("%s: %w", r.Args[0], reason(err))
	}
	go j.feed(input, r.Terminal)
	var printing sync.WaitGroup
	for _, p := range pumps {
		printing.Add(1)
		go func() {
			defer printing.Done()
			p.run(j)
		}()
	}
	status := <-end
	j.mu.Lock()
	j.pid = 0
	j.mu.Unlock()
	for _, p := range pumps {
		_ = p.from.SetReadDeadline(time.Now().Add(lingering))
	}
	printing.Wait()
	j.mu.Lock()
	j.terminal = nil
	j.mu.Unlock()
	if status.Signaled() {
		return ended{Code: 128 + int(status.Signal()), Signal: int(status.Signal())}, nil
	}
	return ended{Code: status.ExitStatus()}, nil
}

// launch starts the process, and kills it if that was asked for meanwhile.
func (j *job) launch(c *exec.Cmd) (<-chan syscall.WaitStatus, error) {
	pid, end, err := j.agent.children.launch(func() (int, error) {
		err := j.agent.config.Start(j.stream.Number, c)
		if err != nil {
			return 0, err
		}
		return c.Process.Pid, nil
	})
	if err != nil {
		return nil, err
	}
	j.mu.Lock()
	j.pid = pid
	killed := j.killed
	j.mu.Unlock()
	if killed {
		j.kill()
	}
	return end, nil
}

// reason takes from an error what the program's caller need not know.
func reason(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// kill ends the program and all that is still of its session. Its output is of
// no interest any more.
func (j *job) kill() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.killed = true
	j.stream.Out.Drop()
	if j.pid != 0 {
		killSession(j.pid)
	}
}

// hangUp closes the program's terminal. The kernel tells the shell, we what it runs in
// the foreground: both may still put their affairs in order.
func (j *job) hangUp() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.stream.Out.Drop()
	if j.terminal != nil {
		_ = control(j.terminal, func(fd int) error {
			foreground, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
			if err == nil && foreground > 1 {
				err = unix.Kill(-foreground, unix.SIGHUP)
			}
			return err
		})
		j.terminal.Close()
	}
}

// resize gives the terminal another size.
func (j *job) resize(rows, columns uint16) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.terminal != nil {
		_ = setSize(j.terminal, rows, columns)
	}
}

// feed writes the program's input until it ends.
func (j *job) feed(to *os.File, terminal bool) {
	for {
		c, err := j.stream.In.Next(frame.Max)
		if err != nil {
			break
		}
		_, err = to.Write(c.Data)
		if err != nil {
			j.stream.In.Drop() // nobody reads it; what comes is thrown away
			break
		}
		_ = j.stream.Used(len(c.Data))
	}
	if terminal {
		_, _ = to.Write([]byte{4}) // end of transmission, as a keyboard says it
		return
	}
	to.Close()
}

// pump carries one output of a program.
type pump struct {
	from    *os.File
	channel byte
}

// pipeSize is what a pipe holds at most, as the kernel makes them.
const pipeSize = 64 << 10

// run carries all that the program wrote. The reader's deadline is set when the
// program has ended; what was written by then is in the pipe and still carried,
// however slowly the host takes it, but nothing that is written later.
func (p *pump) run(j *job) {
	buf := make([]byte, 32<<10)
	left := -1 // bytes still to be carried once the deadline has passed
	for left != 0 {
		n, err := p.from.Read(buf)
		if n > 0 && left > 0 {
			n = min(n, left)
			left -= n
		}
		_ = j.stream.SendData(kindData, []byte{p.channel}, buf[:n]) // if that fails it is read and thrown away
		if errors.Is(err, os.ErrDeadlineExceeded) && left < 0 {
			left = pipeSize
			err = p.from.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		}
		if err != nil {
			return
		}
	}
}

// The environment that programs find where the host and the image say nothing.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// environment returns a program's environment; of two of a name the later wins.
// commands: its PATH begins with their folder.
func environment(r request, who user, commands bool) []string {
	env := []string{"PATH=" + defaultPath, "HOME=" + who.home}
	if r.User != "" {
		env = append(env, "USER="+who.name, "LOGNAME="+who.name)
	}
	switch {
	case !r.Terminal:
		env = append(env, "TERM=dumb")
	case r.Term == "":
		env = append(env, "TERM=xterm")
	default:
		env = append(env, "TERM="+r.Term)
	}
	var all []string
	for _, v := range append(env, r.Env...) {
		name, _, ok := strings.Cut(v, "=")
		if !ok || strings.ContainsRune(v, 0) {
			continue
		}
		i := slices.IndexFunc(all, func(have string) bool { return strings.HasPrefix(have, name+"=") })
		if i >= 0 {
			all[i] = v
			continue
		}
		all = append(all, v)
	}
	for i, v := range all {
		folders, ok := strings.CutPrefix(v, "PATH=")
		if ok && commands && folders != machine.CommandsPath && !strings.HasPrefix(folders, machine.CommandsPath+":") {
			all[i] = "PATH=" + strings.TrimSuffix(machine.CommandsPath+":"+folders, ":")
		}
	}
	return all
}

// lookPath finds a program in the PATH of an environment.
func lookPath(name, dir string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	for _, v := range env {
		list, ok := strings.CutPrefix(v, "PATH=")
		if !ok {
			continue
		}
		for _, folder := range strings.Split(list, ":") {
			file := path.Join(folder, name)
			if !path.IsAbs(file) {
				file = path.Join(dir, file)
			}
			info, err := os.Stat(file)
			if err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
				return file, nil
			}
		}
	}
	return "", fmt.Errorf("%s: not found", name)
}

// killSession kills a process and all others of its session.
func killSession(pid int) {
	_ = unix.Kill(-pid, unix.SIGKILL)
	for range 3 { // some start others while we look
		for _, p := range processes(os.DirFS("/proc")) {
			if p.session == pid {
				_ = unix.Kill(p.pid, unix.SIGKILL)
			}
		}
	}
}

var _ io.Writer = (*os.File)(nil)

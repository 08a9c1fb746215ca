// Package agent is what runs inside of a machine: it starts programs as the host
// asks, carries their input and output, and the connections that they make to
// their proxy. Agent is the end inside, Host the end on the host; between them is
// one stream of bytes, so that it may be a socket or a serial port.
//
// It makes no machine, and knows nothing of how one is kept apart from its host.
// The host trusts nothing of what it says: a machine's root may be the enemy.
package agent

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"souk/artifact/machine"
	"souk/artifact/machine/frame"
)

// Tool is a program that is part of the agent: machine.Cmd.Tool runs it. It
// returns its exit code. ctx ends never; who kills a tool kills its process.
type Tool func(ctx context.Context, args []string, in io.Reader, out, err io.Writer) int

// toolArgument is argument 0 of a process that runs a tool.
const toolArgument = "machine-tool"

// Quick is what the environment of this program has when it is started as an agent
// or a tool: what runs before main makes little garbage, and a collector beside it
// takes a third of the time. Serve and Main collect as usual again.
const Quick = "GOGC=off"

// settling is after how long a machine gives back what its start took of the memory:
// one that is soon thrown away does not wait for that.
const settling = 2 * time.Second

// collect undoes Quick.
func collect() {
	if name, value, _ := strings.Cut(Quick, "="); os.Getenv(name) == value {
		os.Unsetenv(name) // programs that a tool starts know nothing of it
		debug.SetGCPercent(100)
	}
}

// CommandProgram is the name of the agent's program among the commands of a machine
// (machine.CommandsPath); they are links to it. Where the program needs a loader the
// commands are scripts of CommandScript.
const CommandProgram = ".agent"

// CommandScript is the script that runs a tool as a command, where argv is how this
// program is started with given arguments.
func CommandScript(name string, self func(args []string) (path string, argv []string)) string {
	path, argv := self([]string{toolArgument, name})
	return "#!/bin/sh\nexec " + path + " " + strings.Join(argv[1:], " ") + " \"$@\"\n"
}

// invoked returns the tool that this process was started for, and its arguments.
func invoked() (name string, args []string, ok bool) {
	if len(os.Args) >= 2 && os.Args[0] == toolArgument {
		return os.Args[1], os.Args[2:], true
	}
	exe, _ := os.Readlink("/proc/self/exe")
	if len(os.Args) >= 1 && exe == path.Join(machine.CommandsPath, CommandProgram) {
		return path.Base(os.Args[0]), os.Args[1:], true
	}
	return "", nil, false
}

// Main runs the tool that this process was started for, and exits; it returns at
// once if it was started for another purpose. A program that is the agent of
// machines calls it first.
func Main(tools map[string]Tool) {
	name, args, ok := invoked()
	if !ok {
		return
	}
	collect()
	tool := tools[name]
	if tool == nil && name == nothing {
		os.Exit(0)
	}
	if tool == nil {
		os.Stderr.WriteString(name + ": the machine's agent has no such tool\n")
		os.Exit(127)
	}
	os.Exit(tool(context.Background(), args, os.Stdin, os.Stdout, os.Stderr))
}

// nothing is a tool that every agent has, and that does nothing: by it a provider
// tries whether a machine runs.
const nothing = "true"

// Nothing is the program of the tool that does nothing and ends well.
func Nothing() []string { return []string{nothing} }

// Config is what an Agent is given by who starts it in the machine.
type Config struct {
	// Conn is the stream to the host.
	Conn net.Conn
	// Start starts a program that the host asked for on a stream. Nil: Cmd.Start.
	Start func(stream uint32, c *exec.Cmd) error
	// Self returns the program and the arguments by which this program is started
	// with given arguments, the first of which is its name. Nil: /proc/self/exe.
	Self func(args []string) (path string, argv []string)
	// OneUser: the machine has no other user than root.
	OneUser bool
	// Commands: there are some, and programs find them first.
	Commands bool
	// Reap: this is the machine's first process, and inherits what others leave.
	Reap bool
}

// agent is the end inside.
type agent struct {
	config Config
	wire   *frame.Writer

	mu      sync.Mutex
	jobs    map[uint32]*job  // guarded by mu
	conns   map[uint32]*pipe // guarded by mu
	next    uint32           // guarded by mu
	listens [2]bool          // of the reader alone: to a place

	children children
}

// Serve is the agent: it works until the stream to the host ends.
func Serve(config Config) error {
	collect()
	if config.Start == nil {
		config.Start = func(_ uint32, c *exec.Cmd) error { return c.Start() }
	}
	if config.Self == nil {
		config.Self = func(args []string) (string, []string) { return "/proc/self/exe", args }
	}
	a := &agent{config: config, wire: wireTo(config.Conn), jobs: map[uint32]*job{}, conns: map[uint32]*pipe{}}
	// Nobody inside ends the agent by a signal that Go would die of. They are taken
	// and thrown away: ignored ones would be ignored by all programs, too.
	signal.Notify(make(chan os.Signal, 1))
	a.children.start(config.Reap)
	time.AfterFunc(settling, debug.FreeOSMemory)
	err := a.wire.Send(kindHello, 0, []byte{protocolVersion})
	if err != nil {
		return err
	}
	err = frame.Numbered.Each(bufio.NewReaderSize(config.Conn, frame.Max), a.take)
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// take does what the host asks for. It is never an error: what the host says wrongly
// is its own affair.
func (a *agent) take(f frame.Frame) error {
	if f.Stream&fromAgent != 0 {
		a.mu.Lock()
		p := a.conns[f.Stream]
		a.mu.Unlock()
		if p != nil && p.take(f) != nil {
			p.drop()
		}
		return nil
	}
	a.mu.Lock()
	j := a.jobs[f.Stream]
	a.mu.Unlock()
	switch f.Kind {
	case kindListen:
		if to, err := placeOf(f.Data); err == nil && !a.listens[to] {
			a.listens[to] = true
			a.listen(to) // before any program is asked for
		}
	case kindStart:
		var r request
		if json.Unmarshal(f.Data, &r) != nil {
			return nil
		}
		j := &job{agent: a, stream: a.wire.Stream(f.Stream, window)}
		a.mu.Lock()
		a.jobs[f.Stream] = j
		a.mu.Unlock()
		go j.run(r)
	}
	if j == nil {
		return nil // it has ended
	}
	switch f.Kind {
	case kindData:
		if c, data, err := channel(f.Data); err == nil && c == channelIn {
			_ = j.stream.In.Put(c, data)
		}
	case kindEnd:
		j.stream.In.End()
	case frame.Window:
		_ = j.stream.Out.Credit(f.Data)
	case kindSize:
		if len(f.Data) == 4 {
			j.resize(binary.BigEndian.Uint16(f.Data), binary.BigEndian.Uint16(f.Data[2:]))
		}
	case kindHangUp:
		j.hangUp()
	case kindKill:
		j.kill()
	}
	return nil
}

// ProxyAddress is where programs of a machine find its proxy.
const ProxyAddress = "127.0.0.1:3128"

// listen begins to take connections to a place.
func (a *agent) listen(to place) {
	l, err := doorbell(to)
	if err != nil {
		return // what wants to go there is refused by the kernel
	}
	go a.accept(l, to)
}

// doorbell is where programs connect to a place.
func doorbell(to place) (net.Listener, error) {
	if to == proxyPlace {
		return net.Listen("tcp", ProxyAddress)
	}
	err := os.MkdirAll(path.Dir(DoorPath), 0o755)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", DoorPath)
	if err != nil {
		return nil, err
	}
	err = os.Chmod(DoorPath, 0o600) // no program runs yet that might be quicker
	if err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// accept takes them one by one, no more than there may be at a time.
func (a *agent) accept(l net.Listener, to place) {
	free := make(chan struct{}, to.most())
	for {
		free <- struct{}{}
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // the machine has no memory for it just now
			<-free
			time.Sleep(10 * time.Millisecond)
			continue
		}
		a.mu.Lock()
		a.next++
		p := newPipe(c, a.wire.Stream(a.next|fromAgent, window))
		a.conns[p.stream.Number] = p
		a.mu.Unlock()
		go func() {
			if p.stream.Send(kindOpen, []byte{byte(to)}) == nil {
				p.run()
			}
			p.drop()
			a.mu.Lock()
			delete(a.conns, p.stream.Number)
			a.mu.Unlock()
			<-free // the host was told that it is closed
		}()
	}
}

package agent

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"souk/artifact/machine"
	"souk/artifact/machine/frame"
)

// maxConns is how many connections to the proxy a machine may have at a time.
const maxConns = 64

// grace is how long an agent may take to tell the end of a program that was
// killed.
const grace = 2 * time.Second

// farewell is how long a program may go on whose terminal was hung up.
const farewell = 500 * time.Millisecond

// Host is the host's end of an agent. Everything that comes in is hostile: a
// frame that is wrong ends the connection, and nothing that the agent does or
// fails to do holds up a call of the host beyond its context.
type Host struct {
	config HostConfig
	wire   *frame.Writer
	hello  chan struct{} // closed when the agent has spoken
	done   chan struct{} // closed when the connection has ended

	mu      sync.Mutex
	next    uint32              // guarded by mu
	streams map[uint32]*program // guarded by mu
	conns   map[uint32]*pipe    // guarded by mu: that the agent has not closed
	busy    [2]int              // guarded by mu: connections to a place that are served
	greeted bool                // of the reader alone
	err     error               // set before done is closed
}

// HostConfig says how a Host works.
type HostConfig struct {
	// Conn is the stream to the agent. The Host closes it.
	Conn net.Conn
	// Proxy serves a connection that a program of the machine made to its proxy,
	// and closes it. Nil: there is none.
	Proxy func(net.Conn)
	// Door serves a connection that a program of the machine's root made to the host,
	// and closes it. Nil: there is none.
	Door func(net.Conn)
	// Gone is called when the connection to the agent has ended. Nil: nobody is.
	Gone func()
	// Prepare is called before a program is started, with its stream's number, and
	// returns what kills all that belongs to it and what is called after its end.
	// Nil: the agent alone kills.
	Prepare func(stream uint32) (kill, end func(), err error)
}

// program is a program that runs in the machine.
type program struct {
	stream *frame.Stream // In has its output, Out is of its input
	exit   chan ended    // takes one
}

// NewHost speaks to an agent.
func NewHost(config HostConfig) *Host {
	h := &Host{
		config: config, wire: wireTo(config.Conn),
		hello: make(chan struct{}), done: make(chan struct{}),
		streams: map[uint32]*program{}, conns: map[uint32]*pipe{},
	}
	go h.read()
	return h
}

// Ready waits until the agent has spoken. machine.ErrNoAgent if it has gone, or
// has not when ctx ends.
func (h *Host) Ready(ctx context.Context) error {
	select {
	case <-h.hello:
	case <-h.done:
		return fmt.Errorf("%w: %w", machine.ErrNoAgent, h.err)
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", machine.ErrNoAgent, context.Cause(ctx))
	}
	for _, to := range []place{proxyPlace, doorPlace} {
		if h.serves(to) == nil {
			continue
		}
		err := h.wire.Send(kindListen, 0, []byte{byte(to)})
		if err != nil {
			return fmt.Errorf("%w: %w", machine.ErrNoAgent, err)
		}
	}
	return nil
}

// serves is what serves connections to a place; nil: nothing.
func (h *Host) serves(to place) func(net.Conn) {
	if to == doorPlace {
		return h.config.Door
	}
	return h.config.Proxy
}

// Done is closed when the connection to the agent has ended.
func (h *Host) Done() <-chan struct{} { return h.done }

// Close ends the connection. Programs that run are not waited for.
func (h *Host) Close() error {
	err := h.config.Conn.Close()
	<-h.done
	return err
}

// read takes frames until the connection ends.
func (h *Host) read() {
	err := frame.Numbered.Each(bufio.NewReaderSize(h.config.Conn, frame.Max), h.take)
	h.config.Conn.Close()
	if h.config.Gone != nil {
		h.config.Gone()
	}
	h.mu.Lock()
	h.err = err
	streams, conns := h.streams, h.conns
	h.streams, h.conns = map[uint32]*program{}, map[uint32]*pipe{}
	close(h.done)
	h.mu.Unlock()
	for _, p := range streams {
		p.stream.In.End()
		p.stream.Out.Drop()
	}
	for _, c := range conns {
		c.drop()
	}
}

// take does what a frame says. Its error ends the connection.
func (h *Host) take(f frame.Frame) error {
	if !h.greeted {
		if f.Kind != kindHello || len(f.Data) != 1 || f.Data[0] != protocolVersion {
			return fmt.Errorf("%w: the agent does not say hello", frame.ErrMalformed)
		}
		h.greeted = true
		close(h.hello)
		return nil
	}
	if f.Stream&fromAgent != 0 {
		return h.takeConn(f)
	}
	h.mu.Lock()
	p := h.streams[f.Stream]
	h.mu.Unlock()
	if p == nil {
		return nil // of a program that was given up
	}
	switch f.Kind {
	case kindData:
		c, data, err := channel(f.Data)
		if err != nil {
			return err
		}
		if c == channelIn {
			return fmt.Errorf("%w: data of no output", frame.ErrMalformed)
		}
		return p.stream.In.Put(c, data)
	case frame.Window:
		return p.stream.Out.Credit(f.Data)
	case kindExit:
		var e ended
		err := json.Unmarshal(f.Data, &e)
		if err != nil || e.Code < 0 || e.Code > 255 || e.Signal < 0 || e.Signal > 64 {
			return fmt.Errorf("%w: a program ended in no known way", frame.ErrMalformed)
		}
		h.mu.Lock()
		delete(h.streams, f.Stream)
		h.mu.Unlock()
		p.exit <- e // has room: the stream is known no more
		p.stream.In.End()
		p.stream.Out.Drop()
	default:
		return fmt.Errorf("%w: kind %q", frame.ErrMalformed, f.Kind)
	}
	return nil
}

// ErrGone says that the agent went away while a program ran.
var ErrGone = errors.New("the machine's agent went away")

// Exec runs a program, as machine.Provider's Exec says. ErrGone if the agent
// ended before it: the machine has stopped.
func (h *Host) Exec(ctx context.Context, c machine.Cmd) (machine.Exit, error) {
	if err := context.Cause(ctx); err != nil {
		return machine.Exit{}, err
	}
	if len(c.Args) == 0 || c.Args[0] == "" {
		return machine.Exit{}, errors.New("a program without a name can't be run")
	}
	p, err := h.open()
	if err != nil {
		return machine.Exit{}, err
	}
	kill, end := func() {}, func() {}
	if h.config.Prepare != nil {
		kill, end, err = h.config.Prepare(p.stream.Number)
		if err != nil {
			h.forget(p)
			return machine.Exit{}, err
		}
	}
	defer end()
	r := request{Args: c.Args, Tool: c.Tool, Env: c.Env, Dir: c.Dir, User: c.User}
	if t := c.Terminal; t != nil {
		r.Terminal, r.Term, r.Rows, r.Columns = true, t.Term, t.Size.Rows, t.Size.Columns
	}
	err = p.stream.SendJSON(kindStart, r, frame.Max)
	if err != nil {
		h.forget(p)
		return machine.Exit{}, fmt.Errorf("asking the agent for a program: %w", err)
	}
	over := make(chan struct{})
	defer close(over)
	go p.feed(c.Stdin)
	if c.Terminal != nil && c.Terminal.Resize != nil {
		go p.resize(c.Terminal.Resize, over)
	}
	printed := make(chan error, 1)
	go func() { printed <- p.print(c) }()

	select {
	case err = <-printed:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil { // too late, or nobody takes the output
		p.stream.In.Drop()
		over := c.Terminal != nil && h.hangUp(p)
		p.kill(kill)
		if !over {
			h.await(p)
		}
		if ctx.Err() != nil {
			<-printed // the writers are the caller's again
		}
		return machine.Exit{}, err
	}
	select {
	case e := <-p.exit:
		return machine.Exit{Code: e.Code, Signal: e.Signal}, nil
	default:
		return machine.Exit{}, ErrGone
	}
}

// open makes a program with a stream.
func (h *Host) open() (*program, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case <-h.done:
		return nil, ErrGone
	default:
	}
	for {
		h.next = (h.next + 1) &^ fromAgent
		if h.streams[h.next] == nil && h.next != 0 {
			p := &program{stream: h.wire.Stream(h.next, window), exit: make(chan ended, 1)}
			h.streams[h.next] = p
			return p, nil
		}
	}
}

func (h *Host) forget(p *program) {
	h.mu.Lock()
	delete(h.streams, p.stream.Number)
	h.mu.Unlock()
}

// print hands over what a program writes until nothing more comes.
func (p *program) print(c machine.Cmd) error {
	for {
		piece, err := p.stream.In.Next(frame.Max)
		if err != nil {
			return nil
		}
		w := c.Stdout
		if piece.Channel == channelErr {
			w = c.Stderr
		}
		if w != nil {
			_, err = w.Write(piece.Data)
			if err != nil {
				return fmt.Errorf("handing over a program's output: %w", err)
			}
		}
		_ = p.stream.Used(len(piece.Data)) // if that fails the stream ends
	}
}

// feed sends a program its input.
func (p *program) feed(in io.Reader) {
	for buf := make([]byte, 32<<10); in != nil; {
		n, err := in.Read(buf)
		if p.stream.SendData(kindData, []byte{channelIn}, buf[:n]) != nil {
			return
		}
		if err != nil {
			break
		}
	}
	_ = p.stream.Send(kindEnd)
}

// resize tells a terminal's sizes until the program is over.
func (p *program) resize(sizes <-chan machine.Size, over <-chan struct{}) {
	for {
		select {
		case <-over:
			return
		case s, ok := <-sizes:
			if !ok {
				return
			}
			b := binary.BigEndian.AppendUint16(nil, s.Rows)
			if p.stream.Send(kindSize, binary.BigEndian.AppendUint16(b, s.Columns)) != nil {
				return
			}
		}
	}
}

// kill ends a program: by what Prepare returned, and by the agent, which may
// have no more say in it.
func (p *program) kill(kill func()) {
	go p.stream.Send(kindKill)
	kill()
}

// hangUp closes a program's terminal, and says whether the program ended of it soon.
func (h *Host) hangUp(p *program) bool {
	go p.stream.Send(kindHangUp)
	patience := time.NewTimer(farewell)
	defer patience.Stop()
	select {
	case <-p.exit:
		return true
	case <-h.done:
	case <-patience.C:
	}
	return false
}

// await waits a little for the end of a program that was killed.
func (h *Host) await(p *program) {
	patience := time.NewTimer(grace)
	defer patience.Stop()
	select {
	case <-p.exit:
	case <-h.done:
	case <-patience.C:
	}
	p.stream.Out.Drop()
	h.forget(p)
}

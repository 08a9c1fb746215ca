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
	wire
	config HostConfig
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
	in   *inbox     // its output
	out  *allowance // of its input
	exit chan ended // takes one
}

// NewHost speaks to an agent.
func NewHost(config HostConfig) *Host {
	h := &Host{
		wire: wire{conn: config.Conn}, config: config,
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
		err := h.send(kindListen, 0, []byte{byte(to)})
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
	err := h.conn.Close()
	<-h.done
	return err
}

// read takes frames until the connection ends.
func (h *Host) read() {
	buf := make([]byte, maxFrame)
	r := bufio.NewReaderSize(h.conn, 64<<10)
	var err error
	for err == nil {
		var f frame
		f, err = readFrame(r, buf)
		if err == nil {
			err = h.take(f)
		}
	}
	h.conn.Close()
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
		p.in.end()
		p.out.drop()
	}
	for _, c := range conns {
		c.drop()
	}
}

// take does what a frame says. Its error ends the connection.
func (h *Host) take(f frame) error {
	if !h.greeted {
		if f.kind != kindHello || len(f.data) != 1 || f.data[0] != protocolVersion {
			return fmt.Errorf("%w: the agent does not say hello", errFrame)
		}
		h.greeted = true
		close(h.hello)
		return nil
	}
	if f.stream&fromAgent != 0 {
		return h.takeConn(f)
	}
	h.mu.Lock()
	p := h.streams[f.stream]
	h.mu.Unlock()
	if p == nil {
		return nil // of a program that was given up
	}
	switch f.kind {
	case kindData:
		c, data, err := channel(f.data)
		if err != nil {
			return err
		}
		if c == channelIn || !p.in.put(c, data) {
			return fmt.Errorf("%w: more output than was asked for", errFrame)
		}
	case kindWindow:
		n, err := credit(f.data)
		if err != nil {
			return err
		}
		if !p.out.add(n) {
			return fmt.Errorf("%w: more input was used than was sent", errFrame)
		}
	case kindExit:
		var e ended
		err := json.Unmarshal(f.data, &e)
		if err != nil || e.Code < 0 || e.Code > 255 || e.Signal < 0 || e.Signal > 64 {
			return fmt.Errorf("%w: a program ended in no known way", errFrame)
		}
		h.mu.Lock()
		delete(h.streams, f.stream)
		h.mu.Unlock()
		p.exit <- e // has room: the stream is known no more
		p.in.end()
		p.out.drop()
	default:
		return fmt.Errorf("%w: kind %q", errFrame, f.kind)
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
	p := &program{in: newInbox(), out: newAllowance(), exit: make(chan ended, 1)}
	stream, err := h.open(p)
	if err != nil {
		return machine.Exit{}, err
	}
	kill, end := func() {}, func() {}
	if h.config.Prepare != nil {
		kill, end, err = h.config.Prepare(stream)
		if err != nil {
			h.forget(stream)
			return machine.Exit{}, err
		}
	}
	defer end()
	r := request{Args: c.Args, Tool: c.Tool, Env: c.Env, Dir: c.Dir, User: c.User}
	if t := c.Terminal; t != nil {
		r.Terminal, r.Term, r.Rows, r.Columns = true, t.Term, t.Size.Rows, t.Size.Columns
	}
	err = h.sendJSON(kindStart, stream, r)
	if err != nil {
		h.forget(stream)
		return machine.Exit{}, err
	}
	over := make(chan struct{})
	defer close(over)
	go h.feed(stream, p, c.Stdin)
	if c.Terminal != nil && c.Terminal.Resize != nil {
		go h.resize(stream, c.Terminal.Resize, over)
	}
	printed := make(chan error, 1)
	go func() { printed <- h.print(stream, p, c) }()

	select {
	case err = <-printed:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil { // too late, or nobody takes the output
		p.in.drop()
		over := c.Terminal != nil && h.hangUp(stream, p)
		h.kill(stream, kill)
		if !over {
			h.await(stream, p)
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

// open gives a program a stream.
func (h *Host) open(p *program) (uint32, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case <-h.done:
		return 0, ErrGone
	default:
	}
	for {
		h.next = (h.next + 1) &^ fromAgent
		if h.streams[h.next] == nil && h.next != 0 {
			h.streams[h.next] = p
			return h.next, nil
		}
	}
}

func (h *Host) forget(stream uint32) {
	h.mu.Lock()
	delete(h.streams, stream)
	h.mu.Unlock()
}

// print hands over what a program writes until nothing more comes.
func (h *Host) print(stream uint32, p *program, c machine.Cmd) error {
	for {
		piece, err := p.in.next()
		if err != nil {
			return nil
		}
		w := c.Stdout
		if piece.channel == channelErr {
			w = c.Stderr
		}
		if w != nil {
			_, err = w.Write(piece.data)
			if err != nil {
				return fmt.Errorf("handing over a program's output: %w", err)
			}
		}
		_ = h.sendWindow(stream, len(piece.data)) // if that fails the stream ends
	}
}

// feed sends a program its input.
func (h *Host) feed(stream uint32, p *program, in io.Reader) {
	for buf := make([]byte, 32<<10); in != nil; {
		n, err := in.Read(buf)
		sent := h.sendAll(p.out, stream, channelIn, buf[:n])
		if sent != nil {
			return
		}
		if err != nil {
			break
		}
	}
	_ = h.send(kindEnd, stream)
}

// resize tells a terminal's sizes until the program is over.
func (h *Host) resize(stream uint32, sizes <-chan machine.Size, over <-chan struct{}) {
	for {
		select {
		case <-over:
			return
		case s, ok := <-sizes:
			if !ok {
				return
			}
			b := binary.BigEndian.AppendUint16(nil, s.Rows)
			if h.send(kindSize, stream, binary.BigEndian.AppendUint16(b, s.Columns)) != nil {
				return
			}
		}
	}
}

// kill ends a program: by what Prepare returned, and by the agent, which may
// have no more say in it.
func (h *Host) kill(stream uint32, kill func()) {
	go h.send(kindKill, stream)
	kill()
}

// hangUp closes a program's terminal, and says whether the program ended of it soon.
func (h *Host) hangUp(stream uint32, p *program) bool {
	go h.send(kindHangUp, stream)
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
func (h *Host) await(stream uint32, p *program) {
	patience := time.NewTimer(grace)
	defer patience.Stop()
	select {
	case <-p.exit:
	case <-h.done:
	case <-patience.C:
	}
	p.out.drop()
	h.forget(stream)
}

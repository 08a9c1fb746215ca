package agent

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"souk/artifact/machine/frame"
)

// pipe is an end of a connection that a program of the machine made to a place of
// its host: it goes over a stream between agent and host.
type pipe struct {
	to     place // the host's end alone knows it
	conn   net.Conn
	stream *frame.Stream

	mu      sync.Mutex
	drained bool // guarded by mu: what came in was handed over, and no more comes
	closed  bool // guarded by mu: the other side has closed it
}

func newPipe(c net.Conn, s *frame.Stream) *pipe { return &pipe{conn: c, stream: s} }

// drop ends it at once.
func (p *pipe) drop() {
	p.stream.In.Drop()
	p.stream.Out.Drop()
	p.conn.Close()
}

// hangUp closes it when the other side has: once all that it said is handed over.
func (p *pipe) hangUp() {
	p.stream.Out.Drop()
	p.mu.Lock()
	p.closed = true
	now := p.drained || !p.stream.In.Ended()
	p.mu.Unlock()
	if now {
		p.drop()
	}
}

// run carries bytes both ways until both sides have ended.
func (p *pipe) run() {
	var both sync.WaitGroup
	both.Add(2)
	go func() {
		defer both.Done()
		buf := make([]byte, 32<<10)
		for {
			n, err := p.conn.Read(buf)
			if n > 0 && p.stream.SendData(kindData, []byte{channelIn}, buf[:n]) != nil {
				p.drop()
				return
			}
			if err != nil {
				_ = p.stream.Send(kindEnd)
				return
			}
		}
	}()
	go func() {
		defer both.Done()
		for {
			c, err := p.stream.In.Next(frame.Max)
			if err != nil {
				break
			}
			_, err = p.conn.Write(c.Data)
			if err != nil { // it takes no more, but may have said something
				p.stream.In.Drop()
				p.mu.Lock()
				p.drained = true
				p.mu.Unlock()
				return
			}
			_ = p.stream.Used(len(c.Data))
		}
		p.mu.Lock()
		p.drained = true
		closed := p.closed
		p.mu.Unlock()
		if half, ok := p.conn.(interface{ CloseWrite() error }); ok && !closed {
			_ = half.CloseWrite()
		} else {
			p.conn.Close()
		}
	}()
	both.Wait()
	p.conn.Close()
	_ = p.stream.Send(kindClose)
}

// take does what a frame of a connection's stream says.
func (p *pipe) take(f frame.Frame) error {
	switch f.Kind {
	case kindData:
		_, data, err := channel(f.Data)
		if err != nil {
			return err
		}
		return p.stream.In.Put(channelIn, data)
	case frame.Window:
		return p.stream.Out.Credit(f.Data)
	case kindEnd:
		p.stream.In.End()
	case kindClose:
		p.hangUp()
	default:
		return fmt.Errorf("%w: kind %q on a connection", frame.ErrMalformed, f.Kind)
	}
	return nil
}

// takeConn does what a frame of a stream that the agent numbered says.
func (h *Host) takeConn(f frame.Frame) error {
	h.mu.Lock()
	p := h.conns[f.Stream]
	h.mu.Unlock()
	if f.Kind == kindOpen {
		if p != nil {
			return fmt.Errorf("%w: stream %x is opened twice", frame.ErrMalformed, f.Stream)
		}
		return h.openConn(f)
	}
	if p == nil {
		return nil // closed meanwhile
	}
	if f.Kind == kindClose {
		h.closeConn(f.Stream, p)
	}
	return p.take(f)
}

// openConn serves a connection that a program of the machine made. An agent never
// opens more than there may be: one that does is none. It may open others before
// those that serve closed ones have noticed, and then they are closed at once.
func (h *Host) openConn(f frame.Frame) error {
	to, err := placeOf(f.Data)
	if err != nil {
		return err
	}
	serve := h.serves(to)
	if serve == nil {
		return errors.New("the agent opens a connection, and nobody serves it")
	}
	ours, theirs, err := to.pair()
	if err != nil {
		return h.wire.Send(kindClose, f.Stream) // the host has no descriptors left
	}
	p := newPipe(ours, h.wire.Stream(f.Stream, window))
	p.to = to
	h.mu.Lock()
	n := 0
	for _, c := range h.conns {
		if c.to == to {
			n++
		}
	}
	served := h.busy[to] < to.most()
	if n < to.most() && served {
		h.conns[f.Stream] = p
		h.busy[to]++
	}
	h.mu.Unlock()
	switch {
	case n >= to.most():
		err = fmt.Errorf("%w: more than %d connections", frame.ErrMalformed, to.most())
	case !served:
		err = h.wire.Send(kindClose, f.Stream)
	}
	if n >= to.most() || !served {
		ours.Close()
		theirs.Close()
		return err
	}
	go func() {
		serve(theirs)
		h.mu.Lock()
		h.busy[to]--
		h.mu.Unlock()
	}()
	go func() {
		p.run()
		h.closeConn(f.Stream, p)
	}()
	return nil
}

// pair makes the two ends of a connection to a place. Who knocks may end what it says
// and still be answered: for that it takes more than a net.Pipe.
func (p place) pair() (ours, theirs net.Conn, err error) {
	if p == proxyPlace {
		ours, theirs = net.Pipe()
		return ours, theirs, nil
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	var conns [2]net.Conn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "door")
		c, failed := net.FileConn(f)
		f.Close()
		conns[i], err = c, errors.Join(err, failed)
	}
	if err != nil {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
		return nil, nil, err
	}
	return conns[0], conns[1], nil
}

// closeConn forgets a connection. The agent may have given its number to another.
func (h *Host) closeConn(stream uint32, p *pipe) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.conns[stream] == p {
		delete(h.conns, stream)
	}
}

var _ io.Closer = (*Host)(nil)

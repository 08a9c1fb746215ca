package agent

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// pipe is an end of a connection that a program of the machine made to its
// proxy: it goes over a stream between agent and host.
type pipe struct {
	conn net.Conn
	in   *inbox     // from the other side
	out  *allowance // to it
}

func newPipe(c net.Conn) *pipe { return &pipe{conn: c, in: newInbox(), out: newAllowance()} }

// drop ends it at once.
func (p *pipe) drop() {
	p.in.drop()
	p.out.drop()
	p.conn.Close()
}

// run carries bytes both ways until both sides have ended.
func (p *pipe) run(w *wire, stream uint32) {
	var both sync.WaitGroup
	both.Add(2)
	go func() {
		defer both.Done()
		buf := make([]byte, 32<<10)
		for {
			n, err := p.conn.Read(buf)
			if n > 0 && w.sendAll(p.out, stream, channelIn, buf[:n]) != nil {
				p.drop()
				return
			}
			if err != nil {
				_ = w.send(kindEnd, stream)
				return
			}
		}
	}()
	go func() {
		defer both.Done()
		for {
			c, err := p.in.next()
			if err != nil {
				break
			}
			_, err = p.conn.Write(c.data)
			if err != nil { // it takes no more, but may have said something
				p.in.drop()
				return
			}
			_ = w.sendWindow(stream, len(c.data))
		}
		if half, ok := p.conn.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		} else {
			p.conn.Close()
		}
	}()
	both.Wait()
	p.conn.Close()
	_ = w.send(kindClose, stream)
}

// take does what a frame of a connection's stream says.
func (p *pipe) take(f frame) error {
	switch f.kind {
	case kindData:
		_, data, err := channel(f.data)
		if err != nil {
			return err
		}
		if !p.in.put(channelIn, data) {
			return fmt.Errorf("%w: more than the window of a connection", errFrame)
		}
	case kindWindow:
		n, err := credit(f.data)
		if err != nil {
			return err
		}
		if !p.out.add(n) {
			return fmt.Errorf("%w: more was used than was sent", errFrame)
		}
	case kindEnd:
		p.in.end()
	case kindClose:
		p.drop()
	default:
		return fmt.Errorf("%w: kind %q on a connection", errFrame, f.kind)
	}
	return nil
}

// takeConn does what a frame of a stream that the agent numbered says.
func (h *Host) takeConn(f frame) error {
	h.mu.Lock()
	p, n := h.conns[f.stream], len(h.conns)
	h.mu.Unlock()
	if f.kind != kindOpen {
		if p == nil {
			return nil // closed meanwhile
		}
		return p.take(f)
	}
	switch {
	case h.config.Proxy == nil:
		return errors.New("the agent opens a connection, and there is no proxy")
	case p != nil:
		return fmt.Errorf("%w: stream %x is opened twice", errFrame, f.stream)
	case n >= maxConns:
		return fmt.Errorf("%w: more than %d connections", errFrame, maxConns)
	}
	ours, theirs := net.Pipe()
	p = newPipe(ours)
	h.mu.Lock()
	h.conns[f.stream] = p
	h.mu.Unlock()
	go h.config.Proxy(theirs)
	go func() {
		p.run(&h.wire, f.stream)
		h.mu.Lock()
		delete(h.conns, f.stream)
		h.mu.Unlock()
	}()
	return nil
}

var _ io.Closer = (*Host)(nil)

package session

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"souk/artifact/machine"
	"souk/artifact/machine/frame"
)

// Streams are the client's ends of what passes through a session.
type Streams struct {
	In       io.Reader // nil: empty
	Out, Err io.Writer // nil: thrown away. Both of a terminal arrive in Out
	// Resize has the sizes of the terminal as they change; nil: it keeps its size.
	Resize <-chan machine.Size
	// Signals end the program: each is the number of a signal, such as 2. The
	// second ends the session without waiting for that. Nil: there are none.
	Signals <-chan int
}

// ErrLost says that the connection ended before the program's end was told.
var ErrLost = errors.New("the connection to the server was lost; the program was ended")

// calling is the client's end of one session. It believes the server no more than
// needs be: nothing that comes fills its memory.
type calling struct {
	*wire              // In has the program's output, Out is of its input
	told  atomic.Int64 // the last signal that was passed on, 0 for none
	exit  *machine.Exit
	fail  error // both are set by the reader before In ends
}

// Run has a program run over a connection that Dial made, and closes that. It
// returns when the program has ended and all that it wrote was handed over. The
// error is a *Failure that says why it was not run to its end, ErrLost, that of
// writing to Out or Err, or the cause of ctx, whose end ends the program. A read of In may still be waiting when it
// returns.
func Run(ctx context.Context, conn io.ReadWriteCloser, start Start, s Streams) (machine.Exit, error) {
	c := &calling{wire: newWire(conn)}
	defer c.close()
	defer c.Out.Drop()
	err := c.SendJSON(kindStart, start, maxStart)
	if err != nil {
		return machine.Exit{}, fmt.Errorf("asking for the program: %w", err)
	}
	stop := context.AfterFunc(ctx, c.close)
	defer stop()
	go func() {
		err := c.read(conn, c.take)
		if c.exit == nil && c.fail == nil {
			c.fail = ErrLost
			if errors.Is(err, errSilent) || errors.Is(err, frame.ErrMalformed) {
				c.fail = fmt.Errorf("%w: %w", ErrLost, err)
			}
		}
		c.Out.Drop()
		c.In.End()
	}()
	go c.feed(s.In)
	over := make(chan struct{})
	defer close(over)
	go c.control(s, over)
	err = c.print(s)
	switch {
	case err != nil:
		return machine.Exit{}, err
	case c.exit != nil:
		return *c.exit, nil
	case ctx.Err() != nil:
		return machine.Exit{}, context.Cause(ctx)
	case errors.Is(c.fail, ErrLost) && c.told.Load() != 0: // nobody waited for its end
		n := int(c.told.Load())
		return machine.Exit{Code: 128 + n, Signal: n}, nil
	}
	return machine.Exit{}, c.fail
}

// take does what a frame says.
func (c *calling) take(f frame.Frame) error {
	switch f.Kind {
	case kindOut, kindErr:
		return c.In.Put(f.Kind, f.Data)
	case frame.Window:
		return c.Out.Credit(f.Data)
	case kindExit:
		e, err := exitOf(f.Data)
		if err != nil {
			return err
		}
		c.exit = &e
		return io.EOF
	case kindFail:
		failure, err := failureOf(f.Data)
		if err != nil {
			return err
		}
		c.fail = failure
		return io.EOF
	}
	return fmt.Errorf("%w: kind %q", frame.ErrMalformed, f.Kind)
}

// print hands over what the program writes until nothing more comes.
func (c *calling) print(s Streams) error {
	for {
		piece, err := c.In.Next(frame.Max)
		if err != nil {
			return nil
		}
		w := s.Out
		if piece.Channel == kindErr {
			w = s.Err
		}
		if w != nil {
			_, err = w.Write(piece.Data)
			if err != nil {
				return fmt.Errorf("writing the program's output: %w", err)
			}
		}
		_ = c.Used(len(piece.Data)) // if that fails the reader learns it
	}
}

// feed sends the program its input.
func (c *calling) feed(in io.Reader) {
	for buf := make([]byte, 32<<10); in != nil; {
		n, err := in.Read(buf)
		if c.SendData(kindInput, nil, buf[:n]) != nil {
			return
		}
		if err != nil {
			break
		}
	}
	_ = c.Send(kindEnd) // as above
}

// control tells sizes and signals until the session is over.
func (c *calling) control(s Streams, over <-chan struct{}) {
	signals := 0
	for {
		select {
		case <-over:
			return
		case size, ok := <-s.Resize:
			if !ok {
				s.Resize = nil
				continue
			}
			b := binary.BigEndian.AppendUint16(nil, size.Rows)
			if c.Send(kindSize, binary.BigEndian.AppendUint16(b, size.Columns)) != nil {
				return
			}
		case n, ok := <-s.Signals:
			if !ok {
				s.Signals = nil
				continue
			}
			c.told.Store(int64(n))
			signals++
			if signals > 1 {
				c.close()
				return
			}
			if c.Send(kindSignal, []byte{byte(n)}) != nil {
				return
			}
		}
	}
}

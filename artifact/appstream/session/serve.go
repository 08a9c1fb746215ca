package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"souk/artifact/machine"
	"souk/artifact/machine/frame"
)

// errLeft: the client is no longer there. What it ran ends.
var errLeft = errors.New("the client has gone")

// killed is the cause of a program's end by a signal of its client.
type killed struct{ signal int }

func (k *killed) Error() string { return "ended by its client" }

// serving is the server's end of one session. Everything that comes in is
// hostile: a frame that is wrong ends the session, and nothing that the client
// does or fails to do holds up more than its own program.
type serving struct {
	*wire  // In has the program's input, Out is of its output
	sizes  chan machine.Size
	cancel context.CancelCauseFunc
	busy   atomic.Bool // something was typed or shown since the idle clock looked
}

// serve runs what the client asks for and tells it how that ended. It closes
// conn; r reads from it. ctx's cause, if it is a *Failure, is told the client.
// start makes a command of its message, run runs it. idle, if not 0, bounds
// how long nothing passes through a terminal. It returns why there was no end of
// the program, nil if there was one.
func serve(ctx context.Context, conn io.ReadWriteCloser, r io.Reader, idle time.Duration,
	start func(Start) (machine.Cmd, error), run func(context.Context, machine.Cmd) (machine.Exit, error)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := &serving{wire: newWire(conn), sizes: make(chan machine.Size, 1), cancel: cancel}
	defer s.close()

	asked := make(chan Start, 1)
	left := make(chan struct{}) // closed when nothing more is read
	go func() {
		defer close(left)
		err := s.read(r, s.taker(asked))
		s.In.Drop()
		s.Out.Drop()
		var f *Failure
		if errors.Is(err, frame.ErrMalformed) {
			f = &Failure{CodeRequest, err.Error()}
		}
		if f == nil && !errors.As(err, &f) {
			cancel(fmt.Errorf("%w: %w", errLeft, err))
			return
		}
		cancel(f)
		_, _ = io.Copy(io.Discard, r) // until the client has taken that, or its time is over
	}()
	patience := time.NewTimer(starting)
	defer patience.Stop()
	var e machine.Exit
	var err error
	select {
	case wanted := <-asked:
		var c machine.Cmd
		c, err = start(wanted)
		if err != nil {
			err = &Failure{CodeRequest, err.Error()}
			break
		}
		if c.Terminal != nil {
			c.Terminal.Resize = s.sizes
			if idle > 0 {
				go s.idle(ctx, idle)
			}
		}
		c.Stdin, c.Stdout, c.Stderr = input{s}, output{s, kindOut}, output{s, kindErr}
		e, err = run(ctx, c)
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-patience.C:
		err = &Failure{CodeRequest, "the client did not say what is to run"}
	}
	s.In.Drop()
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	s.end(e, &err)
	bye := time.NewTimer(parting)
	defer bye.Stop()
	select {
	case <-left:
	case <-bye.C:
	}
	return err
}

// end tells the client how all ended. An end that the client asked for is no error.
func (s *serving) end(e machine.Exit, err *error) {
	var k *killed
	var f *Failure
	switch {
	case errors.As(*err, &k):
		e, *err = machine.Exit{Code: 128 + k.signal, Signal: k.signal}, nil
	case errors.As(*err, &f):
		_ = s.SendJSON(kindFail, f, frame.Max) // a client that has gone need not know
		return
	case errors.Is(*err, errLeft):
		return
	case *err != nil:
		_ = s.SendJSON(kindFail, Failure{CodeInternal, "the server failed to run the program"}, frame.Max)
		return
	}
	_ = s.SendJSON(kindExit, exit(e), frame.Max)
}

// taker returns what does as a frame says.
func (s *serving) taker(asked chan<- Start) func(frame.Frame) error {
	started := false
	return func(f frame.Frame) error {
		if started == (f.Kind == kindStart) {
			return fmt.Errorf("%w: kind %q has no place", frame.ErrMalformed, f.Kind)
		}
		s.busy.Store(true)
		switch f.Kind {
		case kindStart:
			started = true
			wanted, err := parseStart(f.Data)
			if err != nil {
				return &Failure{CodeRequest, err.Error()}
			}
			asked <- wanted // has room
		case kindInput:
			return s.In.Put(kindInput, f.Data)
		case kindEnd:
			s.In.End()
		case frame.Window:
			return s.Out.Credit(f.Data)
		case kindSize:
			size, err := sizeOf(f.Data)
			if err != nil {
				return err
			}
			select { // the latest counts
			case <-s.sizes:
			default:
			}
			select {
			case s.sizes <- size:
			default:
			}
		case kindSignal:
			n, err := signalOf(f.Data)
			if err != nil {
				return err
			}
			s.Out.Drop() // what it wrote is not waited for
			s.cancel(&killed{n})
		default:
			return fmt.Errorf("%w: kind %q", frame.ErrMalformed, f.Kind)
		}
		return nil
	}
}

// idle ends a terminal through which nothing has passed for a while.
func (s *serving) idle(ctx context.Context, most time.Duration) {
	tick := time.NewTicker(most)
	defer tick.Stop()
	for {
		s.busy.Store(false)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if !s.busy.Load() {
				s.cancel(&Failure{CodeIdle, fmt.Sprintf("the terminal was not used for %s and was closed", most)})
				return
			}
		}
	}
}

// input is the program's standard input.
type input struct{ s *serving }

// Read implements io.Reader.
func (i input) Read(b []byte) (int, error) {
	c, err := i.s.In.Next(len(b))
	if err != nil {
		return 0, err
	}
	_ = i.s.Used(len(c.Data)) // if that fails nothing more comes
	return copy(b, c.Data), nil
}

// output is one of the program's outputs.
type output struct {
	s    *serving
	kind byte
}

// Write implements io.Writer.
func (o output) Write(b []byte) (int, error) {
	o.s.busy.Store(true)
	err := o.s.SendData(o.kind, nil, b)
	if err != nil {
		return 0, errLeft
	}
	return len(b), nil
}

package session

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"testing"

	"souk/artifact/machine"
	"souk/artifact/machine/frame"
)

// stream is a connection whose other end has said all that it says.
type stream struct {
	io.Reader
}

func (s *stream) Write(b []byte) (int, error) { return len(b), nil }
func (s *stream) Close() error                { return nil }

// said is a frame that is well formed.
type said struct {
	kind byte
	data []byte
}

// frames is a stream of frames.
func frames(all ...said) []byte {
	var b []byte
	for _, f := range all {
		b = frame.Plain.Append(b, f.kind, 0, f.data)
	}
	return b
}

// FuzzServerReads gives a server whatever a client may send. It must come to an
// end, and keep no more than its window.
func FuzzServerReads(f *testing.F) {
	start := []byte(`{"args":["x","y"],"env":["A=b"],"terminal":true,"term":"xterm"}`)
	f.Add(frames(said{kindStart, start}, said{kindInput, []byte("in")}, said{kindEnd, nil}, said{kindSize, []byte{0, 1, 0, 2}}, said{frame.Window, []byte{0, 0, 0, 9}}, said{kindPing, nil}))
	f.Add(frames(said{kindStart, start}, said{kindSignal, []byte{2}}))
	f.Add(frames(said{kindStart, start}, said{kindStart, start}))
	f.Add(frames(said{kindStart, start}, said{kindEnd, nil}, said{kindInput, []byte("late")}))
	f.Add(frames(said{kindStart, start}, said{kindSignal, nil}))
	f.Add(frames(said{kindStart, []byte(`{"args":`)}))
	f.Add(frames(said{kindInput, nil}))
	f.Add([]byte{kindStart, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, data []byte) {
		conn := &stream{Reader: bytes.NewReader(data)}
		err := serve(t.Context(), conn, conn, 0, func(s Start) (machine.Cmd, error) { return s.cmd(Ticket{Kind: Command, Program: "x"}) },
			func(ctx context.Context, c machine.Cmd) (machine.Exit, error) {
				if c.Args[0] != "x" {
					t.Errorf("%q runs, which the ticket is not for", c.Args)
				}
				_, _ = io.Copy(io.Discard, c.Stdin)
				<-ctx.Done()
				return machine.Exit{}, context.Cause(ctx)
			})
		var failure *Failure
		if err != nil && !errors.Is(err, errLeft) && !errors.As(err, &failure) {
			t.Errorf("ended with %v", err)
		}
	})
}

// FuzzClientReads gives a client whatever a server may send.
func FuzzClientReads(f *testing.F) {
	f.Add(frames(said{kindOut, []byte("out")}, said{kindErr, []byte("err")}, said{frame.Window, []byte{0, 0, 0, 0}}, said{kindExit, []byte(`{"code":3}`)}))
	f.Add(frames(said{kindFail, []byte(`{"code":"Idle","message":"\u001b[2J"}`)}))
	f.Add(frames(said{kindExit, []byte(`{"code":300}`)}))
	f.Add(frames(said{frame.Window, []byte{255, 0, 0, 0}}))
	f.Add(frames(said{kindStart, nil}))
	f.Add([]byte{kindOut, 0, 0, 0, 9, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		var out counter
		e, err := Run(t.Context(), &stream{Reader: bytes.NewReader(data)}, Start{Args: []string{"x"}}, Streams{Out: &out, Err: &out})
		if out.n > len(data) || e.Code < 0 || e.Code > 255 {
			t.Errorf("%d bytes of output of %d, %+v", out.n, len(data), e)
		}
		var failure *Failure
		if err != nil && !errors.Is(err, ErrLost) && !errors.As(err, &failure) {
			t.Errorf("ended with %v", err)
		}
		if failure != nil && failure.Message != printable(failure.Message) {
			t.Errorf("a failure has what a terminal obeys: %q", failure.Message)
		}
	})
}

func FuzzTicket(f *testing.F) {
	ring := testRing()
	text, err := Ticket{ID: "x", Account: "123456789012"}.seal(ring)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add("")
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, forged string) {
		got, err := openTicket(ring, forged)
		if err == nil && got.ID != "x" {
			t.Errorf("%q opens as %+v", forged, got)
		}
	})
}

func FuzzStart(f *testing.F) {
	f.Add([]byte(`{"args":["a"],"env":["A=b"],"dir":"/x","terminal":true,"term":"xterm-256color","size":{"Rows":1,"Columns":2}}`))
	f.Add([]byte(`{"env":["=b"]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parseStart(data)
		if err != nil {
			return
		}
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) <= maxStart {
			if _, err = parseStart(b); err != nil {
				t.Errorf("what was read of %q is refused: %v", data, err)
			}
		}
	})
}

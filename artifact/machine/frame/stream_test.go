package frame

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// window is what the streams of these tests have: as much as the larger protocol.
const window = 1 << 20

// ends is a connection that keeps what is written.
type ends struct {
	bytes.Buffer
	fails  error
	closed int
}

func (e *ends) Write(b []byte) (int, error) {
	if e.fails != nil {
		return 0, e.fails
	}
	return e.Buffer.Write(b)
}

func (e *ends) Close() error { e.closed++; return nil }

func TestNothingFollowsAFrameThatWasNotWritten(t *testing.T) {
	t.Parallel()
	full := errors.New("full")
	conn := &ends{fails: full}
	w := &Writer{Conn: conn}
	first := w.Send('A', 0)
	conn.fails = nil
	second := w.Send('B', 0)
	if first != full || second != full || conn.Len() != 0 || conn.closed != 1 {
		t.Errorf("got %v and %v, %d bytes, closed %d times", first, second, conn.Len(), conn.closed)
	}
}

func TestOtherEndThatTakesNoBytes(t *testing.T) {
	t.Parallel()
	ours, theirs := net.Pipe()
	defer theirs.Close()
	w := &Writer{Conn: ours, Patience: time.Millisecond}
	var late net.Error
	err := w.Send('A', 0)
	if !errors.As(err, &late) || !late.Timeout() {
		t.Errorf("got %v", err)
	}
	_, err = theirs.Read(make([]byte, 1))
	if err != io.EOF {
		t.Errorf("the connection is open still: %v", err)
	}
}

func TestJSONThatIsTooLong(t *testing.T) {
	t.Parallel()
	conn := &ends{}
	s := (&Writer{Conn: conn}).Stream(0, window)
	err := s.SendJSON('X', "text", 5)
	if err == nil || conn.Len() != 0 {
		t.Errorf("got %v, %d bytes were written", err, conn.Len())
	}
	err = s.SendJSON('X', "text", 6)
	if got := conn.String(); err != nil || got != "X\x00\x00\x00\x06\"text\"" {
		t.Errorf("got %v, %q was written", err, got)
	}
}

// No frame has more than Max bytes, whatever each begins with, and no more data
// goes out than the window has room for.
func TestDataGoesOutAsTheWindowAllows(t *testing.T) {
	t.Parallel()
	ours, theirs := net.Pipe()
	defer ours.Close()
	s := (&Writer{Format: Numbered, Conn: ours}).Stream(7, window)
	data := make([]byte, 2*window+10)
	for i := range data {
		data[i] = byte(i)
	}
	over := make(chan error)
	go func() {
		defer ours.Close()
		over <- s.SendData('D', []byte{1}, data)
	}()
	var got []byte
	unused := 0
	err := Numbered.Each(theirs, func(f Frame) error {
		if f.Kind != 'D' || f.Stream != 7 || len(f.Data) < 2 || f.Data[0] != 1 {
			t.Errorf("a frame of kind %q on stream %d with %d bytes", f.Kind, f.Stream, len(f.Data))
			return io.ErrShortBuffer
		}
		got = append(got, f.Data[1:]...)
		unused += len(f.Data) - 1
		if unused > window {
			t.Errorf("%d bytes came before any was used", unused)
		}
		if unused == window {
			err := s.Out.Credit(binary.BigEndian.AppendUint32(nil, uint32(unused)))
			unused = 0
			return err
		}
		if len(got) == len(data) {
			return io.EOF
		}
		return nil
	})
	theirs.Close()
	if err != io.EOF || !bytes.Equal(got, data) {
		t.Errorf("%d bytes of %d came, as they were: %v, %v", len(got), len(data), bytes.Equal(got, data), err)
	}
	if err = <-over; err != nil {
		t.Errorf("sending: %v", err)
	}
}

func TestWhoWaitsForAWindowGoesOnWhenItIsDropped(t *testing.T) {
	t.Parallel()
	s := (&Writer{Conn: &ends{}}).Stream(0, 3)
	over := make(chan error)
	go func() { over <- s.SendData('D', nil, []byte("text")) }()
	s.Out.Drop()
	if err := <-over; !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestUsedIsWhatCreditReads(t *testing.T) {
	t.Parallel()
	conn := &ends{}
	s := (&Writer{Conn: conn}).Stream(0, window)
	if s.SendData('D', nil, make([]byte, 5)) != nil {
		t.Fatal("less than a window can't be sent")
	}
	conn.Reset()
	err := s.Used(5)
	if err != nil {
		t.Fatal(err)
	}
	f, err := Plain.Read(conn, make([]byte, Max))
	if err != nil || f.Kind != Window {
		t.Fatalf("a frame of kind %q: %v", f.Kind, err)
	}
	err = s.Out.Credit(f.Data)
	if err != nil || s.Out.left != window {
		t.Errorf("%d bytes may be sent: %v", s.Out.left, err)
	}
}

// What flows through a stream costs one copy of it, at whom it comes.
func TestFramesAreWrittenAndReadWithoutMemoryOfTheirOwn(t *testing.T) {
	conn := &ends{}
	s := (&Writer{Format: Numbered, Conn: conn}).Stream(7, window)
	data, buf, reader := make([]byte, 32<<10), make([]byte, Max), &bytes.Reader{}
	credit := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	got := testing.AllocsPerRun(100, func() {
		conn.Reset()
		sent := s.SendData('D', []byte{1}, data)
		reader.Reset(conn.Bytes())
		_, read := Numbered.Read(reader, buf)
		used := s.Out.Credit(credit)
		conn.Reset()
		told := s.Used(len(data))
		if err := errors.Join(sent, read, used, told); err != nil {
			t.Fatal(err)
		}
	})
	if got != 0 {
		t.Errorf("%v allocations for a frame", got)
	}
}

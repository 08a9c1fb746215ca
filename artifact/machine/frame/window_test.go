package frame

import (
	"encoding/binary"
	"errors"
	"io"
	"testing"
)

func stream() *Stream { return (&Writer{Conn: &ends{}}).Stream(0, window) }

func TestManySmallPiecesTakeTheRoomOfTheirBytes(t *testing.T) {
	t.Parallel()
	b := &stream().In
	for range window {
		if b.Put('x', []byte{'x'}) != nil || b.Put('x', nil) != nil {
			t.Fatal("less than a window is too much")
		}
	}
	if err := b.Put('x', []byte{'x'}); !errors.Is(err, ErrMalformed) {
		t.Errorf("more than a window is taken: %v", err)
	}
	room := 0
	for _, p := range b.pieces {
		room += cap(p.Data)
	}
	if most := 2 * window / Max; len(b.pieces) > most || room > 2*window {
		t.Errorf("%d bytes lie in %d pieces with room for %d", window, len(b.pieces), room)
	}
	got := 0
	for b.End(); ; {
		p, err := b.Next(1000)
		if err != nil {
			break
		}
		if len(p.Data) > 1000 {
			t.Errorf("%d bytes come where 1000 are the most", len(p.Data))
		}
		got += len(p.Data)
	}
	if got != window {
		t.Errorf("%d bytes came out, want %d", got, window)
	}
}

func TestPiecesOfTwoOutputsKeepTheirOrder(t *testing.T) {
	t.Parallel()
	b := &stream().In
	for _, p := range []Piece{{'1', []byte("a")}, {'1', []byte("b")}, {'2', []byte("c")}, {'1', []byte("d")}} {
		if err := b.Put(p.Channel, p.Data); err != nil {
			t.Fatal(err)
		}
	}
	b.End()
	got := ""
	for {
		p, err := b.Next(Max)
		if err != nil {
			break
		}
		got += string(p.Channel) + string(p.Data) + " "
	}
	if want := "1ab 2c 1d "; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDataBehindTheEnd(t *testing.T) {
	t.Parallel()
	b := &stream().In
	b.End()
	if err := b.Put('x', []byte("late")); !errors.Is(err, ErrMalformed) {
		t.Errorf("it is taken: %v", err)
	}
	if !b.Ended() {
		t.Error("the end is forgotten")
	}
	b.Drop()
	if err := b.Put('x', []byte("late")); err != nil {
		t.Errorf("what nobody wants is refused: %v", err)
	}
}

func TestWhatIsDroppedIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	b := &stream().In
	if b.Put('x', []byte("text")) != nil {
		t.Fatal("less than a window is too much")
	}
	b.Drop()
	if _, err := b.Next(Max); err != io.EOF {
		t.Errorf("got %v", err)
	}
	if b.Ended() {
		t.Error("the other end is said to have ended")
	}
}

// What was taken out is the taker's: what comes later does not change it.
func TestPieceThatWasTakenInPart(t *testing.T) {
	t.Parallel()
	b := &stream().In
	first, second := b.Put('x', []byte("abcd")), error(nil)
	p, err := b.Next(2)
	_ = append(p.Data, "XX"...)
	second = b.Put('x', []byte("ef"))
	rest, last := b.Next(Max)
	if errors.Join(first, second, err, last) != nil || string(p.Data) != "ab" || string(rest.Data) != "cdef" {
		t.Errorf("got %q and %q: %v", p.Data, rest.Data, errors.Join(first, second, err, last))
	}
}

// FuzzCredit opens a window by whatever may come. It is never larger than it was.
func FuzzCredit(f *testing.F) {
	f.Add(10, []byte{0, 0, 0, 10})
	f.Add(10, []byte{0, 0, 0, 11})
	f.Add(0, []byte{0xff, 0xff, 0xff, 0xff})
	f.Add(0, []byte{0})
	f.Fuzz(func(t *testing.T, sent int, data []byte) {
		s := stream()
		sent = max(0, min(sent, window))
		if s.SendData('D', nil, make([]byte, sent)) != nil {
			t.Fatal("no more than a window can't be sent")
		}
		err := s.Out.Credit(data)
		want := window - sent
		if err == nil {
			want += int(binary.BigEndian.Uint32(data))
		} else if !errors.Is(err, ErrMalformed) {
			t.Errorf("refused by %v", err)
		}
		if s.Out.left != want || want > window {
			t.Errorf("%d were sent and %x is said: %d may be sent (%v)", sent, data, s.Out.left, err)
		}
	})
}

// FuzzInbox puts and takes as it is told. All comes out as it went in, and never
// more than a window is kept.
func FuzzInbox(f *testing.F) {
	f.Add([]byte{10, 200, 3, 255, 7})
	f.Fuzz(func(t *testing.T, steps []byte) {
		s := (&Writer{Conn: &ends{}}).Stream(0, 300)
		var in, out []byte
		for i, n := range steps {
			if n%2 == 0 {
				data := make([]byte, n)
				for j := range data {
					data[j] = byte(i)
				}
				fits := len(in)-len(out)+len(data) <= 300
				if err := s.In.Put(byte(i)%3, data); (err == nil) != fits {
					t.Fatalf("%d bytes onto %d: %v", len(data), len(in)-len(out), err)
				}
				if fits {
					in = append(in, data...)
				}
			} else if len(in) > len(out) {
				p, err := s.In.Next(int(n))
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, p.Data...)
			}
		}
		for s.In.End(); ; {
			p, err := s.In.Next(Max)
			if err != nil {
				break
			}
			out = append(out, p.Data...)
		}
		if string(in) != string(out) {
			t.Errorf("%x went in and %x came out", in, out)
		}
	})
}

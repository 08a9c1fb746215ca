package session

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"
)

func TestManySmallPiecesTakeTheRoomOfTheirBytes(t *testing.T) {
	t.Parallel()
	b := newInbox()
	for range window {
		if !b.put(kindInput, []byte{'x'}) {
			t.Fatal("less than a window is too much")
		}
	}
	if b.put(kindInput, []byte{'x'}) {
		t.Error("more than a window is taken")
	}
	room := 0
	for _, c := range b.chunks {
		room += cap(c.data)
	}
	if most := 2 * window / maxFrame; len(b.chunks) > most || room > 2*window {
		t.Errorf("%d bytes lie in %d pieces with room for %d", window, len(b.chunks), room)
	}
	got := 0
	for b.end(); ; {
		c, err := b.next(1000)
		if err != nil {
			break
		}
		got += len(c.data)
	}
	if got != window {
		t.Errorf("%d bytes came out, want %d", got, window)
	}
}

func TestPiecesOfTwoOutputsKeepTheirOrder(t *testing.T) {
	t.Parallel()
	b := newInbox()
	for _, c := range []chunk{{kindOut, []byte("a")}, {kindOut, []byte("b")}, {kindErr, []byte("c")}, {kindOut, []byte("d")}} {
		b.put(c.kind, c.data)
	}
	b.end()
	got := ""
	for {
		c, err := b.next(maxFrame)
		if err != nil {
			break
		}
		got += string(c.kind) + string(c.data) + " "
	}
	if want := "1ab 2c 1d "; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The watch is set once more by what comes in the moment in which it goes off.
func TestOtherEndThatSpeaksInTheMomentInWhichItIsGivenUp(t *testing.T) {
	t.Parallel()
	ours, theirs := net.Pipe()
	defer theirs.Close()
	w := newWire(ours)
	w.silent()
	w.silent()
	if err := w.read(ours, func(frame) error { return nil }); err != errSilent {
		t.Errorf("reading: %v", err)
	}
}

// A client that takes nothing is no reason for the node in between to wait for ever.
func TestClientOfAnotherNodeThatTakesNothing(t *testing.T) {
	t.Parallel()
	here, client := net.Pipe()
	defer client.Close()
	_, err := patient{here, time.Millisecond}.Write([]byte("output"))
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("writing to it: %v", err)
	}
}

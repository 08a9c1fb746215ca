package session

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"souk/artifact/machine/frame"
)

// The watch is set once more by what comes in the moment in which it goes off.
func TestOtherEndThatSpeaksInTheMomentInWhichItIsGivenUp(t *testing.T) {
	t.Parallel()
	ours, theirs := net.Pipe()
	defer theirs.Close()
	w := newWire(ours)
	w.silent()
	w.silent()
	if err := w.read(ours, func(frame.Frame) error { return nil }); err != errSilent {
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

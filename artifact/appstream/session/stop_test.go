package session

import (
	"encoding/json"
	"testing"
	"time"

	"souk/artifact/machine/frame"
)

// A client that takes what it is sent and never asks for more holds up its own
// program: a server that stops waits for it as long as it may, and not until the
// client is known to be gone.
func TestServerThatStopsDoesNotWaitForAClientThatReadsNothing(t *testing.T) {
	t.Parallel()
	n := newNode(t, func(c *Config) { c.Drain = time.Millisecond })
	conn := n.dial(t, builderOne)
	defer conn.Close()
	text, err := json.Marshal(sh("exec yes"))
	if err == nil {
		_, err = conn.Write(frame.Plain.Append(nil, kindStart, 0, text))
	}
	buf := make([]byte, frame.Max)
	for got := 0; got < window && err == nil; { // all that it may be sent: its program waits now
		var f frame.Frame
		f, err = frame.Plain.Read(conn, buf)
		got += len(f.Data)
	}
	if err != nil {
		t.Fatal(err)
	}
	n.run()
	over := make(chan struct{})
	go func() {
		defer close(over)
		n.running.Wait()
	}()
	select {
	case <-over:
	case <-time.After(silence / 2):
		t.Error("the server waits still")
	}
}

package session

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"souk/artifact/machine"
	"souk/artifact/machine/frame"
)

// The two ends speak frames without numbers: a session has one stream.
const (
	// maxStart is the most that the start message may have: an agent's own frame
	// must hold it, too.
	maxStart = 48 << 10
	// window is how much of its input, or of a program's output, an end may send
	// before it is told that some was used. Nobody keeps more than that.
	window = 1 << 20
)

// Kinds of frames, beside frame.Window. C is the client, S the server.
const (
	kindStart  byte = 'S' // C: what is to run. JSON of Start.
	kindInput  byte = 'I' // C: standard input.
	kindEnd    byte = 'E' // C: no more input comes.
	kindSize   byte = 'Z' // C: the terminal has another size.
	kindSignal byte = 'K' // C: end the program; the number of the signal that is meant.
	kindOut    byte = '1' // S: standard output.
	kindErr    byte = '2' // S: standard error.
	kindExit   byte = 'X' // S: the program has ended. JSON of machine.Exit.
	kindFail   byte = 'F' // S: it was not run to its end. JSON of Failure.
	kindPing   byte = 'P' // both: I am there.
)

// How long an end waits.
const (
	// pinging is how often each end says that it is there.
	pinging = 15 * time.Second
	// silence is how long the other end may say nothing at all.
	silence = 50 * time.Second
	// starting is how long a client may take to say what is to run.
	starting = 15 * time.Second
	// parting is how long a server waits for a client to take leave, once it was
	// told how all ended. Closing earlier could destroy what is under way to it.
	parting = 5 * time.Second
)

// errSilent: the other end has said nothing for too long.
var errSilent = errors.New("the other end has gone silent")

// sizeOf reads the content of a size frame.
func sizeOf(data []byte) (machine.Size, error) {
	if len(data) != 4 {
		return machine.Size{}, fmt.Errorf("%w: a size of %d bytes", frame.ErrMalformed, len(data))
	}
	return machine.Size{Rows: binary.BigEndian.Uint16(data), Columns: binary.BigEndian.Uint16(data[2:])}, nil
}

// signalOf reads the content of a signal frame.
func signalOf(data []byte) (int, error) {
	if len(data) != 1 || data[0] == 0 || data[0] > 64 {
		return 0, fmt.Errorf("%w: no signal", frame.ErrMalformed)
	}
	return int(data[0]), nil
}

// exit is what an exit frame says.
type exit struct {
	Code        int  `json:"code"`
	Signal      int  `json:"signal,omitempty"`
	OutOfMemory bool `json:"outOfMemory,omitempty"`
	DiskFull    bool `json:"diskFull,omitempty"`
}

// exitOf reads the content of an exit frame.
func exitOf(data []byte) (machine.Exit, error) {
	var e exit
	err := json.Unmarshal(data, &e)
	if err != nil || e.Code < 0 || e.Code > 255 || e.Signal < 0 || e.Signal > 64 {
		return machine.Exit{}, fmt.Errorf("%w: a program ended in no known way", frame.ErrMalformed)
	}
	return machine.Exit(e), nil
}

// failureOf reads the content of a failure frame.
func failureOf(data []byte) (*Failure, error) {
	var f Failure
	err := json.Unmarshal(data, &f)
	if err != nil || f.Code == "" {
		return nil, fmt.Errorf("%w: a failure without a name", frame.ErrMalformed)
	}
	f.Message = printable(f.Message)
	return &f, nil
}

// wire is one end of a session's connection.
type wire struct {
	*frame.Stream
	conn io.ReadWriteCloser
	quit chan struct{} // closed by close
	once sync.Once

	watch *time.Timer // closes the connection when the other end is silent
	mute  atomic.Bool // it was
}

// newWire begins to ping, and to listen for silence. Who takes no bytes for as long
// has gone, too.
func newWire(conn io.ReadWriteCloser) *wire {
	out := &frame.Writer{Conn: conn, Patience: silence}
	w := &wire{Stream: out.Stream(0, window), conn: conn, quit: make(chan struct{})}
	w.watch = time.AfterFunc(silence, w.silent)
	go w.ping()
	return w
}

// silent gives up the other end. It may be called again: what came in the same
// moment has set the watch once more.
func (w *wire) silent() {
	w.mute.Store(true)
	w.close()
}

// close ends the connection. Reads and writes that wait return.
func (w *wire) close() {
	w.once.Do(func() {
		close(w.quit)
		w.watch.Stop()
		_ = w.conn.Close() // nobody has use for it, whatever closing says
	})
}

func (w *wire) ping() {
	tick := time.NewTicker(pinging)
	defer tick.Stop()
	for {
		select {
		case <-w.quit:
			return
		case <-tick.C:
			if w.Send(kindPing) != nil {
				return
			}
		}
	}
}

// read reads frames and hands each to take until an error of either; that is
// what it returns. It is never held up but by the connection, if take is not.
func (w *wire) read(r io.Reader, take func(frame.Frame) error) error {
	err := frame.Plain.Each(r, func(f frame.Frame) error {
		w.watch.Reset(silence)
		switch {
		case f.Kind != kindPing:
			return take(f)
		case len(f.Data) != 0:
			return fmt.Errorf("%w: a ping with content", frame.ErrMalformed)
		}
		return nil
	})
	if w.mute.Load() {
		return errSilent
	}
	return err
}

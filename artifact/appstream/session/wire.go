package session

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"souk/artifact/machine"
)

// What the two ends say to each other is one stream of bytes in each direction,
// cut into frames: a kind, the length of what follows, and that. All numbers are
// big-endian.
const (
	headSize = 5
	// maxFrame is the most that a frame may hold, in bytes.
	maxFrame = 64 << 10
	// maxStart is the most that the start message may have: an agent's own frame
	// must hold it, too.
	maxStart = 48 << 10
	// window is how much of its input, or of a program's output, an end may send
	// before it is told that some was used. Nobody keeps more than that.
	window = 1 << 20
)

// Kinds of frames. C is the client, S the server.
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
	kindWindow byte = 'W' // both: so many bytes were used.
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

// errFrame is the error of bytes that are no frame, or of one that has no place.
var errFrame = errors.New("frame is malformed")

// errSilent: the other end has said nothing for too long.
var errSilent = errors.New("the other end has gone silent")

// frame is one frame. data is valid until the next one is read.
type frame struct {
	kind byte
	data []byte
}

// readFrame reads a frame into buf, which has maxFrame bytes. io.EOF says that
// the stream ended between frames.
func readFrame(r io.Reader, buf []byte) (frame, error) {
	var head [headSize]byte
	_, err := io.ReadFull(r, head[:])
	if err != nil {
		return frame{}, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n > maxFrame {
		return frame{}, fmt.Errorf("%w: %d bytes", errFrame, n)
	}
	_, err = io.ReadFull(r, buf[:n])
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return frame{kind: head[0], data: buf[:n]}, err
}

func appendFrame(b []byte, kind byte, data []byte) []byte {
	b = append(b, kind)
	b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
	return append(b, data...)
}

// credit reads the content of a window frame.
func credit(data []byte) (int, error) {
	if len(data) != 4 {
		return 0, fmt.Errorf("%w: a window of %d bytes", errFrame, len(data))
	}
	n := binary.BigEndian.Uint32(data)
	if n > window {
		return 0, fmt.Errorf("%w: a window is opened by %d", errFrame, n)
	}
	return int(n), nil
}

// sizeOf reads the content of a size frame.
func sizeOf(data []byte) (machine.Size, error) {
	if len(data) != 4 {
		return machine.Size{}, fmt.Errorf("%w: a size of %d bytes", errFrame, len(data))
	}
	return machine.Size{Rows: binary.BigEndian.Uint16(data), Columns: binary.BigEndian.Uint16(data[2:])}, nil
}

// signalOf reads the content of a signal frame.
func signalOf(data []byte) (int, error) {
	if len(data) != 1 || data[0] == 0 || data[0] > 64 {
		return 0, fmt.Errorf("%w: no signal", errFrame)
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
		return machine.Exit{}, fmt.Errorf("%w: a program ended in no known way", errFrame)
	}
	return machine.Exit(e), nil
}

// failureOf reads the content of a failure frame.
func failureOf(data []byte) (*Failure, error) {
	var f Failure
	err := json.Unmarshal(data, &f)
	if err != nil || f.Code == "" {
		return nil, fmt.Errorf("%w: a failure without a name", errFrame)
	}
	f.Message = printable(f.Message)
	return &f, nil
}

// wire is one end of a session's connection.
type wire struct {
	conn io.ReadWriteCloser
	quit chan struct{} // closed by close
	once sync.Once

	mu  sync.Mutex // guards writing and buf
	buf []byte

	watch *time.Timer // closes the connection when the other end is silent
	mute  atomic.Bool // it was
}

// newWire begins to ping, and to listen for silence.
func newWire(conn io.ReadWriteCloser) *wire {
	w := &wire{conn: conn, quit: make(chan struct{})}
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
			if w.send(kindPing, nil) != nil {
				return
			}
		}
	}
}

// read reads frames and hands each to take until an error of either; that is
// what it returns. It is never held up but by the connection, if take is not.
func (w *wire) read(r io.Reader, take func(frame) error) error {
	buf := make([]byte, maxFrame)
	for {
		f, err := readFrame(r, buf)
		if err == nil {
			w.watch.Reset(silence)
			if f.kind != kindPing {
				err = take(f)
			} else if len(f.data) != 0 {
				err = fmt.Errorf("%w: a ping with content", errFrame)
			}
		}
		if err != nil {
			if w.mute.Load() {
				return errSilent
			}
			return err
		}
	}
}

// send writes a frame. Who takes no bytes for long has gone.
func (w *wire) send(kind byte, data []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf = appendFrame(w.buf[:0], kind, data)
	if c, ok := w.conn.(interface{ SetWriteDeadline(time.Time) error }); ok {
		_ = c.SetWriteDeadline(time.Now().Add(silence)) // the write tells if it is closed
	}
	_, err := w.conn.Write(w.buf)
	if err != nil {
		go w.close() // half a frame may have gone out
	}
	return err
}

func (w *wire) sendJSON(kind byte, v any, most int) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(b) > most {
		return fmt.Errorf("it has %d bytes, and %d are the most", len(b), most)
	}
	return w.send(kind, b)
}

func (w *wire) sendWindow(n int) error {
	return w.send(kindWindow, binary.BigEndian.AppendUint32(nil, uint32(n)))
}

// sendAll sends data as the window allows.
func (w *wire) sendAll(a *allowance, kind byte, data []byte) error {
	for len(data) > 0 {
		n := a.take(len(data))
		if n == 0 {
			return net.ErrClosed
		}
		err := w.send(kind, data[:n])
		if err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

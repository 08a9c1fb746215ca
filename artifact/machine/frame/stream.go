package frame

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Writer writes frames to a connection, from several goroutines.
type Writer struct {
	Format Format
	// Conn is where they go. A write that fails closes it.
	Conn io.WriteCloser
	// Patience is how long the other end may take no bytes at all, where Conn has a
	// SetWriteDeadline. An end reads always, whatever becomes of its streams; one that
	// does not has gone. 0: no limit.
	Patience time.Duration

	mu  sync.Mutex
	buf []byte // guarded by mu: of the frame that is written
	err error  // guarded by mu: of the write that failed
}

// Send writes a frame whose content is all of parts. Behind one that could not be
// written nothing more is: half of it may have gone out.
func (w *Writer) Send(kind byte, stream uint32, parts ...[]byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	w.buf = w.Format.Append(w.buf[:0], kind, stream, parts...)
	if c, ok := w.Conn.(interface{ SetWriteDeadline(time.Time) error }); ok && w.Patience > 0 {
		w.err = c.SetWriteDeadline(time.Now().Add(w.Patience))
	}
	if w.err == nil {
		_, w.err = w.Conn.Write(w.buf)
	}
	if w.err != nil {
		_ = w.Conn.Close() // the write's error says why
	}
	return w.err
}

// Stream is an end of a stream over a connection: what came of it, what may still
// be sent, and how that is done. Whoever reads the connection puts into In and
// credits Out; whoever uses what comes takes it from In and says so by Used.
type Stream struct {
	Number uint32
	In     Inbox
	Out    Allowance
	w      *Writer
}

// Stream is the stream of a number, with windows of so many bytes in both
// directions. The other end must have the same.
func (w *Writer) Stream(number uint32, window int) *Stream {
	s := &Stream{Number: number, w: w}
	s.In.window, s.In.more.L = window, &s.In.mu
	s.Out.window, s.Out.left, s.Out.more.L = window, window, &s.Out.mu
	return s
}

// Send writes a frame of the stream, as Writer.Send does.
func (s *Stream) Send(kind byte, parts ...[]byte) error {
	return s.w.Send(kind, s.Number, parts...)
}

// SendJSON writes a frame whose content is v as JSON. An error without a write is
// that of more than most bytes.
func (s *Stream) SendJSON(kind byte, v any, most int) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(b) > most {
		return fmt.Errorf("its JSON has %d bytes, and %d are the most", len(b), most)
	}
	return s.Send(kind, b)
}

// SendData sends data as the other end's window allows, in frames each of which
// begins with before. net.ErrClosed if nothing is to be sent any more.
func (s *Stream) SendData(kind byte, before, data []byte) error {
	for len(data) > 0 {
		n := s.Out.take(min(len(data), Max-len(before)))
		if n == 0 {
			return net.ErrClosed
		}
		err := s.Send(kind, before, data[:n])
		if err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// Used tells the other end that n bytes were used, which came from In.
func (s *Stream) Used(n int) error {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uint32(n))
	return s.Send(Window, b[:])
}

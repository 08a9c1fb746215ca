package agent

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"sync"
	"time"
)

// patience is how long the other end may take no bytes at all. It reads always,
// whatever becomes of the streams; one that does not has failed.
const patience = 30 * time.Second

// wire writes frames, from several goroutines.
type wire struct {
	conn net.Conn
	mu   sync.Mutex // guards writing and buf
	buf  []byte
}

func (w *wire) send(kind byte, stream uint32, parts ...[]byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf = appendFrame(w.buf[:0], kind, stream, parts...)
	err := w.conn.SetWriteDeadline(time.Now().Add(patience))
	if err == nil {
		_, err = w.conn.Write(w.buf)
	}
	if err != nil {
		w.conn.Close() // half a frame may have gone out
	}
	return err
}

func (w *wire) sendJSON(kind byte, stream uint32, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(b) > maxFrame {
		return fmt.Errorf("arguments and environment have %d bytes; %d is the most", len(b), maxFrame)
	}
	return w.send(kind, stream, b)
}

func (w *wire) sendWindow(stream uint32, n int) error {
	return w.send(kindWindow, stream, binary.BigEndian.AppendUint32(nil, uint32(n)))
}

// sendAll sends data on a channel as the window allows.
func (w *wire) sendAll(a *allowance, stream uint32, channel byte, data []byte) error {
	for len(data) > 0 {
		n := a.take(len(data))
		if n == 0 {
			return net.ErrClosed
		}
		err := w.send(kindData, stream, []byte{channel}, data[:n])
		if err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

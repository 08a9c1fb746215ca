// Package frame is how two ends speak of a machine's programs over one stream of
// bytes in each direction, such as a connection: in frames, with windows. Host and
// agent do, and so do the two ends of a session. A frame has a kind and a content.
// A Stream is what flows between the ends for one program; a connection has one,
// or many that have numbers. An end sends no more of a stream than the window that
// the other end has open, so that nobody keeps more, and no stream holds up another.
//
// The package knows no protocol. Kinds and contents are those of its users, but for
// the kind Window. What comes in is read as a stranger's: an error of it is
// ErrMalformed.
package frame

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Max is how many bytes the content of a frame has at most.
const Max = 64 << 10

// Window is the kind of frames that say how many bytes of a stream were used: so
// much more may be sent. Stream.Used sends them, Allowance.Credit reads them.
const Window byte = 'W'

// ErrMalformed is the error of bytes that are no frame, or of a frame that has no
// place where it came.
var ErrMalformed = errors.New("frame is malformed")

// Format says what the head of a frame has between its kind, which is one byte, and
// the length of its content, which is four. All numbers are big-endian.
type Format byte

// The formats of frames.
const (
	Plain    Format = iota // nothing: the connection has one stream, whose number is 0
	Numbered               // the number of its stream, four bytes
)

// head is how many bytes the head of a frame has.
func (f Format) head() int {
	if f == Numbered {
		return 9
	}
	return 5
}

// Frame is one frame that was read.
type Frame struct {
	Kind   byte
	Stream uint32 // the number of its stream; 0 if Plain
	Data   []byte // the content, valid until the next frame is read
}

// Read reads a frame into buf, which has room for Max bytes. io.EOF says that the
// other end ended between frames.
func (f Format) Read(r io.Reader, buf []byte) (Frame, error) {
	head := buf[:f.head()]
	_, err := io.ReadFull(r, head)
	if err != nil {
		return Frame{}, err
	}
	got := Frame{Kind: head[0]}
	if f == Numbered {
		got.Stream = binary.BigEndian.Uint32(head[1:])
	}
	n := binary.BigEndian.Uint32(head[len(head)-4:])
	if n > Max {
		return Frame{}, fmt.Errorf("%w: %d bytes", ErrMalformed, n)
	}
	got.Data = buf[:n]
	_, err = io.ReadFull(r, got.Data)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return got, err
}

// Each reads frames and hands each to take until an error of either; that is what
// it returns. Nothing but r holds it up, if take does not.
func (f Format) Each(r io.Reader, take func(Frame) error) error {
	buf := make([]byte, Max)
	for {
		got, err := f.Read(r, buf)
		if err == nil {
			err = take(got)
		}
		if err != nil {
			return err
		}
	}
}

// Append appends a frame whose content is all of parts, which have no more than Max
// bytes.
func (f Format) Append(b []byte, kind byte, stream uint32, parts ...[]byte) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	b = append(b, kind)
	if f == Numbered {
		b = binary.BigEndian.AppendUint32(b, stream)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(n))
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

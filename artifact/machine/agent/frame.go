package agent

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// What host and agent say to each other is one stream of bytes in each
// direction, cut into frames: a kind, the number of a stream, the length of what
// follows, and that. All numbers are big-endian.
const (
	headSize = 9
	maxFrame = 64 << 10 // bytes of a frame's content
	// window is how much of a stream the other side may send before it is told
	// that some was used. Nobody keeps more than that of a stream.
	window = 256 << 10
)

// Kinds of frames. H is the host, A the agent.
const (
	kindHello  byte = 'H' // A: it is there. Version.
	kindStart  byte = 'S' // H: a program is to run, on a stream that the host numbers. JSON of request.
	kindData   byte = 'D' // both: a channel's number, and bytes.
	kindEnd    byte = 'E' // both: no more bytes are coming. The standard input's end; a connection's half.
	kindWindow byte = 'W' // both: so many bytes were used.
	kindSize   byte = 'Z' // H: the terminal has another size.
	kindKill   byte = 'K' // H: end the program and what it started.
	kindHangUp byte = 'U' // H: close the program's terminal.
	kindExit   byte = 'X' // A: the program has ended, and its output was sent. JSON of ended.
	kindOpen   byte = 'O' // A: a program wants to reach a place of the host, on a stream that the agent numbers. Place.
	kindClose  byte = 'C' // both: the connection of that stream is closed.
	kindListen byte = 'L' // H: take connections for a place. Place.
)

// place is where programs of a machine may reach its host.
type place byte

// The places of a host.
const (
	proxyPlace place = 0
	doorPlace  place = 1
)

// most is how many connections to a place a machine may have at a time.
func (p place) most() int {
	if p == doorPlace {
		return MaxKnocks
	}
	return maxConns
}

// placeOf reads the content of a frame that names a place.
func placeOf(data []byte) (place, error) {
	if len(data) != 1 || place(data[0]) > doorPlace {
		return 0, fmt.Errorf("%w: no such place", errFrame)
	}
	return place(data[0]), nil
}

// Channels of a stream's data.
const (
	channelIn  byte = 0 // standard input; both directions of a connection
	channelOut byte = 1
	channelErr byte = 2
)

// fromAgent marks the numbers of streams that the agent opens.
const fromAgent = 1 << 31

// protocolVersion is what Hello says. Both ends are the same program.
const protocolVersion = 2

// errFrame is the error of bytes that are no frame.
var errFrame = errors.New("frame is malformed")

// frame is one frame. data is valid until the next one is read.
type frame struct {
	kind   byte
	stream uint32
	data   []byte
}

// readFrame reads a frame into buf, which has maxFrame bytes. io.EOF says that
// the stream ended between frames.
func readFrame(r io.Reader, buf []byte) (frame, error) {
	var head [headSize]byte
	_, err := io.ReadFull(r, head[:])
	if err != nil {
		return frame{}, err
	}
	n := binary.BigEndian.Uint32(head[5:])
	if n > maxFrame {
		return frame{}, fmt.Errorf("%w: %d bytes", errFrame, n)
	}
	_, err = io.ReadFull(r, buf[:n])
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return frame{kind: head[0], stream: binary.BigEndian.Uint32(head[1:]), data: buf[:n]}, err
}

// appendFrame appends a frame whose content is all of parts.
func appendFrame(b []byte, kind byte, stream uint32, parts ...[]byte) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	b = append(b, kind)
	b = binary.BigEndian.AppendUint32(b, stream)
	b = binary.BigEndian.AppendUint32(b, uint32(n))
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// channel splits the content of a data frame.
func channel(data []byte) (byte, []byte, error) {
	if len(data) == 0 || data[0] > channelErr {
		return 0, nil, fmt.Errorf("%w: data of no channel", errFrame)
	}
	return data[0], data[1:], nil
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

// request is what a start frame says.
type request struct {
	Args []string `json:"args"`
	Tool bool     `json:"tool,omitempty"`
	Env  []string `json:"env,omitempty"`
	Dir  string   `json:"dir,omitempty"`
	User string   `json:"user,omitempty"`
	// Terminal: the program gets one of Rows and Columns.
	Terminal      bool   `json:"terminal,omitempty"`
	Term          string `json:"term,omitempty"`
	Rows, Columns uint16 `json:",omitempty"`
}

// ended is what an exit frame says.
type ended struct {
	Code   int `json:"code"`
	Signal int `json:"signal,omitempty"`
}

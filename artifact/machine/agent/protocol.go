package agent

import (
	"fmt"
	"net"
	"time"

	"souk/artifact/machine/frame"
)

// window is how much of a stream the other side may send before it is told that
// some was used, in bytes. Nobody keeps more than that of a stream.
const window = 256 << 10

// patience is how long the other end may take no bytes at all.
const patience = 30 * time.Second

// wireTo writes to the other end: frames with the numbers of their streams.
func wireTo(conn net.Conn) *frame.Writer {
	return &frame.Writer{Format: frame.Numbered, Conn: conn, Patience: patience}
}

// Kinds of frames, beside frame.Window. H is the host, A the agent.
const (
	kindHello  byte = 'H' // A: it is there. Version.
	kindStart  byte = 'S' // H: a program is to run, on a stream that the host numbers. JSON of request.
	kindData   byte = 'D' // both: a channel's number, and bytes.
	kindEnd    byte = 'E' // both: no more bytes are coming. The standard input's end; a connection's half.
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
		return 0, fmt.Errorf("%w: no such place", frame.ErrMalformed)
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

// channel splits the content of a data frame.
func channel(data []byte) (byte, []byte, error) {
	if len(data) == 0 || data[0] > channelErr {
		return 0, nil, fmt.Errorf("%w: data of no channel", frame.ErrMalformed)
	}
	return data[0], data[1:], nil
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

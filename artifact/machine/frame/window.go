package frame

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"sync"
)

// Piece is some of what came in on a stream.
type Piece struct {
	Channel byte // which of its inputs or outputs it is of, as its user numbers them
	Data    []byte
}

// Inbox keeps what came in on a stream and was not used yet: no more than a window
// of it. Whoever fills it is never held up.
type Inbox struct {
	window int

	mu     sync.Mutex
	more   sync.Cond // of mu
	pieces []Piece   // guarded by mu
	size   int       // guarded by mu: their bytes
	ended  bool      // guarded by mu: nothing more comes
	gone   bool      // guarded by mu: nobody wants what is there
}

// Put adds a copy of what came. It is malformed if it is more than the other end
// was allowed to send, or comes behind the end.
func (b *Inbox) Put(channel byte, data []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.gone:
		return nil // thrown away
	case b.ended:
		return fmt.Errorf("%w: data behind its end", ErrMalformed)
	case b.size+len(data) > b.window:
		return fmt.Errorf("%w: more data than was asked for", ErrMalformed)
	case len(data) == 0:
		return nil
	}
	b.size += len(data)
	// Small pieces lie together: each would take many times its bytes.
	if n := len(b.pieces) - 1; n >= 0 && b.pieces[n].Channel == channel && len(b.pieces[n].Data)+len(data) <= Max {
		b.pieces[n].Data = append(b.pieces[n].Data, data...)
	} else {
		b.pieces = append(b.pieces, Piece{channel, append([]byte(nil), data...)})
	}
	b.more.Broadcast()
	return nil
}

// End says that nothing more comes.
func (b *Inbox) End() {
	b.mu.Lock()
	b.ended = true
	b.more.Broadcast()
	b.mu.Unlock()
}

// Ended says whether End was called.
func (b *Inbox) Ended() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ended
}

// Drop throws away what is there and what comes.
func (b *Inbox) Drop() {
	b.mu.Lock()
	b.gone, b.pieces, b.size = true, nil, 0
	b.more.Broadcast()
	b.mu.Unlock()
}

// Next waits for a piece and takes it out, or its first most bytes. It is the
// caller's. io.EOF after the last, and after Drop.
func (b *Inbox) Next(most int) (Piece, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.pieces) == 0 && !b.ended && !b.gone {
		b.more.Wait()
	}
	if len(b.pieces) == 0 {
		return Piece{}, io.EOF
	}
	p := b.pieces[0]
	if len(p.Data) > most {
		b.pieces[0].Data = p.Data[most:]
		p.Data = p.Data[:most:most]
	} else {
		b.pieces = slices.Delete(b.pieces, 0, 1)
	}
	b.size -= len(p.Data)
	return p, nil
}

// Allowance is how much of a stream may still be sent.
type Allowance struct {
	window int

	mu   sync.Mutex
	more sync.Cond // of mu
	left int       // guarded by mu: bytes
	gone bool      // guarded by mu: nothing is to be sent any more
}

// Credit opens the window by what a frame of the kind Window says. It is malformed
// if that is more than was sent.
func (a *Allowance) Credit(data []byte) error {
	if len(data) != 4 {
		return fmt.Errorf("%w: a window of %d bytes", ErrMalformed, len(data))
	}
	n := binary.BigEndian.Uint32(data)
	a.mu.Lock()
	defer a.mu.Unlock()
	if uint64(n) > uint64(a.window-a.left) {
		return fmt.Errorf("%w: more data was used than was sent", ErrMalformed)
	}
	a.left += int(n)
	a.more.Broadcast()
	return nil
}

// take waits until something may be sent and returns how much of n that is; 0 after
// Drop.
func (a *Allowance) take(n int) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.left == 0 && !a.gone {
		a.more.Wait()
	}
	if a.gone {
		return 0
	}
	n = min(n, a.left)
	a.left -= n
	return n
}

// Drop ends all waiting: nothing more is sent.
func (a *Allowance) Drop() {
	a.mu.Lock()
	a.gone = true
	a.more.Broadcast()
	a.mu.Unlock()
}

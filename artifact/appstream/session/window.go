package session

import (
	"io"
	"sync"
)

// chunk is a piece of what came in: input, or of one of the two outputs.
type chunk struct {
	kind byte
	data []byte
}

// inbox keeps what came in and was not used yet, a window of it at most. Whoever
// fills it is never held up.
type inbox struct {
	mu     sync.Mutex
	more   sync.Cond // of mu
	chunks []chunk
	size   int
	ended  bool // nothing more comes
	gone   bool // and nobody wants what is there
}

func newInbox() *inbox {
	b := &inbox{}
	b.more.L = &b.mu
	return b
}

// put adds a copy of what came. It is false if that is more than the other end
// was allowed to send, or comes behind the end.
func (b *inbox) put(kind byte, data []byte) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.gone:
		return true // thrown away
	case b.ended || b.size+len(data) > window:
		return false
	case len(data) == 0:
		return true
	}
	b.size += len(data)
	// Small pieces lie together: each would take many times its bytes.
	if n := len(b.chunks) - 1; n >= 0 && b.chunks[n].kind == kind && len(b.chunks[n].data)+len(data) <= maxFrame {
		b.chunks[n].data = append(b.chunks[n].data, data...)
	} else {
		b.chunks = append(b.chunks, chunk{kind, append([]byte(nil), data...)})
	}
	b.more.Broadcast()
	return true
}

// end says that nothing more comes.
func (b *inbox) end() {
	b.mu.Lock()
	b.ended = true
	b.more.Broadcast()
	b.mu.Unlock()
}

// drop throws away what is there and what comes.
func (b *inbox) drop() {
	b.mu.Lock()
	b.gone, b.ended, b.chunks, b.size = true, true, nil, 0
	b.more.Broadcast()
	b.mu.Unlock()
}

// next waits for a chunk of at most n bytes. io.EOF after the last.
func (b *inbox) next(n int) (chunk, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.chunks) == 0 && !b.ended {
		b.more.Wait()
	}
	if len(b.chunks) == 0 {
		return chunk{}, io.EOF
	}
	c := b.chunks[0]
	if len(c.data) > n {
		b.chunks[0].data = c.data[n:]
		c.data = c.data[:n]
	} else {
		b.chunks = b.chunks[1:]
	}
	b.size -= len(c.data)
	return c, nil
}

// allowance is how much may still be sent.
type allowance struct {
	mu   sync.Mutex
	more sync.Cond // of mu
	left int
	gone bool
}

func newAllowance() *allowance {
	a := &allowance{left: window}
	a.more.L = &a.mu
	return a
}

// add opens the window by n. It is false if the window was never so large.
func (a *allowance) add(n int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.left += n
	a.more.Broadcast()
	return a.left <= window
}

// take waits until something may be sent and returns how much of n that is; 0
// if nothing is sent any more.
func (a *allowance) take(n int) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.left == 0 && !a.gone {
		a.more.Wait()
	}
	if a.gone {
		return 0
	}
	n = min(n, a.left, maxFrame)
	a.left -= n
	return n
}

// drop ends all waiting.
func (a *allowance) drop() {
	a.mu.Lock()
	a.gone = true
	a.more.Broadcast()
	a.mu.Unlock()
}

package agent

import (
	"io"
	"sync"
)

// chunk is a piece of what came in on a stream.
type chunk struct {
	channel byte
	data    []byte
}

// inbox keeps what came in on a stream and was not used yet: no more than a
// window of it. Whoever fills it is never held up.
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

// put adds a copy of what came. It is false if that is more than the other side
// was allowed to send.
func (b *inbox) put(c byte, data []byte) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gone || b.ended {
		return true // thrown away
	}
	if b.size+len(data) > window {
		return false
	}
	if len(data) == 0 {
		return true
	}
	b.size += len(data)
	// Small pieces lie together: each would take many times its bytes.
	if n := len(b.chunks) - 1; n >= 0 && b.chunks[n].channel == c && len(b.chunks[n].data)+len(data) <= maxFrame {
		b.chunks[n].data = append(b.chunks[n].data, data...)
	} else {
		b.chunks = append(b.chunks, chunk{c, append([]byte(nil), data...)})
	}
	b.more.Signal()
	return true
}

// end says that nothing more comes.
func (b *inbox) end() {
	b.mu.Lock()
	b.ended = true
	b.more.Broadcast()
	b.mu.Unlock()
}

// over says whether nothing more comes.
func (b *inbox) over() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ended
}

// drop throws away what is there and what comes.
func (b *inbox) drop() {
	b.mu.Lock()
	b.gone, b.chunks, b.size = true, nil, 0
	b.more.Broadcast()
	b.mu.Unlock()
}

// next waits for a chunk. io.EOF after the last.
func (b *inbox) next() (chunk, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.chunks) == 0 && !b.ended && !b.gone {
		b.more.Wait()
	}
	if len(b.chunks) == 0 {
		return chunk{}, io.EOF
	}
	c := b.chunks[0]
	b.chunks = b.chunks[1:]
	b.size -= len(c.data)
	return c, nil
}

// allowance is how much may still be sent on a stream.
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
// if the stream is gone.
func (a *allowance) take(n int) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.left == 0 && !a.gone {
		a.more.Wait()
	}
	if a.gone {
		return 0
	}
	n = min(n, a.left, maxFrame-1)
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

package gateway

import (
	"context"
	"sync"
	"time"
)

// patience is the context of a request: of the values of its connection, ended
// by nothing but a deadline. Most requests are answered without waiting for
// anything, so the timer is made for those that ask for Done.
type patience struct {
	context.Context // never ends by itself
	until           time.Time

	mu     sync.Mutex
	timed  context.Context // nil until it is asked for; guarded by mu
	cancel context.CancelFunc
}

// begin gives a request its time. The context of its connection ends when the
// client ends its side of it, which a client may do once it has said everything:
// what has arrived whole is answered.
func (p *patience) begin(connection context.Context, now time.Time) {
	p.Context, p.until = context.WithoutCancel(connection), now.Add(answerTime)
}

// end frees what waits for the request.
func (p *patience) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cancel != nil {
		p.cancel()
	}
}

// Deadline implements context.Context.
func (p *patience) Deadline() (time.Time, bool) { return p.until, true }

// Done implements context.Context.
func (p *patience) Done() <-chan struct{} { return p.waiting(true).Done() }

// Err implements context.Context.
func (p *patience) Err() error {
	if timed := p.waiting(false); timed != nil {
		return timed.Err()
	}
	if time.Now().After(p.until) {
		return p.waiting(true).Err()
	}
	return nil
}

// Value implements context.Context. What derives from this context finds the
// timer's by it, once there is one.
func (p *patience) Value(key any) any {
	if timed := p.waiting(false); timed != nil {
		return timed.Value(key)
	}
	return p.Context.Value(key)
}

// waiting is the context with the timer; if there is none it is made, or nil.
func (p *patience) waiting(must bool) context.Context {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timed == nil && must {
		p.timed, p.cancel = context.WithDeadline(p.Context, p.until)
	}
	return p.timed
}

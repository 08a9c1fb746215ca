// Package work does durable background work: it claims the documents of a kind
// that are due in a store, gives each to a handler, keeps the lease while a
// handler takes its time, and drains when it is stopped.
//
// There is no queue beside the store: the document that has a state is the
// job. A node that dies leaves leases behind that run out, and another node's
// claim takes the work over; that a handler which lost its lease does nothing
// twice is the store's doing (a write guarded by the revision). The package
// knows nothing of what the work is.
package work

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"souk/storage/store"
)

// ErrLost is the cause with which the context of a Hold ends when the document
// was written by another: its work is cancelled, or another node has it now.
var ErrLost = errors.New("the work was taken over or cancelled")

// errStopping is the cause with which contexts end when the Runner drains.
var errStopping = errors.New("the node is stopping")

// Config says what is worked on, and how.
type Config struct {
	Store store.Store
	Kind  string // of the documents that are work
	// Owner names this node in claims. It must be new at each start, so that a
	// restarted node takes nothing for its own that it has forgotten.
	Owner string
	// Do works on one document. It may be called many times for one document,
	// each time with a later revision; it ends the work, or the claim, by a Put
	// with Was = the task's Revision. What it leaves unwritten comes again when
	// the lease has run out. Its context ends when the Runner is stopped.
	Do func(ctx context.Context, t *Task)

	Lease time.Duration // how long a claim holds without renewal; 0: 5 s
	Slots int           // handlers that run at once, those in Hold not counted; 0: 256
	// Busy, if set, says that what people wait for needs the store now. Handlers
	// that begin while it is true run on 1 of 256 slots.
	Busy  func() bool
	Most  int           // tasks at once, waiting for a slot or in Hold included; 0: 1,024
	Poll  time.Duration // between claims while there was work; 0: 250 ms. Idle, it grows to 4 times that
	Watch time.Duration // between looks at a document in Hold; 0: 500 ms

	Log *slog.Logger // nil: slog.Default()
}

// Runner works on the documents of a Config. Make it with New, start it with Run.
type Runner struct {
	cfg  Config
	wake chan struct{} // asks the dispatcher to claim now
	skew atomic.Int64  // the database's clock minus ours, in nanoseconds
	full atomic.Bool   // there was no room at the last claim: the next handler that ends wakes

	mu       sync.Mutex       // guards what follows
	open     bool             // Run is under way and not stopping
	ctx      context.Context  // of the handlers, while open
	tasks    map[string]*Task // by document id: those under way
	handlers int              // that run, those in Hold not counted
	queue    []*Task          // wait for a slot; those before next have got one
	next     int
	back     []chan struct{} // of handlers that come back from Hold and wait for a slot
	running  sync.WaitGroup  // the handlers' goroutines
}

// New returns a Runner that does nothing until Run.
func New(cfg Config) *Runner {
	if cfg.Lease <= 0 {
		cfg.Lease = 5 * time.Second
	}
	if cfg.Slots <= 0 {
		cfg.Slots = 256
	}
	if cfg.Most <= 0 {
		cfg.Most = 1024
	}
	if cfg.Poll <= 0 {
		cfg.Poll = 250 * time.Millisecond
	}
	if cfg.Watch <= 0 {
		cfg.Watch = 500 * time.Millisecond
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	return &Runner{
		cfg:   cfg,
		wake:  make(chan struct{}, 1),
		tasks: map[string]*Task{},
	}
}

// Run works until ctx ends, then waits for the handlers under way and returns
// nil. Work that is not finished by then is left to whoever claims it next.
func (r *Runner) Run(ctx context.Context) error {
	handlers, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	r.mu.Lock()
	r.ctx, r.open = handlers, true
	r.mu.Unlock()

	r.dispatch(ctx)

	r.mu.Lock()
	r.open = false // from here on nothing is added to running
	for _, t := range r.queue[r.next:] {
		delete(r.tasks, t.ID) // never begun: its lease runs out
	}
	r.queue, r.next = nil, 0
	r.mu.Unlock()
	stop(errStopping)
	r.running.Wait()
	return nil
}

// dispatch claims what is due whenever there is room, until ctx ends.
func (r *Runner) dispatch(ctx context.Context) {
	pause := r.cfg.Poll
	timer := time.NewTimer(0) // the first claim is at once
	defer timer.Stop()
	var measured time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
		case <-timer.C:
		}
		if now := time.Now(); now.Sub(measured) > 30*time.Second && r.measure(ctx) {
			measured = now
		}
		n := r.room()
		r.full.Store(n == 0)
		if n > 0 {
			documents, err := r.cfg.Store.Claim(ctx, r.cfg.Kind, n, r.cfg.Owner, r.cfg.Lease)
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				r.cfg.Log.Error("claiming work failed", "kind", r.cfg.Kind, "error", err)
				pause = 4 * r.cfg.Poll
			case len(documents) > 0:
				due := r.due()
				for _, d := range documents {
					d.Due = due
					r.start(&Task{Document: d})
				}
				pause = r.cfg.Poll
				if len(documents) == n {
					r.Wake()
				}
			default:
				pause = min(pause*2, 4*r.cfg.Poll)
			}
		}
		timer.Reset(pause)
	}
}

// measure compares the clocks, so that leases are right by the database's.
func (r *Runner) measure(ctx context.Context) bool {
	before := time.Now()
	now, err := r.cfg.Store.Now(ctx)
	if err != nil {
		return false
	}
	middle := before.Add(time.Since(before) / 2)
	r.skew.Store(int64(now.Sub(middle)))
	return true
}

// room is how many documents a claim may bring: as many as can be begun at
// once, not more than a batch. Work that would only wait is left to others.
func (r *Runner) room() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	free := min(r.cfg.Most-len(r.tasks), r.cfg.Slots-r.handlers-r.waiting())
	return max(0, min(free, 64))
}

// Wake makes the Runner claim at once: something became due.
func (r *Runner) Wake() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Now is the time by the database's clock, as far as this node knows it.
func (r *Runner) Now() time.Time {
	return time.Now().Add(time.Duration(r.skew.Load()))
}

func (r *Runner) due() time.Time { return r.Now().Add(r.cfg.Lease) }

// Lease says what a Put of new work writes as Owner and Due. Where this node
// has room, the work is leased to it already, is to be given to Hand after the
// Put, and no claim has to be written; else it is due at once for everybody.
//
// The lease is longer by what the work before it may take: work that another
// claims while it waits here has to be read and decoded once more.
func (r *Runner) Lease() (owner string, due time.Time) {
	r.mu.Lock()
	ok, before := r.open && len(r.tasks) < r.cfg.Most, r.waiting()
	r.mu.Unlock()
	if !ok {
		return "", r.Now()
	}
	return r.cfg.Owner, r.due().Add(time.Duration(before) * slow)
}

// slow is what a task of many takes at most, as a rule.
const slow = time.Millisecond

// Hand begins work that was written with this Runner's Lease. The document has
// its Revision, Owner and Due; carry is for the handler, which finds it in the task.
func (r *Runner) Hand(d store.Document, carry any) {
	if d.Owner != r.cfg.Owner {
		r.Wake() // it is due for everybody
		return
	}
	r.start(&Task{Document: d, Carry: carry})
}

// Interrupt tells the task of a document, if this node has one, that the
// document was written by another: its Hold ends now, not at the next look.
func (r *Runner) Interrupt(id string) {
	r.mu.Lock()
	t := r.tasks[id]
	r.mu.Unlock()
	if t != nil {
		t.interrupt()
	}
}

func (r *Runner) start(t *Task) {
	t.runner = r
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.open || r.tasks[t.ID] != nil { // stopping; or it is here still, with a lease that ran out
		return
	}
	r.tasks[t.ID] = t
	r.queue = append(r.queue, t)
	r.fill()
}

// waiting is the number of tasks without a slot. mu is held.
func (r *Runner) waiting() int { return len(r.queue) - r.next }

// slots is how many handlers may run now.
func (r *Runner) slots() int {
	if r.cfg.Busy != nil && r.cfg.Busy() {
		return max(1, r.cfg.Slots/256)
	}
	return r.cfg.Slots
}

// fill gives free slots to those that wait. mu is held.
func (r *Runner) fill() {
	for slots := r.slots(); r.handlers < slots; r.handlers++ {
		if len(r.back) > 0 {
			close(r.back[0])
			r.back = r.back[1:]
			continue
		}
		t := r.pop()
		if t == nil {
			return
		}
		r.running.Add(1)
		go r.handle(t)
	}
}

// pop takes the task that has waited longest from the queue; nil if none. mu is held.
func (r *Runner) pop() *Task {
	if r.waiting() == 0 {
		return nil
	}
	t := r.queue[r.next]
	r.queue[r.next] = nil
	r.next++
	if r.next == len(r.queue) {
		r.queue, r.next = r.queue[:0], 0
	} else if r.next >= 1024 && r.next > len(r.queue)/2 {
		n := copy(r.queue, r.queue[r.next:])
		clear(r.queue[n:])
		r.queue, r.next = r.queue[:n], 0
	}
	return t
}

// handle works on a task, and then on others as long as there is a slot for it.
func (r *Runner) handle(t *Task) {
	defer r.running.Done()
	for t != nil {
		r.do(t)
		r.mu.Lock()
		delete(r.tasks, t.ID)
		t = nil
		if r.handlers <= r.slots() && len(r.back) == 0 {
			t = r.pop()
		}
		if t == nil {
			r.handlers--
		}
		r.fill()
		r.mu.Unlock()
		if r.full.Swap(false) {
			r.Wake()
		}
	}
}

// pause gives up the slot of a handler, resume waits for another.
func (r *Runner) pause() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.handlers--
	r.fill()
}

func (r *Runner) resume() {
	free := make(chan struct{})
	r.mu.Lock()
	r.back = append(r.back, free)
	r.fill()
	r.mu.Unlock()
	<-free
}

func (r *Runner) do(t *Task) {
	if !r.Now().Before(t.Due) {
		return // it waited longer than its lease: somebody has it, or will
	}
	defer func() {
		if p := recover(); p != nil {
			r.cfg.Log.Error("work panicked", "kind", t.Kind, "id", t.ID, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	r.cfg.Do(r.ctx, t)
}

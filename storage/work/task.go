package work

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"souk/storage/store"
)

// Task is one document that this node works on. One goroutine, the handler's,
// uses it.
type Task struct {
	// Document has the body that was claimed or handed over. Revision is the
	// one that the next Put must name; the handler sets it after its own Puts.
	store.Document
	Carry any // what Hand was given; nil for claimed work

	runner *Runner

	mu     sync.Mutex              // guards what follows
	cancel context.CancelCauseFunc // of the Hold under way, nil if none
	lost   bool
}

func (t *Task) interrupt() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lost = true
	if t.cancel != nil {
		t.cancel(ErrLost)
	}
}

// Lease is the Due that a Put writes that keeps the work with this node.
func (t *Task) Lease() time.Time { return t.runner.due() }

// Hold runs f, a part of the work that takes its time, and keeps the document
// for this node meanwhile: the lease is renewed by putting what renew returns
// (its Was and Due are set by Hold, which also keeps t.Revision), and the
// document is looked at, so that f's context ends with the cause ErrLost soon
// after another has written it. While f runs the task's slot is others'.
//
// renew is called from another goroutine than f. The error is f's, a *Panic
// where f panicked, or ErrLost.
func (t *Task) Hold(ctx context.Context, renew func() (store.Write, error), f func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	t.mu.Lock()
	if t.lost {
		t.mu.Unlock()
		return ErrLost
	}
	t.cancel = cancel
	t.mu.Unlock()

	t.runner.pause()
	stop, kept := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(kept)
		t.keep(ctx, cancel, stop, renew)
	}()
	err := t.call(ctx, f)
	close(stop)
	<-kept
	t.runner.resume()

	t.mu.Lock()
	t.cancel = nil
	t.mu.Unlock()
	if errors.Is(context.Cause(ctx), ErrLost) {
		return ErrLost
	}
	return err
}

// call runs f and makes a panic in it an error.
func (t *Task) call(ctx context.Context, f func(ctx context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &Panic{Value: p, Stack: debug.Stack()}
		}
	}()
	return f(ctx)
}

// Panic is the error of a Hold whose function panicked.
type Panic struct {
	Value any
	Stack []byte
}

func (p *Panic) Error() string { return fmt.Sprintf("panic in the work: %v", p.Value) }

// keep looks after the document until stop is closed.
func (t *Task) keep(ctx context.Context, cancel context.CancelCauseFunc, stop <-chan struct{}, renew func() (store.Write, error)) {
	cfg := &t.runner.cfg
	tick := time.NewTicker(cfg.Watch)
	defer tick.Stop()
	renewed := time.Now()
	for {
		select {
		case <-stop:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if time.Since(renewed) < cfg.Lease/3 {
			d, err := cfg.Store.Get(ctx, t.Key)
			if errors.Is(err, store.ErrNotFound) || err == nil && d.Revision != t.Revision {
				cancel(ErrLost)
				return
			}
			continue // an error is no news; the next look may have some
		}
		w, err := renew()
		if err != nil {
			cfg.Log.Error("renewing a lease failed", "kind", t.Kind, "id", t.ID, "error", err)
			continue
		}
		w.Key, w.Was, w.Owner, w.Due = t.Key, t.Revision, cfg.Owner, t.runner.due()
		// Not ctx: whether this was written must be known before Hold returns.
		writing, done := context.WithTimeout(context.WithoutCancel(ctx), cfg.Lease)
		err = cfg.Store.Commit(writing, store.Batch{Put: []store.Write{w}})
		if err != nil && !errors.Is(err, store.ErrConflict) {
			// Kept or not? The owner and the next revision tell.
			var d store.Document
			d, err = cfg.Store.Get(writing, t.Key)
			if err == nil && d.Revision == t.Revision {
				done()
				continue // not kept; the next tick tries again
			}
			if err == nil && (d.Revision != t.Revision+1 || d.Owner != cfg.Owner) {
				err = store.ErrConflict
			}
		}
		done()
		switch {
		case err == nil:
			t.Revision++
			renewed = time.Now()
		case errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrNotFound):
			cancel(ErrLost)
			return
		default:
			cfg.Log.Warn("renewing a lease failed", "kind", t.Kind, "id", t.ID, "error", err)
		}
	}
}

package changeset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"souk/catalog/change"
	"souk/storage/store"
	"souk/storage/work"
)

const (
	// failedReason is the FailureDescription of a set with refused changes, as documented.
	failedReason = "Change set preparation has failed. For details see 'ErrorDetailList'."
	faultReason  = "The change set could not be processed because of a problem in the system. Retry the request."

	// maxClaimings is how often a set may be taken over from workers that
	// died with it before it is given up: it may be what kills them.
	maxClaimings = 30
	// maxUnknown is how often in a row a worker finds out what became of a
	// commit before it leaves the set to the next one.
	maxUnknown = 5
	// maxRounds is how often a commit of entities is tried against others.
	maxRounds = 100
	// probeWindow is how long after its first failed try a probe is tried again.
	probeWindow = 10 * time.Minute
)

// working is an open change set in the hands of one worker. Where Start handed
// it over, nothing has to be read or decoded again.
type working struct {
	set  *setBody // as stored in the task's revision
	plan *plan
	// locks and entities are as they were last read or written: a commit that
	// relies on one that has changed since conflicts, and it is read again.
	locks    locks
	entities map[string]*stored

	e    *Engine
	task *work.Task
	// attempt is the last write of the set of which it isn't known whether it
	// was kept, with its next state.
	attempt *attempt
}

type attempt struct {
	body []byte
	next *setBody
}

// errLost ends the work on a set that another has: a node, or Cancel.
var errLost = work.ErrLost

// errBroken: the set can't be worked on, now or later.
var errBroken = errors.New("broken")

// errLeft ends the work on a set that waits for its Due.
var errLeft = errors.New("left for later")

// do works on one document that is due: an open set, or the end of a history.
func (e *Engine) do(ctx context.Context, t *work.Task) {
	w, ok := t.Carry.(*working)
	if !ok {
		w = &working{}
	}
	w.e, w.task = e, t
	err := w.load()
	if err == nil && w.set.Status.Ended() {
		if err := e.sweep(ctx, t.Document, w.set); err != nil {
			e.cfg.Log.Error("sweeping a change set failed", "id", t.ID, "error", err)
		}
		return
	}
	if err == nil {
		e.observe(t.ID, Taken, w.set.Status)
		err = w.run(ctx)
	}
	switch {
	case err == nil, errors.Is(err, errLeft):
	case errors.Is(err, errLost):
		e.observe(t.ID, Lost, w.set.Status)
	default: // its lease runs out and it is tried again
		e.cfg.Log.Error("working on a change set failed", "id", t.ID, "error", err)
	}
}

// load decodes the task's document where it was not handed over, and the plan.
func (w *working) load() error {
	if w.set == nil {
		s, err := decodeSet(w.task.Document)
		if err != nil {
			return err
		}
		s.Claimings += w.task.Revision - s.Revision
		w.set = s
	}
	return nil
}

// run takes the set from state to state until it ends or must be left.
func (w *working) run(ctx context.Context) error {
	for unknown := 0; !w.set.Status.Ended(); {
		err := w.step(ctx)
		var panicked *work.Panic
		switch {
		case errors.As(err, &panicked):
			w.e.cfg.Log.Error("a change type panicked", "id", w.task.ID, "panic", panicked.Value, "stack", string(panicked.Stack))
			err = w.fault(ctx)
		case errors.Is(err, errBroken):
			w.e.cfg.Log.Error("a change set can't be worked on", "id", w.task.ID, "error", err)
			err = w.fault(ctx)
		}
		switch {
		case err == nil:
			unknown = 0
			continue
		case errors.Is(err, errLost), errors.Is(err, errLeft):
			return err
		}
		// A read failed, or a commit of which we don't know what became.
		if unknown++; unknown > maxUnknown {
			return err
		}
		w.e.cfg.Log.Warn("a step of a change set failed", "id", w.task.ID, "error", err)
		if err := w.settle(ctx); err != nil {
			return err
		}
	}
	return nil
}

// step does the work of one state. What panics in it is a change type.
func (w *working) step(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &work.Panic{Value: p, Stack: debug.Stack()}
		}
	}()
	if w.set.Claimings > maxClaimings {
		return fmt.Errorf("%w: it was interrupted %d times", errBroken, w.set.Claimings)
	}
	if w.set.Status == Preparing {
		return w.prepare(ctx)
	}
	return w.apply(ctx, w.set)
}

// decode makes the plan where there is none.
func (w *working) decode() (err error) {
	if w.plan != nil {
		return nil
	}
	if w.plan, err = w.e.plan(w.set.Changes); err != nil { // it was accepted: this server knows less than the one that did
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	return nil
}

// settle reads the set after an error, to go on from what is stored: the state
// before the last commit or, if that was kept, the one behind it.
func (w *working) settle(ctx context.Context) error {
	ctx, cancel := durable(ctx)
	defer cancel()
	w.locks, w.entities, w.plan = nil, nil, nil
	d, err := w.e.store.Get(ctx, w.task.Key)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return errLost
	case err != nil:
		return fmt.Errorf("reading change set %s: %w", w.task.ID, err)
	case d.Revision == w.task.Revision:
		return nil // not kept
	case w.attempt != nil && d.Revision == w.task.Revision+1 && bytes.Equal(d.Body, w.attempt.body):
		w.kept(w.attempt.next)
		return nil
	}
	return errLost
}

// kept notes that the set was written.
func (w *working) kept(next *setBody) {
	was := w.set.Status
	w.task.Revision++
	w.set, w.attempt = next, nil
	switch {
	case next.Status.Ended():
		w.e.observe(w.task.ID, Ended, next.Status)
	case was == Preparing && next.Status == Applying:
		w.e.observe(w.task.ID, Prepared, next.Status)
	}
}

// put commits the set's next state, with whatever belongs to it. errLost: the
// set was written by another. Any other *store.Conflict is about b.
func (w *working) put(ctx context.Context, next *setBody, owner string, due time.Time, b store.Batch) error {
	write, err := next.write(w.task.ID, w.task.Revision)
	if err != nil {
		return err
	}
	write.Owner, write.Due = owner, due
	b.Put = append(b.Put, write)
	w.attempt = &attempt{write.Body, next}
	ctx, cancel := durable(ctx)
	defer cancel()
	err = w.e.store.Commit(ctx, b)
	var conflict *store.Conflict
	switch {
	case err == nil:
		w.kept(next)
		return nil
	case errors.As(err, &conflict):
		w.attempt = nil
		if conflict.Key == write.Key {
			return errLost
		}
		return conflict
	}
	return fmt.Errorf("writing change set %s: %w", w.task.ID, err)
}

// end commits the set's end: next has the state, the failure and the errors; b
// has the entities. The locks are released in the same commit.
func (w *working) end(ctx context.Context, next *setBody, b store.Batch) error {
	next.Ended, next.Read = w.e.now(), nil
	if next.Ended.Before(next.Started) {
		next.Ended = next.Started // the clock was set back
	}
	puts, err := w.e.announce(w.task.ID, next, b.Put)
	if err != nil {
		return err
	}
	for range maxRounds {
		if w.locks == nil {
			var err error
			if w.locks, err = w.e.readLocks(ctx, w.set); err != nil {
				return err
			}
		}
		released, err := w.locks.release(w.task.ID, w.set)
		if err != nil {
			return err
		}
		b.Put = append(puts[:len(puts):len(puts)], released...)
		err = w.put(ctx, next, "", w.e.runner.Now().Add(w.e.cfg.History), b)
		var conflict *store.Conflict
		if errors.As(err, &conflict) && conflict.Key.Kind == kindLock {
			w.locks = nil
			continue
		}
		return err
	}
	return fmt.Errorf("ending change set %s: its locks change too often", w.task.ID)
}

// fail ends the set because of its changes' refusals, which next has.
func (w *working) fail(ctx context.Context, next *setBody) error {
	next.Status, next.Failure, next.Reason = Failed, clientError, failedReason
	return w.end(ctx, next, store.Batch{})
}

// fault ends the set because of us.
func (w *working) fault(ctx context.Context) error {
	next := w.set.clone()
	for i := range next.Changes {
		next.Changes[i].Errors = nil
	}
	next.Status, next.Failure, next.Reason = Failed, serverFault, faultReason
	return w.end(ctx, next, store.Batch{})
}

// seller is the account's seller, with the namespace that PREPARING ended with.
func (w *working) seller(ctx context.Context) (change.Seller, error) {
	if w.set.Status == Applying {
		return change.Seller{Account: w.set.Account, Namespace: w.set.Namespace}, nil
	}
	s, err := w.e.cfg.Sellers(ctx, w.set.Account)
	if err != nil {
		return s, fmt.Errorf("finding seller %s: %w", w.set.Account, err)
	}
	return s, nil
}

// sweep deletes a set whose history has ended, with its token.
func (e *Engine) sweep(ctx context.Context, d store.Document, s *setBody) error {
	b := store.Batch{Delete: []store.Removal{{Key: d.Key, Was: d.Revision}, {Key: store.Key{Kind: kindTags, ID: d.ID}, Was: store.Any}}}
	if s.Token != "" {
		b.Delete = append(b.Delete, store.Removal{Key: store.Key{Kind: kindToken, ID: s.Token}, Was: store.Any})
	}
	ctx, cancel := durable(ctx)
	defer cancel()
	err := e.store.Commit(ctx, b)
	if errors.Is(err, store.ErrConflict) {
		return nil // another node's lease
	}
	if err == nil {
		e.observe(d.ID, Swept, s.Status)
	}
	return err
}

package builder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"souk/artifact/appstream/resource"
	"souk/artifact/machine"
	"souk/storage/store"
	"souk/storage/work"
)

const (
	// maxTries is how often a transition may be begun and not end: failures of ours
	// should have passed by then, and that many crashes are no accident.
	maxTries = 3
	// backOff is how much longer each try waits than the one before.
	backOff = time.Second
)

// outcome is what came of a transition.
type outcome struct {
	state  State // "": the builder is gone
	reason *Reason
	edit   func(r *Builder) // what else becomes of the builder; nil: nothing
	// beside makes what is written in the same commit; nil: nothing is. It is called
	// again where another write was quicker.
	beside func(ctx context.Context) (store.Batch, error)
	after  func() // done once it is stored; nil: nothing is
	tidy   func() // done in the end, stored or not: it is made anew by the next try; nil: nothing is
}

// do works on a task: the handler of the runner.
func (b *Builders) do(ctx context.Context, t *work.Task) {
	err := b.transit(ctx, t)
	if err != nil && !errors.Is(err, work.ErrLost) {
		b.config.Log.Error("image builders: a change of state could not be gone on with, and will be later", "task", t.ID, "error", err)
	}
}

// transit makes the transition that a task is for. Its error is one of writing
// down what came of it.
func (b *Builders) transit(ctx context.Context, t *work.Task) error {
	key, step, err := ofTask(t.ID)
	if err != nil {
		return err
	}
	r, _, err := b.get(ctx, key)
	if errors.Is(err, store.ErrNotFound) || err == nil && !r.busy(step, b.config.Node) {
		return b.drop(ctx, t) // what is left of a step that has ended
	}
	if err != nil {
		return err
	}
	body := t.Body
	var o outcome
	defer func() {
		if o.tidy != nil { // also where another has the work now
			o.tidy()
		}
	}()
	err = t.Hold(ctx, func() (store.Write, error) { return store.Write{Document: store.Document{Body: body}}, nil }, func(ctx context.Context) error {
		if n := triesOf(body); n >= maxTries {
			o = b.giveUp(ctx, r, n)
			return nil
		}
		var err error
		o, err = b.work(ctx, r)
		return err
	})
	switch {
	case errors.Is(err, work.ErrLost):
		return err
	case err != nil && ctx.Err() != nil:
		return b.put(ctx, t, triesOf(body), b.runner.Now()) // this node stops: it was no try
	case err != nil:
		b.config.Log.Error("image builders: a try failed", "builder", r.id(), "state", r.State, "error", err)
		n := triesOf(body) + 1
		if n < maxTries {
			return b.put(ctx, t, n, b.runner.Now().Add(time.Duration(n)*backOff))
		}
		o = b.giveUp(ctx, r, n)
	}
	return b.finish(ctx, t, r, o)
}

// busy says whether a builder is in the state that a step led to.
func (r *Builder) busy(step int, node string) bool {
	return r.Step == step && r.State.working() && r.Node == node
}

// drop removes a task that nothing is left to do for.
func (b *Builders) drop(ctx context.Context, t *work.Task) error {
	err := b.config.Store.Commit(context.WithoutCancel(ctx), store.Batch{Delete: []store.Removal{{Key: t.Key, Was: t.Revision}}})
	if err != nil && !errors.Is(err, store.ErrConflict) {
		return fmt.Errorf("removing a task: %w", err)
	}
	return nil
}

// put writes a task that is to be done later.
func (b *Builders) put(ctx context.Context, t *work.Task, n int, due time.Time) error {
	body, err := json.Marshal(tries{n})
	if err != nil {
		return fmt.Errorf("encoding a task: %w", err)
	}
	w := store.Write{Was: t.Revision, Document: store.Document{Key: t.Key, Body: body, Due: due}}
	err = b.config.Store.Commit(context.WithoutCancel(ctx), store.Batch{Put: []store.Write{w}})
	if err != nil {
		return fmt.Errorf("putting a task back: %w", err)
	}
	return nil
}

// finish ends a transition: the builder's next state, the end of its task and what
// else there is are one commit. Where nobody knows whether it was kept, the task
// tells: it is done again, or is gone.
func (b *Builders) finish(ctx context.Context, t *work.Task, begun *Builder, o outcome) error {
	ctx = context.WithoutCancel(ctx)
	for {
		r, revision, err := b.get(ctx, begun.key())
		if err != nil {
			return err
		}
		if !r.busy(begun.Step, b.config.Node) {
			return errors.Join(work.ErrLost, b.undo(ctx, begun, o)) // the node was thought to be dead
		}
		var batch store.Batch
		if o.beside != nil {
			batch, err = o.beside(ctx)
			if err != nil {
				return fmt.Errorf("ending %s of image builder %s: %w", r.State, r.id(), err)
			}
		}
		told := Event{Builder: r.id(), Was: r.State, State: o.state, Took: b.now().Sub(r.Changed)}
		batch.Delete = append(batch.Delete, store.Removal{Key: t.Key, Was: t.Revision})
		if o.state == "" {
			batch.Delete = append(batch.Delete, store.Removal{Key: r.key(), Was: revision})
		} else {
			b.enter(r, o.state, o.reason)
			if o.edit != nil {
				o.edit(r)
			}
			w, err := r.write(revision)
			if err != nil {
				return err
			}
			batch.Put = append(batch.Put, w)
		}
		err = b.config.Store.Commit(ctx, batch)
		var conflict *store.Conflict
		if errors.As(err, &conflict) {
			if conflict.Key == t.Key {
				return work.ErrLost
			}
			continue // tags, for instance
		}
		if err != nil {
			_, read := b.config.Store.Get(ctx, t.Key)
			if !errors.Is(read, store.ErrNotFound) {
				return fmt.Errorf("ending %s of image builder %s: %w", told.Was, r.id(), err)
			}
		}
		if o.after != nil {
			o.after()
		}
		b.config.Images.Committed(batch)
		b.tell(told, o.reason)
		args := []any{"builder", r.id(), "was", told.Was, "state", o.state, "took", told.Took.String()}
		if o.reason != nil {
			args = append(args, "code", o.reason.Code, "reason", o.reason.Message)
		}
		b.config.Log.Info("image builders: changed", args...)
		return nil
	}
}

// undo stops a machine that was started for nothing.
func (b *Builders) undo(ctx context.Context, r *Builder, o outcome) error {
	if o.state != Running {
		return nil
	}
	b.leave(r.Machine)
	return b.config.Machines.Stop(ctx, r.Machine)
}

// giveUp is what becomes of a builder whose transition does not come to its end.
func (b *Builders) giveUp(ctx context.Context, r *Builder, n int) outcome {
	why := &Reason{InternalError, fmt.Sprintf("It was tried %d times and never came to its end; start it again later.", n)}
	switch {
	case r.State == Deleting:
		return outcome{after: b.look} // and the node goes on to remove the machine
	case r.State == Snapshotting:
		return b.noImage(r, InternalError, why.Message)
	case !r.Made:
		why.Message = fmt.Sprintf("Its machine was begun %d times and never ran.", n)
		return b.failed(ctx, r, why)
	}
	return b.failed(ctx, r, why)
}

// failed is what becomes of a builder whose machine can't be made or started: it is
// FAILED if the machine never ran, else STOPPED, for what was installed is there.
func (b *Builders) failed(ctx context.Context, r *Builder, why *Reason, all ...resource.Error) outcome {
	b.leave(r.Machine)
	if b.config.Machines != nil {
		err := b.config.Machines.Stop(ctx, r.Machine)
		if err != nil && !errors.Is(err, machine.ErrNotFound) { // it may have failed before there was one
			b.config.Log.Warn("image builders: a machine that failed may run still", "builder", r.id(), "machine", r.Machine, "error", err)
		}
	}
	o := outcome{state: Failed, reason: why, edit: func(r *Builder) { r.Errors, r.Snapshot = all, nil }}
	if r.Made {
		o.state = Stopped
	}
	return o
}

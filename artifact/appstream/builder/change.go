package builder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"souk/artifact/appstream/resource"
	"souk/gateway/apierror"
	"souk/storage/store"
)

// This file is what callers do to a builder that is there: each is one commit of
// the builder's document in its next state, with the task that the state is.

// task is the write of the task of a builder's state. It is leased to this node
// where it is this node's; hand gives it on after the commit.
func (b *Builders) task(r *Builder) store.Write {
	w := store.Write{Document: store.Document{Key: taskKey(r), Body: []byte("{}")}}
	if r.Node == b.config.Node {
		w.Owner, w.Due = b.runner.Lease()
	} else {
		w.Due = b.runner.Now()
	}
	return w
}

// taskKey is the task of a builder's state: the step is part of it, so that what
// is left of an older one can't be mistaken for it.
func taskKey(r *Builder) store.Key {
	return store.Key{Kind: kindTask + r.Node, ID: r.id() + "/" + strconv.Itoa(r.Step)}
}

// ofTask reads what taskKey wrote.
func ofTask(id string) (key store.Key, step int, err error) {
	cut := strings.LastIndexByte(id, '/')
	if cut < 0 {
		return store.Key{}, 0, fmt.Errorf("%q is no task of an image builder", id)
	}
	step, err = strconv.Atoi(id[cut+1:])
	if err != nil {
		return store.Key{}, 0, fmt.Errorf("%q is no task of an image builder", id)
	}
	return store.Key{Kind: Kind, ID: id[:cut]}, step, nil
}

// hand begins the task of a state that was committed.
func (b *Builders) hand(r *Builder, task store.Write) {
	b.observe(r)
	if r.Node == b.config.Node {
		d := task.Document
		d.Revision = 1
		b.runner.Hand(d, nil)
	}
}

// get reads a builder. store.ErrNotFound.
func (b *Builders) get(ctx context.Context, key store.Key) (*Builder, int64, error) {
	d, err := b.config.Store.Get(ctx, key)
	if err != nil {
		return nil, 0, fmt.Errorf("reading image builder %s: %w", key.ID, err)
	}
	r, err := decode(d)
	return r, d.Revision, err
}

// named reads a builder for a caller: ResourceNotFoundException.
func (b *Builders) named(ctx context.Context, account, region, name string) (*Builder, error) {
	if !resource.IsName(name) {
		return nil, notFound(name, account)
	}
	r, _, err := b.get(ctx, keyOf(account, region, name))
	if errors.Is(err, store.ErrNotFound) {
		return nil, notFound(name, account)
	}
	return r, err
}

// errAsItIs is returned by an edit where nothing is to be done.
var errAsItIs = errors.New("nothing is to be done")

// enter puts a builder into its next state.
func (b *Builders) enter(r *Builder, s State, why *Reason) {
	r.State, r.Reason, r.Changed, r.Inside = s, why, b.now(), false
	if s.working() {
		r.Step++
	}
}

// change commits what edit makes of a builder. edit enters a state, or not, and
// returns what is written besides. begins, if set, is told of the builder before it
// is stored. Where another request was quicker to enter a state than an edit that
// enters one, the error is a ConcurrentModificationException; a change of tags
// meanwhile does not count, and none is refused for it.
func (b *Builders) change(ctx context.Context, account, region, name string, begins func(*Builder), edit func(*Builder) (store.Batch, error)) (*Builder, error) {
	err := b.ready(ctx)
	if err != nil {
		return nil, err
	}
	if !resource.IsName(name) {
		return nil, notFound(name, account)
	}
	lost := -1 // the step from which an edit has entered a state that could not be stored
	for {
		r, revision, err := b.get(ctx, keyOf(account, region, name))
		if errors.Is(err, store.ErrNotFound) {
			return nil, notFound(name, account)
		}
		if err != nil {
			return nil, err
		}
		if lost >= 0 && r.Step != lost {
			return nil, resource.Concurrent("image builder", name)
		}
		step := r.Step
		batch, err := edit(r)
		if errors.Is(err, errAsItIs) {
			return r, nil
		}
		if err != nil {
			return nil, err
		}
		w, err := r.write(revision)
		if err != nil {
			return nil, err
		}
		batch.Put = append(batch.Put, w)
		var task store.Write
		if r.Step != step {
			task = b.task(r)
			batch.Put = append(batch.Put, task)
		}
		if begins != nil {
			begins(r)
		}
		err = b.config.Store.Commit(ctx, batch)
		var conflict *store.Conflict
		if errors.As(err, &conflict) {
			if conflict.Key.Kind == KindNode {
				return nil, resource.Concurrent("image builder", name) // its node lives after all
			}
			if conflict.Key.Kind != Kind {
				return nil, fmt.Errorf("changing image builder %s: %w", r.id(), err)
			}
			if r.Step != step {
				lost = step
			}
			continue
		}
		if err != nil && (r.Step == step || !b.written(ctx, r)) {
			return nil, fmt.Errorf("changing image builder %s: %w", r.id(), err)
		}
		b.config.Images.Committed(batch)
		if r.Step != step {
			b.config.Log.Info("image builders: changing", "builder", r.id(), "state", r.State)
			b.hand(r, task)
		}
		return r, nil
	}
}

// written says whether a commit of unknown outcome that entered a state was kept:
// the step is no other's.
func (b *Builders) written(ctx context.Context, r *Builder) bool {
	is, _, err := b.get(ctx, r.key())
	return err == nil && is.Step == r.Step && is.State == r.State && is.Changed.Equal(r.Changed)
}

func notFound(name, account string) error {
	return resource.NotFound("image builder", name, account)
}

// Start starts the machine of a builder that is STOPPED. It is UPDATING_AGENT
// where the agent is another than it ran with, else PENDING, until it is RUNNING.
//
// AppStream API Reference, "StartImageBuilder". The model binds no
// OperationNotPermittedException to it: a builder in another state is not available.
func (b *Builders) Start(ctx context.Context, account, region, name, agent string, begins func(*Builder)) (*Builder, error) {
	return b.change(ctx, account, region, name, begins, func(r *Builder) (store.Batch, error) {
		if r.State != Stopped {
			return store.Batch{}, apierror.New("ResourceNotAvailableException", "The image builder %s is %s. The image builder must be in a STOPPED state for this action to succeed.", name, r.State)
		}
		err := b.checkAgent(agent)
		if err != nil {
			return store.Batch{}, err
		}
		_, away, err := b.away(ctx, r.Node)
		if err != nil {
			return store.Batch{}, err
		}
		if away {
			return store.Batch{}, apierror.New("ResourceNotAvailableException", "The image builder %s is not available: the server that has its machine does not run.", name)
		}
		s := Pending
		if r.Agent != b.config.AgentVersion {
			s = UpdatingAgent
		}
		r.Errors = nil
		b.enter(r, s, nil)
		return store.Batch{}, nil
	})
}

// Stop stops the machine of a builder that is RUNNING. Of one that is STOPPED, or
// STOPPING, nothing is asked again.
//
// AppStream API Reference, "StopImageBuilder".
func (b *Builders) Stop(ctx context.Context, account, region, name string, begins func(*Builder)) (*Builder, error) {
	return b.change(ctx, account, region, name, begins, func(r *Builder) (store.Batch, error) {
		switch r.State {
		case Running:
			b.enter(r, Stopping, nil)
			return store.Batch{}, nil
		case Stopping, Stopped:
			return store.Batch{}, errAsItIs
		}
		return store.Batch{}, notPermitted(r, "stopped", "a RUNNING state")
	})
}

// Delete removes a builder and its machine: one that is RUNNING, STOPPED or FAILED.
//
// AppStream API Reference, "DeleteImageBuilder".
func (b *Builders) Delete(ctx context.Context, account, region, name string, begins func(*Builder)) (*Builder, error) {
	return b.change(ctx, account, region, name, begins, func(r *Builder) (store.Batch, error) {
		switch r.State {
		case Running, Stopped, Failed:
		default:
			return store.Batch{}, notPermitted(r, "deleted", "a RUNNING, STOPPED or FAILED state")
		}
		var batch store.Batch
		n, away, err := b.away(ctx, r.Node)
		if err == nil && away && n.ID != "" && !n.Gone {
			var w store.Write
			w, err = n.declared() // it may live after all: it is to look what it has
			batch.Put = append(batch.Put, w)
		}
		if err != nil {
			return store.Batch{}, err
		}
		if away {
			r.Node = b.config.Node // the other removes a machine without a builder when it comes back
		}
		b.enter(r, Deleting, nil)
		return batch, nil
	})
}

func notPermitted(r *Builder, what, in string) error {
	return apierror.New("OperationNotPermittedException", "The image builder %s is %s and can't be %s. The image builder must be in %s for this action to succeed.", r.Name, r.State, what, in)
}

// Tags returns the tags of a builder.
func (b *Builders) Tags(ctx context.Context, account, region, name string) (resource.Tags, error) {
	r, err := b.named(ctx, account, region, name)
	if err != nil {
		return nil, err
	}
	return r.Tags, nil
}

// Tag sets tags of a builder.
func (b *Builders) Tag(ctx context.Context, account, region, name string, tags resource.Tags) error {
	_, err := b.change(ctx, account, region, name, nil, func(r *Builder) (store.Batch, error) {
		all, err := r.Tags.Merge(tags)
		r.Tags = all
		return store.Batch{}, err
	})
	return err
}

// Untag removes tags of a builder.
func (b *Builders) Untag(ctx context.Context, account, region, name string, keys []string) error {
	_, err := b.change(ctx, account, region, name, nil, func(r *Builder) (store.Batch, error) {
		r.Tags = r.Tags.Without(keys)
		return store.Batch{}, nil
	})
	return err
}

// tries is the body of a task: how often it was begun and did not end.
type tries struct {
	Tries int `json:",omitempty"`
}

func triesOf(body []byte) int {
	var t tries
	if json.Unmarshal(body, &t) != nil {
		return 0
	}
	return t.Tries
}

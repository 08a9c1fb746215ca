package builder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"souk/artifact/appstream/image"
	"souk/storage/store"
)

// This file is the nodes that share a market: a builder's machine lies on one, which
// says by a heartbeat that it lives. What a node that is dead has is settled by
// another; what an earlier run of a node has left, by that node when it starts.

// node is the heartbeat of a node.
type node struct {
	ID       string
	URL      string    `json:",omitempty"` // how the others reach it
	Machines bool      // it makes machines
	Seen     time.Time // by the database's clock
	Gone     bool      `json:",omitempty"` // another node settles what it has

	revision int64
}

// indexNodes lists all nodes, in partition "".
const indexNodes = "all"

// nodes are all nodes that have been seen.
func (b *Builders) nodes(ctx context.Context) ([]node, error) {
	var all []node
	for d, err := range store.All(ctx, b.config.Store, store.Query{Kind: KindNode, Index: indexNodes, Limit: 100}) {
		if err != nil {
			return nil, fmt.Errorf("listing the nodes: %w", err)
		}
		n := node{}
		err = json.Unmarshal(d.Summary, &n)
		if err != nil {
			return nil, fmt.Errorf("decoding node %s: %w", d.ID, err)
		}
		n.revision = d.Revision
		all = append(all, n)
	}
	return all, nil
}

// dead says whether a node has not been heard of for too long.
func (b *Builders) dead(n node) bool {
	return n.ID != b.config.Node && (n.Gone || b.runner.Now().Sub(n.Seen) > b.config.Dead)
}

// away says whether a node is dead, or was declared so, and returns what is known of it.
func (b *Builders) away(ctx context.Context, id string) (n node, away bool, err error) {
	if id == b.config.Node {
		return node{}, false, nil
	}
	n, err = b.node(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return node{}, true, nil
	}
	return n, b.dead(n), err
}

func (b *Builders) node(ctx context.Context, id string) (node, error) {
	d, err := b.config.Store.Get(ctx, store.Key{Kind: KindNode, ID: id})
	if err != nil {
		return node{}, fmt.Errorf("reading node %s: %w", id, err)
	}
	n := node{}
	err = json.Unmarshal(d.Body, &n)
	if err != nil {
		return node{}, fmt.Errorf("decoding node %s: %w", id, err)
	}
	n.revision = d.Revision
	return n, nil
}

// beat writes our heartbeat. Where another has thought us dead meanwhile, nothing
// more is settled from then on, and what was is stopped here, too.
func (b *Builders) beat(ctx context.Context) error {
	n := node{ID: b.config.Node, URL: b.config.URL, Machines: b.config.Machines != nil, Seen: b.runner.Now().UTC().Truncate(time.Millisecond)}
	w, err := n.write(b.beaten)
	if err != nil {
		return err
	}
	err = b.config.Store.Commit(ctx, store.Batch{Put: []store.Write{w}})
	if err != nil {
		b.doubt = true
		is, read := b.node(ctx, n.ID)
		if read != nil && !errors.Is(read, store.ErrNotFound) {
			return fmt.Errorf("writing the heartbeat of %s: %w", n.ID, err)
		}
		w.Was = is.revision // 0: it is gone
		err = b.config.Store.Commit(ctx, store.Batch{Put: []store.Write{w}})
		if err != nil {
			return fmt.Errorf("writing the heartbeat of %s: %w", n.ID, err)
		}
	}
	b.beaten = w.Was + 1
	b.doubt = b.left.Swap(false) || b.doubt
	if !b.doubt {
		return nil
	}
	err = b.quiet(ctx)
	b.doubt = err != nil
	return err
}

// look has the next beat look for machines that no builder has, and each one after it
// until all are removed.
func (b *Builders) look() { b.left.Store(true) }

// write is the write of a heartbeat in the place of the revision was.
func (n node) write(was int64) (store.Write, error) {
	body, err := json.Marshal(n)
	if err != nil {
		return store.Write{}, fmt.Errorf("encoding node %s: %w", n.ID, err)
	}
	return store.Write{Was: was, Document: store.Document{
		Key: store.Key{Kind: KindNode, ID: n.ID}, Summary: body, Body: body, Index: []store.Entry{{Index: indexNodes, Sort: n.ID}},
	}}, nil
}

// declared is the write that tells a node that it is thought dead: it finds its
// heartbeat changed when it lives after all.
func (n node) declared() (store.Write, error) {
	n.Gone = true
	return n.write(n.revision)
}

// rise writes the first heartbeat of a run, in the place of an earlier run's.
func (b *Builders) rise(ctx context.Context) error {
	n, err := b.node(ctx, b.config.Node)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	b.beaten = n.revision
	return b.beat(ctx)
}

// quiet stops the machines that run here and whose builders do not, and removes those
// whose builders were deleted.
func (b *Builders) quiet(ctx context.Context) error {
	all, err := b.machines(ctx)
	if err != nil {
		return err
	}
	var failed []error // one that can't be settled keeps no other from it
	for id, is := range all {
		r, _, err := b.get(ctx, store.Key{Kind: Kind, ID: strings.TrimPrefix(is.Purpose, purpose)})
		switch {
		case err != nil && !errors.Is(err, store.ErrNotFound):
			return errors.Join(append(failed, err)...)
		case err != nil || r.Machine != id || r.Node != b.config.Node:
			b.leave(id)
			err = b.config.Machines.Delete(ctx, id)
		case (r.State == Stopped || r.State == Failed) && slices.Contains(b.Live(), id):
			b.leave(id)
			err = b.config.Machines.Stop(ctx, id)
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("settling machine %s: %w", id, err))
		}
	}
	return errors.Join(failed...)
}

// of lists the builders of a node.
func (b *Builders) of(ctx context.Context, id string) ([]*Builder, error) {
	var all []*Builder
	for d, err := range store.All(ctx, b.config.Store, store.Query{Kind: Kind, Index: indexNode, Partition: id, Limit: 200}) {
		if err != nil {
			return nil, fmt.Errorf("listing the image builders of node %s: %w", id, err)
		}
		r, err := decode(d)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// bury settles what dead nodes have, again and again: a call that took one for alive
// may have given it work. The heartbeat of one that has no builders is removed.
func (b *Builders) bury(ctx context.Context) error {
	nodes, err := b.nodes(ctx)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if !b.dead(n) {
			continue
		}
		err := b.settleNode(ctx, n)
		if errors.Is(err, store.ErrConflict) {
			continue // it lives after all, or another node settles it
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// settleNode settles the builders of a dead node. It is told so first, by its
// heartbeat, on which every commit relies: a node that lives after all finds it
// changed. ErrConflict: that one has, or another node settles it.
func (b *Builders) settleNode(ctx context.Context, n node) error {
	if !n.Gone {
		w, err := n.declared()
		if err == nil {
			err = b.config.Store.Commit(ctx, store.Batch{Put: []store.Write{w}})
		}
		if err != nil {
			return fmt.Errorf("settling node %s: %w", n.ID, err)
		}
		n.revision++
		b.config.Log.Warn("image builders: a node is dead, and its builders are settled", "node", n.ID)
	}
	all, err := b.of(ctx, n.ID)
	if err != nil {
		return err
	}
	expect := store.Expectation{Key: store.Key{Kind: KindNode, ID: n.ID}, Revision: n.revision}
	for _, r := range all {
		if r.State != Running && !r.State.working() {
			continue
		}
		err := b.settle(ctx, r.key(), func(r *Builder) (store.Batch, error) {
			if r.Node != n.ID || r.State != Running && !r.State.working() {
				return store.Batch{}, errAsItIs
			}
			batch := store.Batch{Expect: []store.Expectation{expect}}
			why := &Reason{InternalError, "The server that had its machine does not run any more."}
			if r.State.working() {
				batch.Delete = append(batch.Delete, store.Removal{Key: taskKey(r), Was: store.Any})
			}
			if r.State == Snapshotting && r.Snapshot != nil {
				failed, err := b.config.Images.Fail(ctx, *r.Snapshot, image.Reason{Code: image.BuilderNotAvailable, Message: why.Message})
				if err != nil && !errors.Is(err, image.ErrSettled) {
					return store.Batch{}, err
				}
				batch.Put, batch.Delete, batch.Expect = append(batch.Put, failed.Put...), append(batch.Delete, failed.Delete...), append(batch.Expect, failed.Expect...)
			}
			switch {
			case r.State == Deleting:
				b.enter(r, "", nil) // the node removes a machine without a builder when it comes back
			case r.Made:
				b.enter(r, Stopped, why)
			default:
				b.enter(r, Failed, why)
			}
			r.Snapshot = nil
			return batch, nil
		})
		if err != nil {
			return err
		}
	}
	if len(all) > 0 {
		return nil // a call that took it for alive may still come
	}
	err = b.config.Store.Commit(ctx, store.Batch{Delete: []store.Removal{{Key: expect.Key, Was: n.revision}}})
	if err != nil {
		return fmt.Errorf("removing node %s: %w", n.ID, err)
	}
	return nil
}

// settle commits what edit makes of a builder that no task of ours has; the state ""
// removes it. It is tried again where the builder itself was changed meanwhile.
func (b *Builders) settle(ctx context.Context, key store.Key, edit func(r *Builder) (store.Batch, error)) error {
	for {
		r, revision, err := b.get(ctx, key)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		was, step := r.State, r.Step
		batch, err := edit(r)
		if errors.Is(err, errAsItIs) {
			return nil
		}
		if err != nil {
			return err
		}
		if r.State == "" {
			batch.Delete = append(batch.Delete, store.Removal{Key: key, Was: revision})
		} else {
			w, err := r.write(revision)
			if err != nil {
				return err
			}
			batch.Put = append(batch.Put, w)
		}
		var task store.Write
		if r.Step != step {
			task = b.task(r)
			batch.Put = append(batch.Put, task)
		}
		err = b.config.Store.Commit(ctx, batch)
		var conflict *store.Conflict
		if errors.As(err, &conflict) && conflict.Key == key {
			continue
		}
		if err != nil {
			return fmt.Errorf("settling image builder %s: %w", key.ID, err)
		}
		b.config.Images.Committed(batch)
		b.config.Log.Info("image builders: settled", "builder", key.ID, "was", was, "state", r.State)
		if r.Step != step {
			b.hand(r, task)
		} else {
			b.observe(r)
		}
		return nil
	}
}

// recover settles what an earlier run of this node has left: its builders that were
// RUNNING are STOPPED, what was under way is begun again, and machines without a
// builder are removed.
func (b *Builders) recover(ctx context.Context) error {
	there := map[string]bool{}
	if m := b.config.Machines; m != nil {
		all, err := m.List(ctx)
		if err != nil {
			return fmt.Errorf("listing the machines: %w", err)
		}
		for _, is := range all {
			if strings.HasPrefix(is.Purpose, purpose) {
				there[is.ID] = false
			}
		}
	}
	all, err := b.of(ctx, b.config.Node)
	if err != nil {
		return err
	}
	for _, r := range all {
		_, ok := there[r.Machine]
		if ok {
			there[r.Machine] = true
		}
		switch {
		case r.State == Running:
			err = b.settle(ctx, r.key(), func(r *Builder) (store.Batch, error) {
				switch {
				case r.State != Running:
					return store.Batch{}, errAsItIs
				case !ok && b.config.Machines != nil:
					b.enter(r, Failed, &Reason{InternalError, "The disk of its machine is not there any more."})
				default:
					b.enter(r, Stopped, &Reason{InternalError, "The server that has its machine was restarted."})
				}
				return store.Batch{}, nil
			})
		case r.State.working():
			err = b.again(ctx, r)
		}
		if err != nil {
			return err
		}
	}
	for id, known := range there {
		if known {
			err = b.config.Machines.Stop(ctx, id) // none runs of an earlier process, but of an earlier Builders of this one
		} else {
			b.config.Log.Warn("image builders: a machine that no builder has is removed", "machine", id)
			err = b.config.Machines.Delete(ctx, id)
		}
		if err != nil {
			return fmt.Errorf("settling machine %s: %w", id, err)
		}
	}
	return nil
}

// again makes the task of a state due at once, whoever had it: that was an earlier
// run of this node, which ended while it worked on it.
func (b *Builders) again(ctx context.Context, r *Builder) error {
	key := taskKey(r)
	d, err := b.config.Store.Get(ctx, key)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("reading task %s: %w", key.ID, err)
	}
	n := triesOf(d.Body)
	if d.Owner != "" {
		n++ // it was begun
	}
	body, err := json.Marshal(tries{n})
	if err != nil {
		return fmt.Errorf("encoding task %s: %w", key.ID, err)
	}
	w := store.Write{Was: d.Revision, Document: store.Document{Key: key, Body: body, Due: b.runner.Now()}}
	err = b.config.Store.Commit(ctx, store.Batch{Put: []store.Write{w}})
	if err != nil && !errors.Is(err, store.ErrConflict) {
		return fmt.Errorf("putting task %s back: %w", key.ID, err)
	}
	return nil
}

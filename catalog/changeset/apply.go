package changeset

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"souk/catalog/change"
	"souk/storage/store"
)

// claimTag is the kind of claim that may be taken twice: a tag that a version
// names is fixed, and another version may name it again.
const claimTag = "tag"

// apply does APPLYING: every change is checked once more and applied, and one
// commit writes all entities, the claims, the set's end and its locks. It
// conflicts if any of what it rests on was written meanwhile. fixed is the set
// with the time and the seed that Apply gets.
func (w *working) apply(ctx context.Context, fixed *setBody) error {
	if w.set.Status == Applying && w.e.runner.Now().Before(w.set.Until) { // it is held, and was claimed early
		return w.leave(ctx, w.set.clone(), w.set.Until)
	}
	reprobed := 0
	for range maxRounds {
		if w.set.Status == Applying {
			fixed = w.set
		}
		if err := w.decode(); err != nil {
			return err
		}
		next := fixed.clone()
		x, err := w.walk(context.WithoutCancel(ctx), next, false)
		if err != nil {
			return err
		}
		if x.refused {
			return w.fail(ctx, next)
		}
		b, err := w.batch(ctx, x, next.Now, fixed.Read)
		if err != nil {
			return err
		}
		for i := range next.Changes {
			next.Changes[i].Found = nil
		}
		next.Status, next.Seed = Succeeded, ""
		err = w.end(ctx, next, b)
		var conflict *store.Conflict
		switch {
		case !errors.As(err, &conflict):
			return err
		case conflict.Key.Kind == kindEntity && fixed.Read[conflict.Key.ID] == 0:
			w.entities = nil
		case conflict.Key.Kind == claimTag, conflict.Key.Kind == kindTags: // it is there by now, or it changed
		default: // a name was taken, or another entity changed, since the probe: what does the probe say now?
			if reprobed++; reprobed > 3 && conflict.Key.Kind != kindEntity {
				w.e.cfg.Log.Error("a name is taken that no probe refuses", "id", w.task.ID, "kind", conflict.Key.Kind, "name", conflict.Key.ID)
				return w.fault(ctx)
			}
			if err := w.reprobe(ctx); err != nil || w.set.Status.Ended() {
				return err
			}
		}
	}
	return fmt.Errorf("applying change set %s: its entities change too often", w.task.ID)
}

// reprobe probes the set again while it is APPLYING and stores what is found.
func (w *working) reprobe(ctx context.Context) error {
	w.entities = nil
	next := w.set.clone()
	x, err := w.examine(ctx, next)
	switch {
	case err != nil:
		return err
	case x.refused:
		return w.fail(ctx, next)
	}
	return w.put(ctx, next, w.e.cfg.Owner, w.task.Lease(), store.Batch{})
}

// batch makes the writes of the set's entities and claims, and the expectations
// of the entities that its probes read.
func (w *working) batch(ctx context.Context, x *examined, now time.Time, read map[string]int64) (store.Batch, error) {
	b := store.Batch{Put: make([]store.Write, 0, len(x.states)+len(x.claims)+2)}
	for _, s := range x.states {
		s.LastModified = latest(s.LastModified, now)
		write, err := writeEntity(s.kind, s.Entity, s.state, s.Revision)
		if err != nil {
			return b, err
		}
		b.Put = append(b.Put, write)
		parts, err := w.parts(ctx, s, now)
		if err != nil {
			return b, err
		}
		b.Put = append(b.Put, parts...)
		if w.e.cfg.Beside != nil {
			beside, err := w.e.cfg.Beside(s.Entity, s.state)
			if err != nil {
				return b, fmt.Errorf("%w: %w", errBroken, err)
			}
			b.Put = append(b.Put, beside...)
		}
	}
	tags, err := w.entityTags(ctx, x)
	if err != nil {
		return b, err
	}
	b.Put = append(b.Put, tags...)
	for id, revision := range read {
		if !slices.ContainsFunc(x.states, func(s *entityState) bool { return s.ID == id }) {
			b.Expect = append(b.Expect, store.Expectation{Key: store.Key{Kind: kindEntity, ID: id}, Revision: revision})
		}
	}
	claims, err := w.e.release(ctx, x.claims, &b)
	if err != nil {
		return b, err
	}
	var done []change.Claim
	for _, c := range claims {
		if slices.ContainsFunc(done, func(d change.Claim) bool { return d.Kind == c.Kind && d.ID == c.ID }) {
			if c.Kind == claimTag {
				continue
			}
			return b, fmt.Errorf("%w: %s %s is claimed twice", errBroken, c.Kind, c.ID)
		}
		done = append(done, c)
		key := store.Key{Kind: c.Kind, ID: c.ID}
		if c.Kind == claimTag {
			switch _, err := w.e.store.Get(ctx, key); {
			case err == nil:
				continue
			case !errors.Is(err, store.ErrNotFound):
				return b, fmt.Errorf("reading %s %s: %w", c.Kind, c.ID, err)
			}
		}
		b.Put = append(b.Put, store.Write{Document: store.Document{Key: key, Body: c.Body}})
	}
	return b, nil
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

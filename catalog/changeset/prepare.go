package changeset

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"souk/catalog/change"
	"souk/storage/store"
	"souk/storage/work"
)

// prepare does PREPARING: every change is checked and probed, in the order in
// which they apply, each against what the ones before it make of its entity.
// It ends with FAILED, or with a commit that stores what the probes found and
// fixes the time and the seed of ids, from which on the set is APPLYING.
//
// A set without a change that asks the world has nothing to store in between:
// it passes through APPLYING within the commit that ends it.
func (w *working) prepare(ctx context.Context) error {
	if err := w.decode(); err != nil {
		return err
	}
	if held, err := w.directed(ctx); held || err != nil {
		return err
	}
	next := w.set.clone()
	var err error
	if next.Seed, err = w.e.newSeed(); err != nil {
		return err
	}
	next.Now = w.now()
	longer := time.Duration(0) // that APPLYING takes
	if next.Direction != nil {
		longer = next.Direction.Applies.duration()
	}
	if !w.plan.probes && next.Intent == IntentApply && longer == 0 {
		return w.apply(ctx, next)
	}
	x, err := w.examine(ctx, next)
	var panicked *work.Panic
	switch {
	case err == nil:
	case errors.Is(err, errLost), errors.Is(err, errBroken), errors.As(err, &panicked):
		return err
	case ctx.Err() != nil: // the node stops: others may go on at once
		return w.leave(ctx, w.set.clone(), w.e.runner.Now())
	default:
		return w.retry(ctx, err)
	}
	switch {
	case x.refused:
		return w.fail(ctx, next)
	case next.Intent == IntentValidate:
		next.Status, next.Seed, next.Now = Succeeded, "", time.Time{}
		for i := range next.Changes {
			next.Changes[i].Found = nil
		}
		return w.end(ctx, next, store.Batch{})
	}
	next.Status = Applying
	next.Namespace = x.seller.Namespace
	next.Now = w.now()
	if longer > 0 {
		next.Until = w.e.runner.Now().Add(longer)
		return w.leave(ctx, next, next.Until)
	}
	return w.put(ctx, next, w.e.cfg.Owner, w.task.Lease(), store.Batch{})
}

// now is the time that Apply gets: to the millisecond, which documents show.
func (w *working) now() time.Time { return w.e.now().Truncate(time.Millisecond) }

// retry leaves the set for another try after a failure of ours, or gives it up.
func (w *working) retry(ctx context.Context, cause error) error {
	next := w.set.clone()
	if next.Tries == 0 {
		next.FirstTry = w.e.now()
	}
	next.Tries++
	w.e.cfg.Log.Warn("probing a change set failed", "id", w.task.ID, "try", next.Tries, "error", cause)
	if next.Tries > len(w.e.cfg.Retry) || w.e.now().Sub(next.FirstTry) > probeWindow {
		return w.fault(ctx)
	}
	if err := w.leave(ctx, next, w.e.runner.Now().Add(w.e.cfg.Retry[next.Tries-1])); !errors.Is(err, errLeft) {
		return err
	}
	w.e.observe(w.task.ID, Retried, next.Status)
	return errLeft
}

// leave gives the set back, to be worked on from due on.
func (w *working) leave(ctx context.Context, next *setBody, due time.Time) error {
	if err := w.put(ctx, next, "", due, store.Batch{}); err != nil {
		return err
	}
	return errLeft
}

// examined is what an examination of a set found.
type examined struct {
	seller  change.Seller
	states  []*entityState // of the entities of the set
	claims  []change.Claim
	refused bool // a change was refused; next has the refusals
}

// entityState is an entity as the changes so far have made it.
type entityState struct {
	change.Entity // Revision 0 if the set creates it
	kind          *change.EntityType
	state         any
}

func (x *examined) entity(id string) *entityState {
	i := slices.IndexFunc(x.states, func(s *entityState) bool { return s.ID == id })
	return x.states[i]
}

// examine runs Check and Probe of every change, and Apply between them, and
// notes refusals and findings in next. An error is a failure of ours.
func (w *working) examine(ctx context.Context, next *setBody) (*examined, error) {
	if err := w.decode(); err != nil {
		return nil, err
	}
	if !w.plan.probes {
		return w.walk(context.WithoutCancel(ctx), next, true)
	}
	snapshot := w.set.clone()
	var x *examined
	w.e.observe(w.task.ID, Probing, w.set.Status)
	renew := func() (store.Write, error) { return snapshot.write(w.task.ID, w.task.Revision) }
	err := w.task.Hold(ctx, renew, func(ctx context.Context) (err error) {
		ctx, cancel := context.WithTimeout(ctx, w.e.cfg.ProbeTime)
		defer cancel()
		x, err = w.walk(ctx, next, true)
		return err
	})
	return x, err
}

// walk is examine; without probing, what the probes found before is used. It
// uses the plan up once it applies something: Apply may keep parts of Details
// in the state, where later changes write.
func (w *working) walk(ctx context.Context, next *setBody, probing bool) (*examined, error) {
	seller, err := w.seller(ctx)
	if err != nil {
		return nil, err
	}
	x := &examined{seller: seller}
	if probing {
		next.Read = nil
	}
	if err := w.open(ctx, x); err != nil {
		return nil, err
	}
	steps := w.plan.steps
	refused := make([]bool, len(next.Changes))
	for n := range steps {
		s := &steps[n]
		r := &next.Changes[s.index]
		r.Errors = nil
		if slices.ContainsFunc(s.needs, func(i int) bool { return refused[i] }) {
			refused[s.index] = true // there is no entity to check it against
			continue
		}
		entity := x.entity(r.EntityID)
		c := &change.Checks{Seller: x.seller, Entity: entity.Entity, ChangeSet: w.task.ID}
		s.change.Check(entity.state, c)
		if probing && s.change.Probe != nil && (s.change.Thorough || len(c.Refusals()) == 0) {
			c.World = w.e.world(w.task.ID, x, next)
			if next.Intent == IntentValidate {
				c.World.Images, c.World.AMIs = unpublished{c.World.Images}, unpublishedAMIs{c.World.AMIs}
			}
			if err := s.change.Probe(ctx, entity.state, c); err != nil {
				return nil, fmt.Errorf("probing %s of %s: %w", r.ChangeType, r.EntityID, err)
			}
			r.Found = c.Found()
		}
		if reason := c.Reason(); reason != nil {
			w.e.cfg.Log.Info("a change was refused", "id", w.task.ID, "change", r.ChangeType, "entity", r.EntityID, "reason", reason)
		}
		if r.Errors = c.Refusals(); len(r.Errors) > 0 {
			refused[s.index], x.refused = true, true
			continue
		}
		if probing && n == len(steps)-1 {
			break // nothing looks at what it makes
		}
		a := &change.Applying{
			Entity: entity.Entity, Seller: x.seller, Now: next.Now, Found: r.Found,
			IDs: change.NewIDs(fmt.Sprintf("%s/%d", next.Seed, s.index), next.Now),
		}
		w.plan = nil
		s.change.Apply(entity.state, a)
		x.claims = append(x.claims, a.Claims()...)
	}
	return x, nil
}

// open makes the states of the set's entities: new ones, and those that are stored.
func (w *working) open(ctx context.Context, x *examined) error {
	if w.entities == nil {
		w.entities = map[string]*stored{}
	}
	for i := range w.set.Changes {
		r := &w.set.Changes[i]
		if slices.ContainsFunc(x.states, func(s *entityState) bool { return s.ID == r.EntityID }) {
			continue
		}
		s := &entityState{kind: w.e.types[r.EntityType]}
		if w.set.creates(r.EntityID) {
			s.Entity = change.Entity{ID: r.EntityID, Type: r.EntityType, Owner: w.set.Account}
			s.state = s.kind.New()
			x.states = append(x.states, s)
			continue
		}
		was := w.entities[r.EntityID]
		if was == nil {
			d, err := w.e.store.Get(ctx, store.Key{Kind: kindEntity, ID: r.EntityID})
			if err != nil {
				return fmt.Errorf("reading entity %s: %w", r.EntityID, err)
			}
			if was, err = decodeEntity(d); err != nil {
				return err
			}
			w.entities[r.EntityID] = was
		}
		var err error
		s.Entity = was.Entity
		if s.state, err = was.decode(s.kind); err != nil {
			return err
		}
		x.states = append(x.states, s)
	}
	return nil
}

// world is what probes of a set may ask: names that its own changes have
// claimed so far are taken, too. What they read of other entities is noted in next.
func (e *Engine) world(set string, x *examined, next *setBody) change.World {
	w := e.cfg.World
	w.Marks = marks{e, set}
	w.Names = names{next: e.cfg.World.Names, store: e.store, claims: x.claims}
	w.Entities = entities{e: e, x: x, next: next}
	for i := range next.Changes {
		r := &next.Changes[i]
		w.Set = append(w.Set, change.Beside{ChangeType: r.ChangeType, EntityType: r.EntityType, EntityID: r.EntityID})
	}
	return w
}

// unpublished is the registry for sets that only validate: what they deliver
// must not come within the reach of those who may obtain the product.
type unpublished struct{ change.Images }

// Publish implements change.Images.
func (unpublished) Publish(context.Context, string, change.ImageRef, string) error { return nil }

// unpublishedAMIs is the same of machine images.
type unpublishedAMIs struct{ change.AMIs }

// Publish implements change.AMIs.
func (unpublishedAMIs) Publish(context.Context, string, change.AMI) error { return nil }

type names struct {
	next   change.Names // nil: the store is asked
	store  store.Store
	claims []change.Claim
}

// Taken implements change.Names.
func (n names) Taken(ctx context.Context, kind, id string) (bool, error) {
	for _, c := range slices.Backward(n.claims) { // the last word counts
		if c.Kind == kind && c.ID == id {
			return !c.Released, nil
		}
	}
	if n.next != nil {
		return n.next.Taken(ctx, kind, id)
	}
	_, err := n.store.Get(ctx, store.Key{Kind: kind, ID: id})
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

package changeset

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"souk/catalog/change"
	"souk/gateway/apierror"
	"souk/storage/store"
)

// lockDoc is an entity's lock as it was read or written: revision 0 if there is none yet.
type lockDoc struct {
	revision int64
	body     lockBody
}

// readLock reads the lock of an entity. Where no set has locked it before, the
// entity itself is read for type and owner. ErrNotFound: there is no such entity.
func (e *Engine) readLock(ctx context.Context, entity string) (lockDoc, error) {
	d, err := e.store.Get(ctx, store.Key{Kind: kindLock, ID: entity})
	if err == nil {
		body, err := decodeLock(d)
		return lockDoc{d.Revision, body}, err
	}
	if !errors.Is(err, store.ErrNotFound) {
		return lockDoc{}, fmt.Errorf("reading lock %s: %w", entity, err)
	}
	if isMark(entity) {
		return lockDoc{}, nil // nobody has marked it yet
	}
	d, err = e.store.Get(ctx, store.Key{Kind: kindEntity, ID: entity})
	if err != nil {
		return lockDoc{}, fmt.Errorf("reading entity %s: %w", entity, err)
	}
	s, err := decodeEntity(d)
	if err != nil {
		return lockDoc{}, err
	}
	return lockDoc{0, lockBody{Type: s.Type, Owner: s.Owner}}, nil
}

// blocking returns the ids of the sets that keep a set with these change types
// from starting, and expectations on which that answer rests.
//
// Catalog API Reference, "Making multiple change requests simultaneously":
// entities of most types are changed by one set at a time; AMI and container
// products by several, if each pair of their change types may overlap and the
// earlier is still PREPARING.
func (e *Engine) blocking(ctx context.Context, et *change.EntityType, types []string, l lockBody) (sets []string, rest []store.Expectation, err error) {
	for _, h := range l.Held {
		if et.Overlaps == nil || !overlap(et, h.Types, types) {
			sets = append(sets, h.Set)
			continue
		}
		d, err := e.store.Get(ctx, store.Key{Kind: kindSet, ID: h.Set})
		if err != nil {
			if errors.Is(err, store.ErrNotFound) {
				return nil, nil, errStale
			}
			return nil, nil, fmt.Errorf("reading change set %s: %w", h.Set, err)
		}
		s, err := decodeSet(d)
		if err != nil {
			return nil, nil, err
		}
		switch {
		case s.Status == Preparing && s.Direction != nil && s.Direction.Review:
			sets = append(sets, h.Set) // pending with Seller Operations
		case s.Status == Preparing:
			rest = append(rest, store.Expectation{Key: d.Key, Revision: d.Revision})
		case s.Status == Applying:
			sets = append(sets, h.Set)
		default:
			return nil, nil, errStale // it ended after the lock was read
		}
	}
	return sets, rest, nil
}

// errStale: what was read is out of date; read again.
var errStale = errors.New("read too early")

func overlap(et *change.EntityType, held, wanted []string) bool {
	for _, a := range held {
		for _, b := range wanted {
			if a == b || !et.Overlaps(a, b) {
				return false
			}
		}
	}
	return true
}

// inUse is the refusal of a set whose entity is locked. Programs read the
// message; every space in it counts.
func inUse(entity string, sets []string) error {
	return apierror.New("ResourceInUseException",
		"Requested change set has entities locked by change sets - entity: '%s'  change sets: %s", entity, strings.Join(sets, ", "))
}

// locks are the locks of a set's entities, by entity id.
type locks map[string]lockDoc

// hold returns the writes that add a set to the locks, and the locks as they are then.
func (l locks) hold(id string, s *setBody) ([]store.Write, locks, error) {
	return l.write(s, func(entity string, b lockBody) lockBody {
		b.Held = append(slices.Clone(b.Held), holder{Set: id, Types: s.types(entity)})
		return b
	})
}

// release returns the writes that take a set out of the locks.
func (l locks) release(id string, s *setBody) ([]store.Write, error) {
	writes, _, err := l.write(s, func(_ string, b lockBody) lockBody { return b.without(id) })
	return writes, err
}

func (l locks) write(s *setBody, change func(entity string, b lockBody) lockBody) ([]store.Write, locks, error) {
	ids := s.locked()
	writes, after := make([]store.Write, 0, len(ids)), make(locks, len(ids))
	for _, entity := range ids {
		b := change(entity, l[entity].body)
		w, err := b.write(entity, l[entity].revision)
		if err != nil {
			return nil, nil, err
		}
		writes = append(writes, w)
		after[entity] = lockDoc{l[entity].revision + 1, b}
	}
	return writes, after, nil
}

// readLocks reads the locks of all entities that a set has locked.
func (e *Engine) readLocks(ctx context.Context, s *setBody) (locks, error) {
	l := locks{}
	for _, entity := range s.locked() {
		d, err := e.readLock(ctx, entity)
		if err != nil {
			return nil, err
		}
		l[entity] = d
	}
	return l, nil
}

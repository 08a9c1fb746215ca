package changeset

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"souk/catalog/change"
	"souk/storage/store"

	"bytes"
	"errors"
)

// isShared says whether all accounts share the entities of a type (with version).
func (e *Engine) isShared(entityType string) bool {
	et := e.types[entityType]
	return et != nil && et.Shared
}

// Shared says whether all accounts share the entities of a type (without version).
func (e *Engine) Shared(entityType string) bool {
	et := e.names[entityType]
	return et != nil && et.Shared
}

// Owner returns the account of an entity; "" if there is none.
func (e *Engine) Owner(ctx context.Context, id string) (string, error) {
	l, err := e.readLock(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	return l.body.Owner, err
}

// isMark says whether the id of a lock is that of a mark: no entity's has a slash.
func isMark(id string) bool { return strings.Contains(id, "/") }

// marks answers what a set's probes ask of other sets' marks.
type marks struct {
	e   *Engine
	set string
}

// Ahead implements change.Marks. A lock has its holders in the order in which
// they were started, and a set that ends leaves it in the same commit.
func (m marks) Ahead(ctx context.Context, mark string) (bool, error) {
	l, err := m.e.readLock(ctx, mark)
	if err != nil {
		return false, err
	}
	at := slices.IndexFunc(l.body.Held, func(h holder) bool { return h.Set == m.set })
	return at > 0, nil
}

// parts makes the writes of those parts of an entity that have changed.
func (w *working) parts(ctx context.Context, s *entityState, now time.Time) ([]store.Write, error) {
	if s.kind.Parts == nil {
		return nil, nil
	}
	var writes []store.Write
	for _, p := range s.kind.Parts(s.state) {
		et := w.e.names[p.Type]
		if et == nil {
			return nil, fmt.Errorf("%w: %s has a part of the unknown type %s", errBroken, s.ID, p.Type)
		}
		raw, err := encodeState(p.State)
		if err != nil {
			return nil, fmt.Errorf("encoding part %s of %s: %w", p.ID, s.ID, err)
		}
		part := change.Entity{ID: p.ID, Type: et.Name + "@" + et.Version, Owner: s.Owner, LastModified: now}
		d, err := w.e.store.Get(ctx, store.Key{Kind: kindEntity, ID: p.ID})
		switch {
		case errors.Is(err, store.ErrNotFound):
		case err != nil:
			return nil, fmt.Errorf("reading part %s of %s: %w", p.ID, s.ID, err)
		default:
			was, err := decodeEntity(d)
			if err != nil {
				return nil, err
			}
			if bytes.Equal(was.state, raw) {
				continue
			}
			part.Revision, part.LastModified = was.Revision, latest(was.LastModified, now)
		}
		write, err := writeEntity(et, part, p.State, part.Revision)
		if err != nil {
			return nil, err
		}
		writes = append(writes, write)
	}
	return writes, nil
}

// partsOf checks that an entity's parts are stored as it has them.
func (v *verifier) partsOf(ctx context.Context, whole store.Key, s *stored, parts []change.Part) {
	for _, p := range parts {
		raw, err := encodeState(p.State)
		if err != nil {
			v.find(whole, "its part %s: %v", p.ID, err)
			continue
		}
		d, err := v.e.store.Get(ctx, store.Key{Kind: kindEntity, ID: p.ID})
		if err != nil {
			v.find(whole, "its part %s can't be read: %v", p.ID, err)
			continue
		}
		if was, err := decodeEntity(d); err != nil || was.Owner != s.Owner || !bytes.Equal(was.state, raw) {
			v.find(d.Key, "it is not as %s has it, whose part it is", whole.ID)
		}
	}
}

// release puts into a batch what a set's claims release, and returns those that
// are left to be claimed: one that was released and claimed again is written
// over the old one.
func (e *Engine) release(ctx context.Context, claims []change.Claim, b *store.Batch) ([]change.Claim, error) {
	var left []change.Claim
	for i, c := range claims {
		same := func(o change.Claim) bool { return o.Kind == c.Kind && o.ID == c.ID }
		if !c.Released {
			if !slices.ContainsFunc(claims[:i], func(o change.Claim) bool { return same(o) && o.Released }) {
				left = append(left, c)
			}
			continue
		}
		if slices.ContainsFunc(claims[:i], same) {
			return nil, fmt.Errorf("%w: %s %s is released after it was claimed in one set", errBroken, c.Kind, c.ID)
		}
		key := store.Key{Kind: c.Kind, ID: c.ID}
		d, err := e.store.Get(ctx, key)
		if errors.Is(err, store.ErrNotFound) {
			return nil, fmt.Errorf("%w: %s %s is released and was not claimed", errBroken, c.Kind, c.ID)
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s %s, which is released: %w", c.Kind, c.ID, err)
		}
		if again := slices.IndexFunc(claims[i+1:], same); again >= 0 {
			b.Put = append(b.Put, store.Write{Was: d.Revision, Document: store.Document{Key: key, Body: claims[i+1+again].Body}})
			continue
		}
		b.Delete = append(b.Delete, store.Removal{Key: key, Was: d.Revision})
	}
	return left, nil
}

// Claimed returns what was written down with unique names of a kind (see
// change.Applying.Claim), by name. A name that nobody has is missing.
func (e *Engine) Claimed(ctx context.Context, kind string, ids []string) (map[string][]byte, error) {
	keys := make([]store.Key, 0, len(ids))
	for _, id := range ids {
		keys = append(keys, store.Key{Kind: kind, ID: id})
	}
	documents, err := e.store.GetAll(ctx, keys)
	if err != nil {
		return nil, fmt.Errorf("reading who has which %s: %w", kind, err)
	}
	claimed := make(map[string][]byte, len(documents))
	for _, d := range documents {
		claimed[d.ID] = d.Body
	}
	return claimed, nil
}

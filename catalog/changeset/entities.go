package changeset

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"souk/catalog/change"
	"souk/storage/store"
)

// entities answers what probes ask of other entities: first as the set's own
// changes have made them so far, then as they are stored. The revisions of
// those are kept in the set: the commit that applies it relies on them.
type entities struct {
	e    *Engine
	x    *examined
	next *setBody
}

var _ change.Entities = entities{}

// Read implements change.Entities.
func (s entities) Read(ctx context.Context, seller change.Seller, id string) (change.Entity, any, error) {
	i := slices.IndexFunc(s.x.states, func(e *entityState) bool { return e.ID == id })
	if i >= 0 {
		return s.x.states[i].Entity, s.x.states[i].state, nil
	}
	if !isWord(id) {
		return change.Entity{}, nil, change.ErrEntityNotFound // no entity has such an id
	}
	d, err := s.e.store.Get(ctx, store.Key{Kind: kindEntity, ID: id})
	if errors.Is(err, store.ErrNotFound) {
		return change.Entity{}, nil, change.ErrEntityNotFound
	}
	if err != nil {
		return change.Entity{}, nil, fmt.Errorf("reading entity %s: %w", id, err)
	}
	was, err := decodeEntity(d)
	if err != nil {
		return change.Entity{}, nil, err
	}
	et := s.e.types[was.Type]
	if was.Owner != seller.Account || et == nil {
		return change.Entity{}, nil, change.ErrEntityNotFound
	}
	state, err := was.decode(et)
	if err != nil {
		return change.Entity{}, nil, err
	}
	if s.next.Read == nil {
		s.next.Read = map[string]int64{}
	}
	s.next.Read[id] = was.Revision
	return was.Entity, state, nil
}

// mostNamed is how many entities Named returns.
const mostNamed = 1000

// Named implements change.Entities.
func (s entities) Named(ctx context.Context, seller change.Seller, entityType, field, value string) ([]string, error) {
	var ids []string
	for _, e := range s.x.states {
		if e.kind.Name == entityType && e.Owner == seller.Account && slices.Contains(e.kind.List(e.state).Fields[field], value) {
			ids = append(ids, e.ID)
		}
	}
	page, err := s.e.store.List(ctx, store.Query{
		Kind: kindEntity, Index: indexField, Partition: fieldPartition(seller.Account+"/"+entityType, field, value), Limit: mostNamed,
	})
	if err != nil {
		return nil, fmt.Errorf("listing entities of type %s by %s: %w", entityType, field, err)
	}
	for _, d := range page.Documents {
		// The set's own changes may have made another of it.
		if !slices.ContainsFunc(s.x.states, func(e *entityState) bool { return e.ID == d.ID }) {
			ids = append(ids, d.ID)
		}
	}
	return ids, nil
}

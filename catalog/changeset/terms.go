package changeset

import (
	"context"
	"errors"
	"fmt"

	"souk/storage/store"
)

// What entities are found by came later than entities. So that a database of
// before is searched as well, a document says that all entities have their
// terms; the first node that misses it finds them.
var termsKey = store.Key{Kind: "terms", ID: kindEntity}

// termsForm is the body of that document: entities have the terms that
// entityTerms gives. With other terms it would have to be another.
const termsForm = "1"

// searchable says whether all entities have their terms.
func (e *Engine) searchable(ctx context.Context) bool {
	if e.haveTerms.Load() {
		return true
	}
	d, err := e.store.Get(ctx, termsKey)
	have := err == nil && string(d.Body) == termsForm
	if have {
		e.haveTerms.Store(true)
	}
	return have
}

// together is how many entities are given their terms at once.
const together = 500

// findTerms gives all entities their terms, unless they have them. Until then,
// lists look at entities one after the other.
func (e *Engine) findTerms(ctx context.Context) error {
	walker, walks := e.store.(store.Walker)
	indexer, indexes := e.store.(store.Indexer)
	if !walks || !indexes || e.searchable(ctx) {
		return nil
	}
	var some []store.Terms
	n := 0
	set := func() error {
		n += len(some)
		err := indexer.SetTerms(ctx, some)
		some = some[:0]
		return err
	}
	err := walker.Walk(ctx, kindEntity, func(d store.Document) error {
		terms, err := e.termsOf(d)
		if err != nil {
			e.cfg.Log.Warn("an entity will not be found by its terms", "entity", d.ID, "error", err)
			return nil
		}
		some = append(some, store.Terms{Key: d.Key, Revision: d.Revision, Terms: terms})
		if len(some) < together {
			return nil
		}
		return set()
	})
	if err == nil {
		err = set()
	}
	if err == nil {
		err = e.store.Commit(ctx, store.Batch{Put: []store.Write{Searchable()}})
	}
	if err != nil {
		return fmt.Errorf("finding the terms of entities: %w", err)
	}
	if n > 0 {
		e.cfg.Log.Info("entities have the terms by which they are found", "entities", n)
	}
	return nil
}

// Searchable is the document that says that all entities have their terms. Who
// fills a store by hand, with terms, writes it.
func Searchable() store.Write {
	return store.Write{Document: store.Document{Key: termsKey, Body: []byte(termsForm)}, Was: store.Any}
}

// termsOf are the terms that a stored entity should have.
func (e *Engine) termsOf(d store.Document) ([]string, error) {
	s, err := decodeEntity(d)
	if err != nil {
		return nil, err
	}
	et := e.types[s.Type]
	if et == nil {
		return nil, fmt.Errorf("%w: its type %s is not known", errBroken, s.Type)
	}
	state, err := s.decode(et)
	if err != nil {
		return nil, err
	}
	return entityTerms(et, s.Owner, et.List(state)), nil
}

// tryTerms is findTerms for Run.
func (e *Engine) tryTerms(ctx context.Context) {
	if err := e.findTerms(ctx); err != nil && !errors.Is(err, context.Canceled) {
		e.cfg.Log.Error("searches look at entities one after the other until the next start", "error", err)
	}
}

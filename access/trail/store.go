package trail

import (
	"context"

	"souk/storage/store"
)

// Store returns a store that takes the record of a call along with the first
// commit of the call's work (Entry.Context). Everything else it hands on, also
// what the engine offers beside store.Store.
func Store(s store.Store) store.Store {
	r := recording{s}
	walker, walks := s.(store.Walker)
	indexer, indexes := s.(store.Indexer)
	if walks && indexes {
		return engine{r, walker, indexer}
	}
	return r
}

type recording struct{ store.Store }

// engine is a recording store with all that an engine offers.
type engine struct {
	recording
	store.Walker
	store.Indexer
}

// Commit implements store.Store.
func (r recording) Commit(ctx context.Context, b store.Batch) error {
	e, _ := ctx.Value(entryKey{}).(*Entry)
	if e == nil || len(b.Put)+len(b.Delete) == 0 {
		return r.Store.Commit(ctx, b)
	}
	w, ok := e.take()
	if !ok {
		return r.Store.Commit(ctx, b)
	}
	put := make([]store.Write, 0, len(b.Put)+1)
	b.Put = append(append(put, b.Put...), w)
	err := r.Store.Commit(ctx, b)
	e.took(err)
	return err
}

package trail

import (
	"context"

	"souk/storage/store"
)

// Store returns a store that takes the record of a call along with the first
// commit of the call's work (Entry.Context). Everything else it hands on.
func Store(s store.Store) store.Store {
	r := recording{s}
	if w, ok := s.(store.Walker); ok {
		return walking{r, w}
	}
	return r
}

type recording struct{ store.Store }

// walking is a recording store whose engine can be walked.
type walking struct {
	recording
	store.Walker
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

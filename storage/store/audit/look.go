package audit

import (
	"context"
	"errors"

	"souk/storage/store"
)

// Look says what is wrong with a document, "" if nothing is. An error means that
// this can't be told.
type Look func(ctx context.Context, d store.Document) (wrong string, err error)

// Documents looks at every document of some kinds, in any order. It may run while
// they change: one with which something is wrong is read and looked at again, and
// what is wrong with it then counts. One that is gone by then has nothing wrong.
func Documents(ctx context.Context, s store.Store, kinds map[string]Look) ([]Wrong, error) {
	walker, err := Walker(s)
	if err != nil {
		return nil, err
	}
	var all []Wrong
	for kind, look := range kinds {
		err := walker.Walk(ctx, kind, func(d store.Document) error {
			wrong, err := look(ctx, d)
			if err == nil && wrong != "" {
				d, err = s.Get(ctx, d.Key)
				if errors.Is(err, store.ErrNotFound) {
					return nil
				}
				if err == nil {
					wrong, err = look(ctx, d)
				}
			}
			if err == nil && wrong != "" {
				all = append(all, Wrong{Key: d.Key, What: wrong})
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Walker is a store as those need it who look at all of it.
func Walker(s store.Store) (store.Walker, error) {
	w, ok := s.(store.Walker)
	if !ok {
		return nil, errors.New("the store can't be walked")
	}
	return w, nil
}

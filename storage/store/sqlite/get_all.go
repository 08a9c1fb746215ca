package sqlite

import (
	"context"
	"errors"

	"souk/storage/store"
)

// GetAll implements store.Store. A document costs as much alone: there is no
// way to the database that could be shared.
func (s *Store) GetAll(ctx context.Context, keys []store.Key) ([]store.Document, error) {
	all := make([]store.Document, 0, len(keys))
	for _, key := range keys {
		d, err := s.Get(ctx, key)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

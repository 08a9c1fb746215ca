package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"souk/storage/store"
	"souk/storage/store/internal/layout"
)

// GetAll implements store.Store, with one statement.
func (s *Store) GetAll(ctx context.Context, keys []store.Key) ([]store.Document, error) {
	ids := make(uuids, len(keys))
	for i, key := range keys {
		if err := layout.CheckKey(key); err != nil {
			return nil, err
		}
		ids[i] = documentKey(key)
	}
	rows, err := s.pool.Query(ctx, `SELECT kind, id, revision, due, owner, summary, body FROM document WHERE key = ANY ($1::uuid[])`, ids)
	if err != nil {
		return nil, fmt.Errorf("get %d documents: %w", len(keys), err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (d store.Document, err error) {
		var due pgtype.Int8
		err = row.Scan(&d.Kind, &d.ID, &d.Revision, &due, &d.Owner, &d.Summary, &d.Body)
		d.Due = timeOf(due)
		return d, err
	})
	if err != nil {
		return nil, fmt.Errorf("get %d documents: %w", len(keys), err)
	}
	return all, nil
}

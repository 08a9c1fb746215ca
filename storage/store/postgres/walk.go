package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgtype"

	"souk/storage/store"
)

var _ store.Walker = (*Store)(nil)

// Walk calls look with every document of a kind, in one statement. It holds a
// connection until it returns.
func (s *Store) Walk(ctx context.Context, kind string, look func(store.Document) error) error {
	rows, err := s.pool.Query(ctx, `SELECT id, revision, due, owner, summary, body FROM document WHERE kind = $1`, kind)
	if err != nil {
		return fmt.Errorf("walk %s: %w", kind, err)
	}
	defer rows.Close()
	for rows.Next() {
		doc := store.Document{Key: store.Key{Kind: kind}}
		var due pgtype.Int8
		if err := rows.Scan(&doc.ID, &doc.Revision, &due, &doc.Owner, &doc.Summary, &doc.Body); err != nil {
			return fmt.Errorf("walk %s: %w", kind, err)
		}
		doc.Due = timeOf(due)
		if err := look(doc); err != nil {
			return fmt.Errorf("walk %s: %w", kind, err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("walk %s: %w", kind, err)
	}
	return nil
}

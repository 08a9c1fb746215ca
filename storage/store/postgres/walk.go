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

// WalkIndex calls look with every entry of every index, in one statement. It
// holds a connection until it returns.
func (s *Store) WalkIndex(ctx context.Context, look func(*store.Listing) error) error {
	rows, err := s.pool.Query(ctx, `SELECT e.key, e.cover, coalesce(d.kind, ''), coalesce(d.revision, 0), d.summary
		FROM entry e LEFT JOIN document d ON d.key = e.document`)
	if err != nil {
		return fmt.Errorf("walk the indexes: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var l store.Listing
		err := rows.Scan((*pgtype.DriverBytes)(&l.Place), (*pgtype.DriverBytes)(&l.Cover), &l.Kind, &l.Revision, (*pgtype.DriverBytes)(&l.Summary))
		if err == nil {
			err = look(&l)
		}
		if err != nil {
			return fmt.Errorf("walk the indexes: %w", err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("walk the indexes: %w", err)
	}
	return nil
}

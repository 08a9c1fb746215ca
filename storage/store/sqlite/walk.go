package sqlite

import (
	"context"
	"fmt"

	"souk/storage/store"
)

var _ store.Walker = (*Store)(nil)

const sqlWalk = `SELECT d.id, d.revision, d.due, d.owner, d.summary, c.body
	FROM document d LEFT JOIN content c ON c.number = d.number WHERE d.kind = ?1`

// Walk calls look with every document of a kind. It reads over a connection of
// its own: look may use the store, and a walk may last.
func (s *Store) Walk(ctx context.Context, kind string, look func(store.Document) error) error {
	if err := s.walk(ctx, kind, look); err != nil {
		return fmt.Errorf("walk %s: %w", kind, err)
	}
	return nil
}

func (s *Store) walk(ctx context.Context, kind string, look func(store.Document) error) error {
	return s.eachRow(ctx, sqlWalk, kind, func(q *stmt) error {
		return look(store.Document{
			Key:      store.Key{Kind: kind, ID: q.columnText(0)},
			Revision: q.columnInt(1),
			Due:      q.columnTime(2),
			Owner:    q.columnText(3),
			Summary:  q.columnBytes(4),
			Body:     q.columnBytes(5),
		})
	})
}

// An entry that holds nothing to show shows its document.
const sqlWalkIndex = `SELECT e.key, e.cover, d.kind, coalesce(e.revision, d.revision),
	CASE WHEN e.revision IS NULL THEN d.summary ELSE e.summary END
	FROM entry e LEFT JOIN document d ON d.number = e.document`

// WalkIndex calls look with every entry of every index, over a connection of its own.
func (s *Store) WalkIndex(ctx context.Context, look func(*store.Listing) error) error {
	err := s.eachRow(ctx, sqlWalkIndex, "", func(q *stmt) error {
		return look(&store.Listing{
			Place: q.view(0), Cover: q.view(1), Kind: q.columnText(2), Revision: q.columnInt(3), Summary: q.view(4),
		})
	})
	if err != nil {
		return fmt.Errorf("walk the indexes: %w", err)
	}
	return nil
}

// eachRow calls look with each row of a query. kind is its parameter, if it has one.
func (s *Store) eachRow(ctx context.Context, sql, kind string, look func(*stmt) error) error {
	s.closing.RLock()
	closed := s.closed
	s.closing.RUnlock()
	if closed {
		return errClosed
	}
	r, err := openReader(s.path)
	if err != nil {
		return err
	}
	defer r.close()
	q, err := r.c.prepare(sql)
	if err != nil {
		return err
	}
	defer q.finalize()
	if kind != "" {
		q.bindText(1, kind)
	}
	for ctx.Err() == nil {
		row, err := q.step()
		if err != nil || !row {
			return err
		}
		if err := look(q); err != nil {
			return err
		}
	}
	return ctx.Err()
}

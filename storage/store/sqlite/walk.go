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
	q, err := r.c.prepare(sqlWalk)
	if err != nil {
		return err
	}
	defer q.finalize()
	q.bindText(1, kind)
	for ctx.Err() == nil {
		row, err := q.step()
		if err != nil || !row {
			return err
		}
		err = look(store.Document{
			Key:      store.Key{Kind: kind, ID: q.columnText(0)},
			Revision: q.columnInt(1),
			Due:      q.columnTime(2),
			Owner:    q.columnText(3),
			Summary:  q.columnBytes(4),
			Body:     q.columnBytes(5),
		})
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

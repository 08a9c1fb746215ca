package sqlite

import (
	"context"
	"fmt"

	"souk/storage/store"
)

var _ store.Walker = (*Store)(nil)

const sqlWalk = `SELECT id, revision, due, owner, summary, body FROM document
	WHERE kind = ?1 AND id > ?2 ORDER BY id LIMIT ?3`

// Walk returns the next documents of a kind by their ids.
func (s *Store) Walk(ctx context.Context, kind, after string, n int) ([]store.Document, error) {
	var docs []store.Document
	err := s.read(ctx, func(r *reader) error {
		q, err := r.c.prepare(sqlWalk) // too rare to be kept
		if err != nil {
			return err
		}
		defer q.finalize()
		q.bindText(1, kind)
		q.bindText(2, after)
		q.bindInt(3, int64(n))
		for {
			row, err := q.step()
			if err != nil || !row {
				return err
			}
			docs = append(docs, store.Document{
				Key:      store.Key{Kind: kind, ID: q.columnText(0)},
				Revision: q.columnInt(1),
				Due:      q.columnTime(2),
				Owner:    q.columnText(3),
				Summary:  q.columnBytes(4),
				Body:     q.columnBytes(5),
			})
		}
	})
	if err != nil {
		return nil, fmt.Errorf("walk %s: %w", kind, err)
	}
	return docs, nil
}

package postgres

import (
	"bytes"
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"souk/storage/store"
	"souk/storage/store/internal/layout"
)

const (
	// Of an entry that shows its document, document is not looked at: no key is NULL.
	sqlShown = `coalesce(e.revision, d.revision), CASE WHEN e.revision IS NULL THEN d.summary ELSE coalesce(e.summary, e.cover) END`
	sqlJoin  = `LEFT JOIN document d ON d.key = CASE WHEN e.revision IS NULL THEN e.document END`
	sqlPage  = `SELECT e.key, ` + sqlShown + ` FROM entry e ` + sqlJoin + ` WHERE e.key >= $1 AND e.key < $2 ORDER BY e.key`
	sqlScan  = `SELECT key, cover FROM entry WHERE key >= $1 AND key < $2 ORDER BY key`
	// What was scanned is read again with its documents, in one statement: an
	// entry that has gone since then gives no row, one that has changed gives its new cover.
	sqlMatched = `SELECT n.place, e.cover, ` + sqlShown + `
		FROM unnest($1::bytea[]) WITH ORDINALITY n(key, place) JOIN entry e ON e.key = n.key ` + sqlJoin + ` ORDER BY n.place`
)

// List implements store.Store.
func (s *Store) List(ctx context.Context, q store.Query) (store.Page, error) {
	if err := layout.CheckQuery(q); err != nil {
		return store.Page{}, err
	}
	list := s.list
	if q.Match != nil {
		list = s.listMatching
	}
	page, err := list(ctx, q)
	if err != nil {
		return store.Page{}, fmt.Errorf("list %s by %s: %w", q.Kind, q.Index, err)
	}
	return page, nil
}

// inOrder adds the direction and the limit $3 to a walk.
func inOrder(sql string, q store.Query) string {
	if q.Backward {
		return sql + ` DESC LIMIT $3`
	}
	return sql + ` LIMIT $3`
}

func (s *Store) list(ctx context.Context, q store.Query) (store.Page, error) {
	walk := layout.RangeOf(q)
	// One more than the page, to know whether there is more.
	rows, err := s.pool.Query(ctx, inOrder(sqlPage, q), walk.From, walk.To, int64(q.Limit)+1)
	if err != nil {
		return store.Page{}, err
	}
	defer rows.Close()
	page := store.Page{Documents: make([]store.Document, 0, min(q.Limit, 1000))}
	for rows.Next() {
		if len(page.Documents) == q.Limit {
			page.More = true
			break
		}
		var key []byte
		doc := store.Document{Key: store.Key{Kind: q.Kind}}
		if err := rows.Scan((*pgtype.DriverBytes)(&key), &doc.Revision, &doc.Summary); err != nil {
			return store.Page{}, err
		}
		sort, id, err := layout.SplitKey(key)
		if err != nil {
			return store.Page{}, err
		}
		doc.ID = id
		page.Documents = append(page.Documents, doc)
		page.Next = store.Position{Sort: sort, ID: id}
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return store.Page{}, err
	}
	if !page.More {
		page.Next = store.Position{}
	}
	return page, nil
}

// scanned is an entry that matched.
type scanned struct {
	key, cover []byte
	at         store.Position
}

// scanSizes are how many entries are asked for at a time: few at first, since
// most filters find a page soon.
var scanSizes = [...]int{250, 750, 1000}

// listMatching walks entries in steps until it has a page of matches and one
// more, and then reads the documents of those.
func (s *Store) listMatching(ctx context.Context, q store.Query) (store.Page, error) {
	scan := q.Scan
	if scan == 0 {
		scan = layout.DefaultScan
	}
	for {
		w := walk{q: q, scan: scan}
		if err := w.run(ctx, s); err != nil {
			return store.Page{}, err
		}
		page, whole, err := s.readMatched(ctx, q, w.found)
		if err != nil {
			return store.Page{}, err
		}
		page.More, page.Next = w.more, w.next
		if whole || len(page.Documents) > 0 || !page.More {
			return page, nil
		}
		// All that was found has changed meanwhile. The walk goes on behind it,
		// as the caller would.
		q.After = page.Next
	}
}

// walk is a scan of entries, in the steps of scanSizes.
type walk struct {
	q      store.Query
	scan   int // entries that may still be looked at
	looked store.Position
	found  []scanned
	more   bool
	next   store.Position
}

func (w *walk) run(ctx context.Context, s *Store) error {
	for step := 0; ; step++ {
		size := min(w.scan, scanSizes[min(step, len(scanSizes)-1)])
		ended, err := w.step(ctx, s, size)
		if err != nil {
			return err
		}
		if ended {
			return nil
		}
		w.q.After = w.looked
	}
}

// step looks at up to size entries, and says whether the walk has ended.
func (w *walk) step(ctx context.Context, s *Store, size int) (ended bool, err error) {
	r := layout.RangeOf(w.q)
	rows, err := s.pool.Query(ctx, inOrder(sqlScan, w.q), r.From, r.To, int64(size)+1)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	n := 0
	for ; rows.Next(); n++ {
		if n == size {
			if w.scan -= size; w.scan > 0 {
				return false, nil
			}
			w.more, w.next = true, w.looked
			if len(w.found) == w.q.Limit {
				w.next = w.found[w.q.Limit-1].at
			}
			return true, nil
		}
		var key, cover []byte
		if err := rows.Scan((*pgtype.DriverBytes)(&key), (*pgtype.DriverBytes)(&cover)); err != nil {
			return false, err
		}
		sort, id, err := layout.SplitKey(key)
		if err != nil {
			return false, err
		}
		w.looked = store.Position{Sort: sort, ID: id}
		if !w.q.Match(sort, id, cover) {
			continue
		}
		if len(w.found) == w.q.Limit {
			w.more, w.next = true, w.found[w.q.Limit-1].at
			return true, nil
		}
		w.found = append(w.found, scanned{key: bytes.Clone(key), cover: bytes.Clone(cover), at: w.looked})
	}
	return true, rows.Err()
}

// readMatched reads the documents of entries, and says whether all are still
// as they were when they matched.
func (s *Store) readMatched(ctx context.Context, q store.Query, found []scanned) (store.Page, bool, error) {
	page := store.Page{}
	if len(found) == 0 {
		return page, true, nil
	}
	keys := make(blobs, len(found))
	for i := range found {
		keys[i] = found[i].key
	}
	rows, err := s.pool.Query(ctx, sqlMatched, keys)
	if err != nil {
		return page, false, err
	}
	page.Documents = make([]store.Document, 0, len(found))
	var place int
	var cover []byte
	var doc store.Document
	_, err = pgx.ForEachRow(rows, []any{&place, &cover, &doc.Revision, &doc.Summary}, func() error {
		if f := &found[place-1]; bytes.Equal(cover, f.cover) {
			doc.Key = store.Key{Kind: q.Kind, ID: f.at.ID}
			page.Documents = append(page.Documents, doc)
		}
		doc.Summary = nil
		return nil
	})
	return page, len(page.Documents) == len(found), err
}

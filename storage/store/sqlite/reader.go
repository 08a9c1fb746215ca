package sqlite

import (
	"context"
	"time"

	"souk/storage/store"
	"souk/storage/store/internal/layout"
)

// reader is a connection that reads, with its statements.
type reader struct {
	c *conn
	// document, page[backward], scan[backward], head and due are prepared.
	document *stmt
	page     [2]*stmt
	scan     [2]*stmt
	head     *stmt
	due      *stmt
}

const (
	// CROSS JOIN keeps SQLite from choosing another order.
	sqlDocument = `SELECT d.revision, d.due, d.owner, d.summary, c.body
		FROM document d CROSS JOIN content c ON c.number = d.number WHERE d.kind = ?1 AND d.id = ?2`
	sqlPage = `SELECT e.key, d.revision, d.summary FROM entry e CROSS JOIN document d ON d.number = e.document
		WHERE e.key >= ?1 AND e.key < ?2 ORDER BY e.key`
	sqlScan = `SELECT key, document, cover FROM entry WHERE key >= ?1 AND key < ?2 ORDER BY key`
	sqlHead = `SELECT revision, summary FROM document WHERE number = ?1`
	sqlDue  = `SELECT 1 FROM document WHERE kind = ?1 AND due <= ?2 LIMIT 1`
)

func openReader(path string) (*reader, error) {
	c, err := openConn(path)
	if err != nil {
		return nil, err
	}
	r := &reader{c: c}
	err = c.exec(`PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY;
		PRAGMA cache_size = ` + readerPages)
	for _, p := range []struct {
		stmt **stmt
		sql  string
	}{
		{&r.document, sqlDocument},
		{&r.page[0], sqlPage + ` LIMIT ?3`},
		{&r.page[1], sqlPage + ` DESC LIMIT ?3`},
		{&r.scan[0], sqlScan + ` LIMIT ?3`},
		{&r.scan[1], sqlScan + ` DESC LIMIT ?3`},
		{&r.head, sqlHead},
		{&r.due, sqlDue},
	} {
		if err == nil {
			*p.stmt, err = c.prepare(p.sql)
		}
	}
	if err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *reader) close() {
	for _, s := range []*stmt{r.document, r.page[0], r.page[1], r.scan[0], r.scan[1], r.head, r.due} {
		s.finalize()
	}
	r.c.close()
}

// read calls f with a connection that reads.
func (s *Store) read(ctx context.Context, f func(*reader) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var r *reader
	select {
	case got, open := <-s.readers:
		if !open {
			return errClosed
		}
		r = got
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { s.readers <- r }()
	if r == nil {
		var err error
		if r, err = openReader(s.path); err != nil {
			return err
		}
	}
	return f(r)
}

func (r *reader) get(key store.Key) (store.Document, error) {
	q := r.document
	defer q.reset()
	q.bindText(1, key.Kind)
	q.bindText(2, key.ID)
	row, err := q.step()
	if err != nil {
		return store.Document{}, err
	}
	if !row {
		return store.Document{}, store.ErrNotFound
	}
	return store.Document{
		Key:      key,
		Revision: q.columnInt(0),
		Due:      q.columnTime(1),
		Owner:    q.columnText(2),
		Summary:  q.columnBytes(3),
		Body:     q.columnBytes(4),
	}, nil
}

// columnTime returns a column of milliseconds since 1970; NULL is the zero time.
func (s *stmt) columnTime(i int) time.Time {
	if s.columnNull(i) {
		return time.Time{}
	}
	return time.UnixMilli(s.columnInt(i)).UTC()
}

func (r *reader) anyDue(kind string, now int64) (bool, error) {
	q := r.due
	defer q.reset()
	q.bindText(1, kind)
	q.bindInt(2, now)
	return q.step()
}

// direction is the place of a query's statement in page and scan.
func direction(q store.Query) int {
	if q.Backward {
		return 1
	}
	return 0
}

func (r *reader) list(q store.Query) (store.Page, error) {
	if q.Match != nil {
		return r.listMatching(q)
	}
	walk := layout.RangeOf(q)
	rows := r.page[direction(q)]
	defer rows.reset()
	rows.bindBlob(1, walk.From)
	rows.bindBlob(2, walk.To)
	rows.bindInt(3, int64(q.Limit)+1) // one more, to know whether there is more
	page := store.Page{Documents: make([]store.Document, 0, min(q.Limit, 1000))}
	for {
		row, err := rows.step()
		if err != nil {
			return store.Page{}, err
		}
		if !row {
			page.Next = store.Position{}
			return page, nil
		}
		if len(page.Documents) == q.Limit {
			page.More = true
			return page, nil
		}
		sort, id, err := layout.SplitKey(rows.view(0))
		if err != nil {
			return store.Page{}, err
		}
		page.Next = store.Position{Sort: sort, ID: id}
		page.Documents = append(page.Documents, store.Document{
			Key:      store.Key{Kind: q.Kind, ID: id},
			Revision: rows.columnInt(1),
			Summary:  rows.columnBytes(2),
		})
	}
}

// listMatching walks entries and looks at the documents of those that match
// only. The walk is open while it does so, which holds the state of the
// database that both see.
func (r *reader) listMatching(q store.Query) (store.Page, error) {
	scan := q.Scan
	if scan == 0 {
		scan = layout.DefaultScan
	}
	walk := layout.RangeOf(q)
	rows := r.scan[direction(q)]
	defer rows.reset()
	rows.bindBlob(1, walk.From)
	rows.bindBlob(2, walk.To)
	rows.bindInt(3, int64(scan)+1)
	var page store.Page
	var looked store.Position // behind the last entry that was looked at
	for n := 0; ; n++ {
		row, err := rows.step()
		if err != nil {
			return store.Page{}, err
		}
		if !row {
			page.Next = store.Position{}
			return page, nil
		}
		if n == scan {
			page.More = true
			if len(page.Documents) < q.Limit {
				page.Next = looked
			}
			return page, nil
		}
		sort, id, err := layout.SplitKey(rows.view(0))
		if err != nil {
			return store.Page{}, err
		}
		looked = store.Position{Sort: sort, ID: id}
		if !q.Match(sort, id, rows.view(2)) {
			continue
		}
		if len(page.Documents) == q.Limit {
			page.More = true
			return page, nil
		}
		doc := store.Document{Key: store.Key{Kind: q.Kind, ID: id}}
		if err := r.readHead(rows.columnInt(1), &doc); err != nil {
			return store.Page{}, err
		}
		page.Documents = append(page.Documents, doc)
		page.Next = looked
	}
}

// readHead reads what a list shows of a document.
func (r *reader) readHead(number int64, doc *store.Document) error {
	defer r.head.reset()
	r.head.bindInt(1, number)
	row, err := r.head.step()
	if err != nil || !row {
		return err
	}
	doc.Revision = r.head.columnInt(0)
	doc.Summary = r.head.columnBytes(1)
	return nil
}

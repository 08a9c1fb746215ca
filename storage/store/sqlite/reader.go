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
	// document, page[backward], head and due are prepared.
	document *stmt
	page     [2]*stmt
	head     *stmt
	due      *stmt
	found    *stmt
}

const (
	// CROSS JOIN keeps SQLite from choosing another order.
	sqlDocument = `SELECT d.revision, d.due, d.owner, d.summary, c.body
		FROM document d CROSS JOIN content c ON c.number = d.number WHERE d.kind = ?1 AND d.id = ?2`
	sqlPage = `SELECT key, document, cover, revision, summary FROM entry WHERE key >= ?1 AND key < ?2 ORDER BY key`
	sqlHead = `SELECT revision, summary, id FROM document WHERE number = ?1`
	sqlFind = `SELECT rowid FROM term WHERE term MATCH ?1 LIMIT ?2`
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
		{&r.head, sqlHead},
		{&r.due, sqlDue},
		{&r.found, sqlFind},
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
	for _, s := range []*stmt{r.document, r.page[0], r.page[1], r.head, r.due, r.found} {
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

// list walks entries until it has a page of matches and one more, which tells
// that there is more. Documents whose entries do not show them are looked up
// while the walk is open, which holds the state of the database that both see.
func (r *reader) list(q store.Query) (store.Page, error) {
	scan := q.Limit // entries that may be looked at
	if q.Match != nil {
		if scan = q.Scan; scan == 0 {
			scan = layout.DefaultScan
		}
	}
	rows := r.page[0]
	if q.Backward {
		rows = r.page[1]
	}
	defer rows.reset()
	walk := layout.RangeOf(q)
	rows.bindBlob(1, walk.From)
	rows.bindBlob(2, walk.To)
	rows.bindInt(3, int64(scan)+1)
	page := store.Page{Documents: make([]store.Document, 0, min(q.Limit, 1000))}
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
		if q.Match != nil && !q.Match(sort, id, rows.view(2)) {
			continue
		}
		if len(page.Documents) == q.Limit {
			page.More = true
			return page, nil
		}
		doc := store.Document{Key: store.Key{Kind: q.Kind, ID: id}}
		if !rows.columnNull(3) {
			doc.Revision = rows.columnInt(3)
			doc.Summary = rows.columnBytes(4)
		} else if err := r.readHead(rows.columnInt(1), &doc); err != nil {
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
	if doc.ID == "" {
		doc.ID = r.head.columnText(2)
	}
	return nil
}

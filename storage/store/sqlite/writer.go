package sqlite

import (
	"errors"
	"fmt"
	"sync/atomic"

	"souk/storage/store"
	"souk/storage/store/internal/layout"
)

// maxGroup is the number of requests that share a transaction.
const maxGroup = 256

// request is a commit or a claim that waits for the writer.
type request struct {
	batch *store.Batch
	rows  [][]layout.Row // of batch.Put
	terms []terms        // of batch.Put
	claim *claim
	set   []store.Terms
	err   error         // the answer
	done  chan struct{} // closed when the answer is there
	state atomic.Int32  // waiting, taken or left
}

const (
	waiting int32 = iota
	taken         // the writer works on it
	left          // its caller has gone; it is never looked at
)

func newRequest() *request { return &request{done: make(chan struct{})} }

// leave says that nobody waits any more. It is false if the writer has taken
// the request.
func (r *request) leave() bool { return r.state.CompareAndSwap(waiting, left) }

// take says that the writer works on the request. It is false if the caller has left.
func (r *request) take() bool { return r.state.CompareAndSwap(waiting, taken) }

// claim is a request for work.
type claim struct {
	kind  string
	n     int
	owner string
	lease int64 // milliseconds
	docs  []store.Document
}

// writer does all writes, in one goroutine that owns everything in it.
type writer struct {
	s *Store
	c *conn
	statements
	heads heads
	tally tally
	plan  plan

	// effects are what the open transaction has done, for the document cache.
	effects []effect
	// next is the number of the next new document.
	next int64
}

// effect is a document that has been written, or removed if doc has no revision.
type effect struct {
	doc store.Document
}

// statements are the writer's.
type statements struct {
	begin, commit, rollback *stmt
	look                    *stmt
	insert, update, remove  *stmt // rows of document
	fill, refill, empty     *stmt // rows of content
	putEntry, dropEntry     *stmt
	putTerms, dropTerms     *stmt // rows of term
	replace                 *stmt // the places of a row of content
	count                   *stmt
	due, mark               *stmt
}

func newWriter(s *Store, c *conn) (*writer, error) {
	w := &writer{s: s, c: c, tally: tally{}}
	w.heads.clear()
	var err error
	for _, p := range []struct {
		stmt **stmt
		sql  string
	}{
		{&w.begin, `BEGIN IMMEDIATE`},
		{&w.commit, `COMMIT`},
		{&w.rollback, `ROLLBACK`},
		{&w.look, `SELECT d.number, d.revision, c.places
			FROM document d CROSS JOIN content c ON c.number = d.number WHERE d.kind = ?1 AND d.id = ?2`},
		{&w.insert, `INSERT INTO document (number, revision, due, owner, summary, kind, id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)`},
		{&w.update, `UPDATE document SET revision = ?2, due = ?3, owner = ?4, summary = ?5 WHERE number = ?1`},
		{&w.remove, `DELETE FROM document WHERE number = ?1`},
		{&w.fill, `INSERT INTO content (number, places, body) VALUES (?1, ?2, ?3)`},
		{&w.refill, `UPDATE content SET places = ?2, body = ?3 WHERE number = ?1`},
		{&w.empty, `DELETE FROM content WHERE number = ?1`},
		{&w.putEntry, `REPLACE INTO entry (key, document, cover, revision, summary) VALUES (?1, ?2, ?3, ?4, ?5)`},
		{&w.dropEntry, `DELETE FROM entry WHERE key = ?1`},
		{&w.putTerms, `INSERT INTO term (rowid, terms) VALUES (?1, ?2)`},
		{&w.dropTerms, `DELETE FROM term WHERE rowid = ?1`},
		{&w.replace, `UPDATE content SET places = ?2 WHERE number = ?1`},
		{&w.count, `SELECT count(*) FROM (SELECT 1 FROM entry WHERE key >= ?1 AND key < ?2 LIMIT ?3)`},
		{&w.due, `SELECT d.number, d.id, d.revision, d.summary, c.body
			FROM document d CROSS JOIN content c ON c.number = d.number
			WHERE d.kind = ?1 AND d.due <= ?2 ORDER BY d.due, d.number LIMIT ?3`},
		{&w.mark, `UPDATE document SET revision = ?2, due = ?3, owner = ?4 WHERE number = ?1`},
	} {
		if err == nil {
			*p.stmt, err = c.prepare(p.sql)
		}
	}
	if err == nil {
		w.next, err = c.queryInt(`SELECT coalesce(max(number), 0) + 1 FROM document`)
	}
	if err != nil {
		w.finalize()
		return nil, err
	}
	return w, nil
}

func (w *writer) finalize() {
	for _, s := range []*stmt{
		w.begin, w.commit, w.rollback, w.look, w.insert, w.update, w.remove,
		w.fill, w.refill, w.empty, w.putEntry, w.dropEntry, w.putTerms, w.dropTerms, w.replace, w.count, w.due, w.mark,
	} {
		s.finalize()
	}
}

// close ends the writer's connection; run must have ended.
func (w *writer) close() {
	w.finalize()
	w.c.close()
}

// run writes until the requests are closed.
func (w *writer) run(requests <-chan *request) {
	group := make([]*request, 0, maxGroup)
	for r := range requests {
		group = append(group[:0], r)
		for waiting := true; waiting && len(group) < maxGroup; {
			select {
			case r, open := <-requests:
				if waiting = open; open {
					group = append(group, r)
				}
			default:
				waiting = false
			}
		}
		w.write(group)
		clear(group)
	}
}

// write answers a group of requests, in one transaction if all goes well.
func (w *writer) write(group []*request) {
	n := 0
	for _, r := range group {
		if r.take() {
			group[n] = r
			n++
		}
	}
	group = group[:n]
	if err := w.transaction(group); err != nil {
		if len(group) == 1 {
			group[0].err = err
		} else {
			// One of them may be to blame. Alone, each suffers only for itself.
			for i := range group {
				if err := w.transaction(group[i : i+1]); err != nil {
					group[i].err = err
				}
			}
		}
	}
	for _, r := range group {
		close(r.done)
	}
}

// transaction does a group of requests and commits them. A conflict or a bound
// is the answer of a request and hurts no other; the error is for all, and
// then nothing has been done, or nobody knows.
func (w *writer) transaction(group []*request) error {
	w.effects = w.effects[:0]
	if len(group) == 0 {
		return nil
	}
	err := w.begin.run()
	for i := 0; err == nil && i < len(group); i++ {
		r := group[i]
		var failed error
		switch {
		case r.claim != nil:
			failed = w.doClaim(r.claim)
		case r.set != nil:
			failed = w.setTerms(r.set)
		default:
			failed = w.doBatch(r.batch, r.rows, r.terms)
		}
		if r.err = failed; !isAnswer(failed) {
			err = failed
		}
	}
	if err == nil {
		err = w.commit.run()
	}
	if err != nil {
		w.undo(group, err)
		return err
	}
	w.publish()
	return nil
}

// isAnswer says whether an error is the answer of one request, found before
// anything was written for it.
func isAnswer(err error) bool {
	return err == nil || errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrLimit)
}

// undo ends a transaction that failed, and forgets all that may not be so.
func (w *writer) undo(group []*request, cause error) {
	if w.c.inTransaction() {
		if err := w.rollback.run(); err != nil {
			w.s.log.Error("roll back", "error", err)
		}
	}
	w.s.log.Warn("write", "requests", len(group), "error", cause)
	w.heads.clear()
	clear(w.tally)
	if w.s.cache == nil {
		return
	}
	for i := range w.effects {
		w.s.cache.removed(w.effects[i].doc.Key)
	}
}

// publish shows the effects of a transaction to those who read from the cache.
// It comes before the answers, so that who has one sees its own writes.
func (w *writer) publish() {
	if w.s.cache == nil {
		return
	}
	for i := range w.effects {
		if doc := &w.effects[i].doc; doc.Revision == 0 {
			w.s.cache.removed(doc.Key)
		} else {
			w.s.cache.written(*doc)
		}
	}
	clear(w.effects)
}

// doClaim hands out work.
func (w *writer) doClaim(c *claim) error {
	now := w.s.now()
	numbers, err := w.readDue(c, now)
	if err != nil {
		return err
	}
	for i := range c.docs {
		doc := &c.docs[i]
		doc.Revision++
		doc.Owner = c.owner
		doc.Due = timeOf(now + c.lease)
		m := w.mark
		m.bindInt(1, numbers[i])
		m.bindInt(2, doc.Revision)
		m.bindInt(3, now+c.lease)
		m.bindText(4, doc.Owner)
		if err := m.run(); err != nil {
			return fmt.Errorf("claim %s %s: %w", doc.Kind, doc.ID, err)
		}
		if h, ok := w.heads.find(doc.Key); ok {
			h.revision = doc.Revision
			w.heads.keep(doc.Key, h)
		}
		w.effects = append(w.effects, effect{doc: *doc})
	}
	return nil
}

// readDue reads the documents that are due, and returns their numbers.
func (w *writer) readDue(c *claim, now int64) (numbers []int64, err error) {
	c.docs = nil
	q := w.due
	defer q.reset()
	q.bindText(1, c.kind)
	q.bindInt(2, now)
	q.bindInt(3, int64(c.n))
	for {
		row, err := q.step()
		if err != nil || !row {
			return numbers, err
		}
		numbers = append(numbers, q.columnInt(0))
		c.docs = append(c.docs, store.Document{
			Key:      store.Key{Kind: c.kind, ID: q.columnText(1)},
			Revision: q.columnInt(2),
			Summary:  q.columnBytes(3),
			Body:     q.columnBytes(4),
		})
	}
}

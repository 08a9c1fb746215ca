package postgres

import (
	"bytes"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"souk/storage/store"
	"souk/storage/store/internal/layout"
)

// plan is a batch as its statements need it: what is wanted of each document,
// in the order of their keys.
type plan struct {
	wants []want
	// contradicts is true if the batch expects two revisions of one document,
	// which can't be.
	contradicts bool
	// together is true if the batch is that of a group.
	together bool

	// entries are those of all documents that are put; from fresh on they are
	// those of new documents.
	entries entries
	fresh   int
	terms   terms
	bounds  bounds
}

// want is what a batch wants of one document.
type want struct {
	key      pgtype.UUID
	name     store.Key
	revision int64        // that must be stored; 0 is none, store.Any is any
	put      *store.Write // nil if it is not put
	remove   bool
	// first and last are the places of its entries in entries, as PostgreSQL
	// counts: from 1, both included.
	first, last int32
}

// entries are rows of the table entry.
type entries struct {
	keys      blobs
	documents uuids
	covers    blobs
	revisions nullables
	summaries blobs
}

// columns are the arguments of a statement that writes the entries from i to j.
func (e *entries) columns(i, j int) []any {
	return []any{e.keys[i:j], e.documents[i:j], e.covers[i:j], e.revisions[i:j], e.summaries[i:j]}
}

// bounds are the bounds of a batch, in the order of their prefixes.
type bounds struct {
	prefixes    uuids // each once
	first, last blobs
	most        ints
}

func newPlan(b *store.Batch) *plan {
	p := &plan{wants: make([]want, 0, len(b.Expect)+len(b.Put)+len(b.Delete))}
	for i := range b.Put {
		w := &b.Put[i]
		p.wants = append(p.wants, want{key: documentKey(w.Key), name: w.Key, revision: w.Was, put: w})
	}
	for i := range b.Delete {
		d := &b.Delete[i]
		p.wants = append(p.wants, want{key: documentKey(d.Key), name: d.Key, revision: d.Was, remove: true})
	}
	for i := range b.Expect {
		e := &b.Expect[i]
		p.wants = append(p.wants, want{key: documentKey(e.Key), name: e.Key, revision: e.Revision})
	}
	// Stable: what is written stands before what is expected of the same document.
	slices.SortStableFunc(p.wants, func(a, b want) int { return bytes.Compare(a.key.Bytes[:], b.key.Bytes[:]) })
	p.merge()
	p.addEntries()
	p.addTerms()
	p.addBounds(b.Bounds)
	return p
}

// merge makes one want of those for one document.
func (p *plan) merge() {
	merged := p.wants[:0]
	for _, w := range p.wants {
		if n := len(merged); n > 0 && merged[n-1].key == w.key {
			last := &merged[n-1]
			if last.revision == store.Any {
				last.revision = w.revision
			} else if last.revision != w.revision {
				p.contradicts = true
			}
			continue
		}
		merged = append(merged, w)
	}
	p.wants = merged
}

// addEntries collects the entries of documents that are there, and behind them
// those of new documents.
func (p *plan) addEntries() {
	n := 0
	for i := range p.wants {
		if put := p.wants[i].put; put != nil {
			n += len(put.Index)
		}
	}
	p.entries = entries{
		keys: make(blobs, 0, n), documents: make(uuids, 0, n), covers: make(blobs, 0, n),
		revisions: make(nullables, 0, n), summaries: make(blobs, 0, n),
	}
	for _, isNew := range []bool{false, true} {
		p.fresh = len(p.entries.keys)
		for i := range p.wants {
			if w := &p.wants[i]; w.put != nil && (w.revision == 0) == isNew {
				p.addEntriesOf(w)
			}
		}
	}
}

func (p *plan) addEntriesOf(w *want) {
	var revision pgtype.Int8
	var summary []byte
	// Of a write that takes any revision, the new one is not known here.
	if layout.Shows(&w.put.Document) && w.revision != store.Any {
		revision = pgtype.Int8{Int64: w.revision + 1, Valid: true}
		summary = w.put.Summary
	}
	w.first = int32(len(p.entries.keys)) + 1
	for _, row := range layout.Rows(w.name.Kind, w.put.Index) {
		key := append(make([]byte, 0, len(row.Place)+len(w.name.ID)), row.Place...)
		p.entries.keys = append(p.entries.keys, append(key, w.name.ID...))
		p.entries.documents = append(p.entries.documents, w.key)
		p.entries.covers = append(p.entries.covers, row.Cover)
		p.entries.revisions = append(p.entries.revisions, revision)
		p.entries.summaries = append(p.entries.summaries, beside(summary, row.Cover))
	}
	w.last = int32(len(p.entries.keys))
}

// beside returns a summary as it stands beside a cover: NULL where they are the
// same, so that the bytes are written once.
func beside(summary, cover []byte) []byte {
	switch {
	case bytes.Equal(summary, cover):
		return nil
	case summary == nil:
		return []byte{} // NULL would be the cover
	}
	return summary
}

// terms are rows of the table term; first and last are the places of a
// document's in all.
type terms struct {
	documents   uuids
	all         ints
	first, last small
}

func (t *terms) add(document pgtype.UUID, of []uint64) {
	t.documents = append(t.documents, document)
	t.first = append(t.first, int32(len(t.all))+1)
	for _, term := range of {
		t.all = append(t.all, int64(term))
	}
	t.last = append(t.last, int32(len(t.all)))
}

// columns are the arguments of a statement that writes them.
func (t *terms) columns() []any {
	all := t.all
	if all == nil {
		all = ints{} // an empty array, not NULL
	}
	return []any{t.documents, all, t.first, t.last}
}

func (p *plan) addTerms() {
	for i := range p.wants {
		if w := &p.wants[i]; w.put != nil && w.put.Terms != nil {
			p.terms.add(w.key, layout.TermsOf(w.name.Kind, w.put.Terms))
		}
	}
}

func (p *plan) addBounds(all []store.Bound) {
	for i := range all {
		prefix := layout.PrefixOf(all[i].Kind, all[i].Index, all[i].Partition)
		walk := layout.PartitionRange(prefix)
		p.bounds.prefixes = append(p.bounds.prefixes, pgtype.UUID{Bytes: prefix, Valid: true})
		p.bounds.first = append(p.bounds.first, walk.From)
		p.bounds.last = append(p.bounds.last, walk.To)
		p.bounds.most = append(p.bounds.most, int64(all[i].Most))
	}
	slices.SortFunc(p.bounds.prefixes, func(a, b pgtype.UUID) int { return bytes.Compare(a.Bytes[:], b.Bytes[:]) })
	p.bounds.prefixes = slices.Compact(p.bounds.prefixes)
}

// batch returns the statements of the plan.
func (p *plan) batch(b *store.Batch) *pgx.Batch {
	batch := &pgx.Batch{}
	p.queueInserts(batch)
	p.queueLocks(batch)
	p.queueUpdates(batch)
	if n := len(p.entries.keys); n > p.fresh {
		batch.Queue(sqlInsertEntries, p.entries.columns(p.fresh, n)...)
	}
	if len(p.terms.documents) > 0 {
		batch.Queue(sqlPutTerms, p.terms.columns()...)
	}
	var gone uuids
	for i := range p.wants {
		if w := &p.wants[i]; w.remove && w.revision != 0 || w.put == nil && w.revision == 0 {
			gone = append(gone, w.key)
		}
	}
	if len(gone) > 0 {
		batch.Queue(sqlDelete, gone)
	}
	if len(b.Bounds) > 0 {
		batch.Queue(sqlLockBounds, p.bounds.prefixes)
		batch.Queue(sqlCheckBounds, p.bounds.first, p.bounds.last, p.bounds.most)
	}
	return batch
}

// rows are documents as arrays, one per column.
type rows struct {
	keys                      uuids
	kinds, ids, owners        texts
	revisions                 ints
	dues                      nullables
	summaries, bodies         blobs
	firstEntries, lastEntries small
}

// newRows returns rows with room for n documents.
func newRows(n int) rows {
	return rows{
		keys: make(uuids, 0, n), kinds: make(texts, 0, n), ids: make(texts, 0, n), owners: make(texts, 0, n),
		revisions: make(ints, 0, n), dues: make(nullables, 0, n), summaries: make(blobs, 0, n), bodies: make(blobs, 0, n),
		firstEntries: make(small, 0, n), lastEntries: make(small, 0, n),
	}
}

// add adds a document that is put; nil only holds its place.
func (r *rows) add(w *want, revision int64, put *store.Write) {
	var due pgtype.Int8
	var owner string
	var summary, body []byte
	first, last := int32(1), int32(0) // none
	if put != nil {
		owner, summary, body = put.Owner, put.Summary, put.Body
		first, last = w.first, w.last
		if !put.Due.IsZero() {
			due = pgtype.Int8{Int64: put.Due.UnixMilli(), Valid: true}
		}
	}
	r.keys = append(r.keys, w.key)
	r.kinds = append(r.kinds, w.name.Kind)
	r.ids = append(r.ids, w.name.ID)
	r.owners = append(r.owners, owner)
	r.revisions = append(r.revisions, revision)
	r.dues = append(r.dues, due)
	r.summaries = append(r.summaries, summary)
	r.bodies = append(r.bodies, body)
	r.firstEntries = append(r.firstEntries, first)
	r.lastEntries = append(r.lastEntries, last)
}

// queueInserts adds the rows that must not be there yet, or may not be.
func (p *plan) queueInserts(batch *pgx.Batch) {
	r := newRows(len(p.wants))
	free := int64(0)
	for i := range p.wants {
		w := &p.wants[i]
		switch {
		case w.revision == 0 && w.put != nil:
			r.add(w, 1, w.put)
			free++
		case w.revision == 0:
			r.add(w, 0, nil)
			free++
		case w.revision == store.Any:
			r.add(w, -1, nil)
		}
	}
	args := []any{
		r.keys, r.kinds, r.ids, r.revisions, r.dues, r.owners, r.summaries, r.bodies,
		p.entries.keys, r.firstEntries, r.lastEntries,
	}
	switch int64(len(r.keys)) {
	case 0:
	case free:
		batch.Queue(sqlInsert, args...)
	default:
		batch.Queue(sqlInsertSome, append(args, free)...)
	}
}

// queueLocks adds the locks of rows that are there, in the order of their
// keys. Neighbours that need the same lock share a statement.
func (p *plan) queueLocks(batch *pgx.Batch) {
	var keys uuids
	var revisions ints
	write := false
	flush := func() {
		if len(keys) == 0 {
			return
		}
		sql := sqlLockToRelyOn
		if write {
			sql = sqlLockToWrite
		}
		batch.Queue(sql, keys, revisions)
		keys, revisions = nil, nil
	}
	for i := range p.wants {
		w := &p.wants[i]
		if w.revision == 0 {
			continue // its row is our own
		}
		if writes := w.put != nil || w.remove; writes != write {
			flush()
			write = writes
		}
		keys = append(keys, w.key)
		revisions = append(revisions, w.revision)
	}
	flush()
}

// queueUpdates adds the writes of rows that are there and of their entries.
func (p *plan) queueUpdates(batch *pgx.Batch) {
	r := newRows(len(p.wants))
	var had uuids
	for i := range p.wants {
		w := &p.wants[i]
		if w.revision == 0 || w.put == nil && !w.remove {
			continue
		}
		had = append(had, w.key)
		if w.put != nil {
			r.add(w, 0, w.put)
		}
	}
	switch move := append([]any{had}, p.entries.columns(0, p.fresh)...); {
	case len(had) == 0:
	case p.together && len(p.bounds.prefixes) > 0:
		batch.Queue(sqlMoveEntriesGuarded, append(move, p.bounds.prefixes)...)
	default:
		batch.Queue(sqlMoveEntries, move...)
	}
	if len(r.keys) > 0 {
		batch.Queue(sqlUpdate, r.keys, r.dues, r.owners, r.summaries, p.entries.keys, r.bodies, r.firstEntries, r.lastEntries)
	}
}

package sqlite

import (
	"bytes"
	"fmt"
	"time"

	"souk/storage/store"
	"souk/storage/store/internal/layout"
)

// head is what the writer must know of a stored document before it writes it
// again. Number 0 is a document that is not there.
type head struct {
	number   int64
	revision int64
	places   []byte // as appendPlaces writes them
}

// heads remembers documents that were written lately: most writes are to
// documents that were written a moment ago. When the young ones are many they
// become the old ones, and those are forgotten.
type heads struct {
	young, old map[store.Key]head
}

// maxHeads bounds each half of them.
const maxHeads = 8192

func (h *heads) clear() { *h = heads{young: map[store.Key]head{}} }

func (h *heads) find(key store.Key) (head, bool) {
	v, ok := h.young[key]
	if !ok {
		v, ok = h.old[key]
	}
	return v, ok
}

func (h *heads) keep(key store.Key, v head) {
	if len(h.young) >= maxHeads {
		h.young, h.old = map[store.Key]head{}, h.young
	}
	h.young[key] = v
}

func (h *heads) forget(key store.Key) {
	delete(h.young, key)
	delete(h.old, key)
}

// tally knows the number of entries in the partitions that bounds were asked
// for lately.
type tally map[layout.Prefix]int

const maxTally = 4096

// plan is what a batch will do, found before anything is written, so that a
// batch that is refused leaves nothing behind. Its slices are used again.
type plan struct {
	heads   []head // of batch.Put, then batch.Delete
	places  [][]byte
	entries []entryChange
	keys    []byte // the keys of entries lie in it
	old     []layout.Row
}

// entryChange is an entry that a batch writes or removes.
type entryChange struct {
	from, to int // of its key, in keys
	drop     bool
	document int64
	cover    []byte
	show     *shown
	added    int // entries that its partition wins: 1, 0 or -1
}

// shown is what the entries of a document hold for lists.
type shown struct {
	revision int64
	summary  []byte
}

func (p *plan) reset() {
	clear(p.heads)
	clear(p.places)
	clear(p.entries)
	clear(p.old)
	p.heads, p.places, p.entries, p.keys, p.old = p.heads[:0], p.places[:0], p.entries[:0], p.keys[:0], p.old[:0]
}

func (p *plan) key(c *entryChange) []byte { return p.keys[c.from:c.to] }

func (p *plan) addEntry(place []byte, id string, c entryChange) {
	c.from = len(p.keys)
	p.keys = append(p.keys, place...)
	p.keys = append(p.keys, id...)
	c.to = len(p.keys)
	p.entries = append(p.entries, c)
}

// doBatch does a batch, or says why not: then nothing has been written, unless
// the database failed.
func (w *writer) doBatch(b *store.Batch, rows [][]layout.Row, terms []terms) error {
	p := &w.plan
	p.reset()
	if err := w.expect(b); err != nil {
		return err
	}
	if err := w.planEntries(b, rows, terms); err != nil {
		return err
	}
	for i := range b.Bounds {
		if err := w.checkBound(&b.Bounds[i]); err != nil {
			return err
		}
	}
	for i := range b.Put {
		if err := w.put(&b.Put[i], p.heads[i], p.places[i], terms[i]); err != nil {
			return fmt.Errorf("put %s %s: %w", b.Put[i].Kind, b.Put[i].ID, err)
		}
	}
	for i := range b.Delete {
		if err := w.delete(b.Delete[i].Key, p.heads[len(b.Put)+i]); err != nil {
			return fmt.Errorf("delete %s %s: %w", b.Delete[i].Kind, b.Delete[i].ID, err)
		}
	}
	for i := range p.entries {
		if err := w.writeEntry(&p.entries[i]); err != nil {
			return fmt.Errorf("write an index entry: %w", err)
		}
	}
	return nil
}

// expect compares the revisions, in the order of the batch, and plans the heads.
func (w *writer) expect(b *store.Batch) error {
	for i := range b.Expect {
		if _, err := w.headAt(b.Expect[i].Key, b.Expect[i].Revision); err != nil {
			return err
		}
	}
	for i := range b.Put {
		h, err := w.headAt(b.Put[i].Key, b.Put[i].Was)
		if err != nil {
			return err
		}
		w.plan.heads = append(w.plan.heads, h)
	}
	for i := range b.Delete {
		h, err := w.headAt(b.Delete[i].Key, b.Delete[i].Was)
		if err != nil {
			return err
		}
		w.plan.heads = append(w.plan.heads, h)
	}
	return nil
}

// headAt returns the head of a document that must have a revision.
func (w *writer) headAt(key store.Key, want int64) (head, error) {
	h, err := w.head(key)
	if err != nil {
		return head{}, fmt.Errorf("look up %s %s: %w", key.Kind, key.ID, err)
	}
	if want != store.Any && h.revision != want {
		return head{}, &store.Conflict{Key: key, Want: want}
	}
	return h, nil
}

// head returns the head of a document; the zero head if it is not there.
func (w *writer) head(key store.Key) (head, error) {
	if h, ok := w.heads.find(key); ok {
		return h, nil
	}
	defer w.look.reset()
	w.look.bindText(1, key.Kind)
	w.look.bindText(2, key.ID)
	row, err := w.look.step()
	if err != nil || !row {
		return head{}, err
	}
	h := head{number: w.look.columnInt(0), revision: w.look.columnInt(1), places: w.look.columnBytes(2)}
	w.heads.keep(key, h)
	return h, nil
}

// planEntries finds the entries that the batch changes, and numbers the new documents.
func (w *writer) planEntries(b *store.Batch, rowsOf [][]layout.Row, termsOf []terms) error {
	p := &w.plan
	for i := range b.Put {
		doc, h := &b.Put[i].Document, &p.heads[i]
		if h.number == 0 {
			h.number = w.next
			w.next++
		}
		rows := rowsOf[i]
		var show *shown
		if layout.Shows(doc) {
			show = &shown{revision: h.revision + 1, summary: doc.Summary}
		}
		sum := termsIn(h.places)
		if doc.Terms != nil {
			sum = termsOf[i].sum
		}
		places := appendPlaces(nil, rows, show != nil, sum)
		if show == nil && bytes.Equal(places, h.places) {
			places = h.places
		} else if err := p.compare(h, rows, doc.ID, show); err != nil {
			return fmt.Errorf("put %s %s: %w", doc.Kind, doc.ID, err)
		}
		p.places = append(p.places, places)
	}
	for i := range b.Delete {
		if err := p.compare(&p.heads[len(b.Put)+i], nil, b.Delete[i].ID, nil); err != nil {
			return fmt.Errorf("delete %s %s: %w", b.Delete[i].Kind, b.Delete[i].ID, err)
		}
	}
	return nil
}

// compare plans what turns a document's old entries into rows. Both are in
// the order of their places.
func (p *plan) compare(h *head, rows []layout.Row, id string, show *shown) error {
	old, wasShown, err := readPlaces(p.old[:0], h.places)
	if err != nil {
		return err
	}
	p.old = old
	all := show != nil || wasShown // then what an entry holds is never as it was
	for len(old) > 0 || len(rows) > 0 {
		c := 0
		switch {
		case len(rows) == 0:
			c = -1
		case len(old) == 0:
			c = 1
		default:
			c = bytes.Compare(old[0].Place, rows[0].Place)
		}
		switch {
		case c < 0:
			p.addEntry(old[0].Place, id, entryChange{drop: true, added: -1})
			old = old[1:]
			continue
		case c > 0:
			p.addEntry(rows[0].Place, id, entryChange{document: h.number, cover: rows[0].Cover, show: show, added: 1})
		default:
			if all || !bytes.Equal(old[0].Cover, rows[0].Cover) || (old[0].Cover == nil) != (rows[0].Cover == nil) {
				p.addEntry(rows[0].Place, id, entryChange{document: h.number, cover: rows[0].Cover, show: show})
			}
			old = old[1:]
		}
		rows = rows[1:]
	}
	return nil
}

// checkBound says whether the partition will be too full after the plan.
func (w *writer) checkBound(b *store.Bound) error {
	prefix := layout.PrefixOf(b.Kind, b.Index, b.Partition)
	change := 0
	for i := range w.plan.entries {
		if e := &w.plan.entries[i]; layout.Prefix(w.plan.key(e)) == prefix {
			change += e.added
		}
	}
	n, known := w.tally[prefix]
	if !known {
		walk := layout.PartitionRange(prefix)
		limit := int64(b.Most) + int64(max(0, -change)) + 1
		w.count.bindBlob(1, walk.From)
		w.count.bindBlob(2, walk.To)
		w.count.bindInt(3, limit)
		_, err := w.count.step()
		n = int(w.count.columnInt(0))
		w.count.reset()
		if err != nil {
			return fmt.Errorf("count the entries of %s %s %q: %w", b.Kind, b.Index, b.Partition, err)
		}
		if int64(n) < limit { // all have been counted
			if len(w.tally) >= maxTally {
				clear(w.tally)
			}
			w.tally[prefix] = n
		}
	}
	if n+change > b.Most {
		return fmt.Errorf("%s %s %q may have %d: %w", b.Kind, b.Index, b.Partition, b.Most, store.ErrLimit)
	}
	return nil
}

// put writes a document as the next revision of h.
func (w *writer) put(p *store.Write, h head, places []byte, terms terms) error {
	row, content := w.update, w.refill
	if h.revision == 0 {
		row, content = w.insert, w.fill
		row.bindText(6, p.Kind)
		row.bindText(7, p.ID)
	}
	if err := w.writeTerms(h.number, termsIn(h.places), termsIn(places), terms.text); err != nil {
		return err
	}
	h.revision++
	h.places = places
	row.bindInt(1, h.number)
	row.bindInt(2, h.revision)
	if p.Due.IsZero() {
		row.bindNull(3)
	} else {
		row.bindInt(3, p.Due.UnixMilli())
	}
	row.bindText(4, p.Owner)
	row.bindBlob(5, p.Summary)
	if err := row.run(); err != nil {
		return err
	}
	content.bindInt(1, h.number)
	content.bindBlob(2, places)
	content.bindBlob(3, p.Body)
	if err := content.run(); err != nil {
		return err
	}
	w.heads.keep(p.Key, h)
	doc := p.Document
	doc.Revision = h.revision
	if !doc.Due.IsZero() {
		doc.Due = timeOf(doc.Due.UnixMilli())
	}
	w.effects = append(w.effects, effect{doc: doc})
	return nil
}

func (w *writer) delete(key store.Key, h head) error {
	if h.number == 0 {
		return nil
	}
	if err := w.writeTerms(h.number, termsIn(h.places), 0, ""); err != nil {
		return err
	}
	for _, q := range []*stmt{w.remove, w.empty} {
		q.bindInt(1, h.number)
		if err := q.run(); err != nil {
			return err
		}
	}
	w.heads.forget(key)
	w.effects = append(w.effects, effect{doc: store.Document{Key: key}})
	return nil
}

func (w *writer) writeEntry(e *entryChange) error {
	key := w.plan.key(e)
	if e.added != 0 && len(w.tally) > 0 {
		if n, ok := w.tally[layout.Prefix(key)]; ok {
			w.tally[layout.Prefix(key)] = n + e.added
		}
	}
	if e.drop {
		w.dropEntry.bindBlob(1, key)
		return w.dropEntry.run()
	}
	w.putEntry.bindBlob(1, key)
	w.putEntry.bindInt(2, e.document)
	w.putEntry.bindBlob(3, e.cover)
	if e.show != nil {
		w.putEntry.bindInt(4, e.show.revision)
		w.putEntry.bindBlob(5, e.show.summary)
	} else {
		w.putEntry.bindNull(4)
		w.putEntry.bindNull(5)
	}
	return w.putEntry.run()
}

// timeOf is the time of a number of milliseconds since 1970.
func timeOf(milliseconds int64) time.Time { return time.UnixMilli(milliseconds).UTC() }

package storetest

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"souk/storage/store"
)

// model is the contract in its simplest form: documents in a map, one batch
// after the other. The property tests compare engines with it.
type model map[store.Key]store.Document

func (m model) clone() model { return maps.Clone(m) }

// commit does a batch, or returns the store's error.
func (m model) commit(b store.Batch) error {
	holds := func(k store.Key, want int64) error {
		if want != store.Any && m[k].Revision != want {
			return &store.Conflict{Key: k, Want: want}
		}
		return nil
	}
	for _, e := range b.Expect {
		if err := holds(e.Key, e.Revision); err != nil {
			return err
		}
	}
	for _, p := range b.Put {
		if err := holds(p.Key, p.Was); err != nil {
			return err
		}
	}
	for _, d := range b.Delete {
		if err := holds(d.Key, d.Was); err != nil {
			return err
		}
	}
	next := m.clone()
	for _, p := range b.Put {
		d := p.Document
		d.Revision = m[p.Key].Revision + 1
		next[p.Key] = d
	}
	for _, d := range b.Delete {
		delete(next, d.Key)
	}
	for _, bound := range b.Bounds {
		if len(next.entries(bound.Kind, bound.Index, bound.Partition)) > bound.Most {
			return store.ErrLimit
		}
	}
	clear(m)
	maps.Copy(m, next)
	return nil
}

// place is an entry with its document.
type place struct {
	sort  string
	cover []byte
	doc   store.Document
}

// entries returns a partition in its order.
func (m model) entries(kind, index, partition string) []place {
	var places []place
	for k, d := range m {
		if k.Kind != kind {
			continue
		}
		sorts := map[string][]byte{} // a place stands once, with its last cover
		for _, e := range d.Index {
			if e.Index == index && e.Partition == partition {
				sorts[e.Sort[:min(len(e.Sort), 512)]] = e.Cover
			}
		}
		for sort, cover := range sorts {
			places = append(places, place{sort: sort, cover: cover, doc: d})
		}
	}
	slices.SortFunc(places, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.sort, b.sort), cmp.Compare(a.doc.ID, b.doc.ID))
	})
	return places
}

// list is the whole of a query, whatever its Limit and Scan.
func (m model) list(q store.Query) []store.Document {
	var docs []store.Document
	for _, p := range m.entries(q.Kind, q.Index, q.Partition) {
		at := cmp.Or(cmp.Compare(p.sort, q.After.Sort), cmp.Compare(p.doc.ID, q.After.ID))
		if q.After != (store.Position{}) && (at == 0 || (at < 0) != q.Backward) {
			continue
		}
		if p.sort < q.From || q.To != "" && p.sort >= q.To || q.Match != nil && !q.Match(p.sort, p.doc.ID, p.cover) {
			continue
		}
		docs = append(docs, p.doc)
	}
	if q.Backward {
		slices.Reverse(docs)
	}
	return docs
}

// print shows what a list or a get can tell, for comparing.
func printDoc(b *strings.Builder, d store.Document, body bool) {
	fmt.Fprintf(b, "%s/%d %q", d.ID, d.Revision, d.Summary)
	if body {
		fmt.Fprintf(b, " %q %q", d.Body, d.Owner)
		if !d.Due.IsZero() {
			fmt.Fprintf(b, " due %d", d.Due.UnixMilli())
		}
	}
	b.WriteByte('\n')
}

func printList(docs []store.Document) string {
	var b strings.Builder
	for _, d := range docs {
		printDoc(&b, d, false)
	}
	return b.String()
}

// print shows all documents with these keys and all these partitions of "by".
func (m model) print(kind string, ids, partitions []string) string {
	var b strings.Builder
	for _, id := range ids {
		if d, ok := m[store.Key{Kind: kind, ID: id}]; ok {
			printDoc(&b, d, true)
		}
	}
	for _, p := range partitions {
		fmt.Fprintf(&b, "%q:\n%s", p, printList(m.list(store.Query{Kind: kind, Index: "by", Partition: p})))
	}
	return b.String()
}

// sameError says whether an engine's error is the model's.
func sameError(got, want error) bool {
	switch want := want.(type) {
	case nil:
		return got == nil
	case *store.Conflict:
		c, ok := asConflict(got)
		return ok && *c == *want
	default:
		return isLimit(got)
	}
}

// equalCover says whether a cover is one of a few: it makes a Match.
func equalCover(want []byte) func(string, string, []byte) bool {
	return func(_, _ string, cover []byte) bool { return bytes.Equal(cover, want) }
}

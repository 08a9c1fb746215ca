package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"souk/storage/store"
)

func asConflict(err error) (*store.Conflict, bool) {
	var c *store.Conflict
	ok := errors.As(err, &c) && errors.Is(err, store.ErrConflict)
	return c, ok
}

func isLimit(err error) bool { return errors.Is(err, store.ErrLimit) }

// world is what a property test draws its batches from: few names, so that
// they meet often.
type world struct {
	kind       string
	ids        []string
	partitions []string
	sorts      []string
	// revision draws an expectation for a document; 0 to 3 mostly hold.
	revision *rapid.Generator[int64]
	next     int // numbers the bodies, so that each write is told from others
}

func newWorld(kind string) *world {
	return &world{
		kind:       kind,
		ids:        []string{"a", "b", "c"},
		partitions: []string{"p", "q\x00"},
		sorts:      []string{"", "m", "m\x00", "mm", "\xFF", strings.Repeat("z", 600)},
		revision:   rapid.SampledFrom([]int64{0, 0, 1, 1, 2, 3, store.Any, store.Any}),
	}
}

func (w *world) key(t *rapid.T, label string) store.Key {
	return store.Key{Kind: w.kind, ID: rapid.SampledFrom(w.ids).Draw(t, label)}
}

// was draws an expectation: what is stored in m, or anything.
func (w *world) was(t *rapid.T, m model, k store.Key, orAny bool) int64 {
	if rapid.IntRange(0, 3).Draw(t, "was") > 0 {
		return m[k].Revision
	}
	r := w.revision.Draw(t, "revision")
	if r == store.Any && !orAny {
		return 0
	}
	return r
}

func (w *world) document(t *rapid.T, k store.Key) store.Document {
	w.next++
	d := store.Document{Key: k, Body: fmt.Appendf(nil, "body %d", w.next), Summary: fmt.Appendf(nil, "summary %d", w.next)}
	for range rapid.IntRange(0, 3).Draw(t, "entries") {
		e := store.Entry{
			Index:     "by",
			Partition: rapid.SampledFrom(w.partitions).Draw(t, "partition"),
			Sort:      rapid.SampledFrom(w.sorts).Draw(t, "sort"),
		}
		if rapid.Bool().Draw(t, "covered") {
			e.Cover = []byte{byte('0' + rapid.IntRange(0, 1).Draw(t, "cover"))}
		}
		d.Index = append(d.Index, e)
	}
	return d
}

// batch draws a batch that most often goes through when m is stored.
func (w *world) batch(t *rapid.T, m model) store.Batch {
	var b store.Batch
	for _, id := range rapid.Permutation(w.ids).Draw(t, "order") {
		k := store.Key{Kind: w.kind, ID: id}
		switch rapid.IntRange(0, 7).Draw(t, "what") {
		case 0, 1:
		case 2, 3, 4:
			b.Put = append(b.Put, store.Write{Document: w.document(t, k), Was: w.was(t, m, k, true)})
		case 5:
			b.Delete = append(b.Delete, store.Removal{Key: k, Was: w.was(t, m, k, true)})
		default:
			b.Expect = append(b.Expect, store.Expectation{Key: k, Revision: w.was(t, m, k, false)})
		}
	}
	if rapid.IntRange(0, 3).Draw(t, "also") == 0 { // of what it may write as well
		k := w.key(t, "expected")
		b.Expect = append(b.Expect, store.Expectation{Key: k, Revision: w.was(t, m, k, false)})
	}
	for range rapid.IntRange(0, 1).Draw(t, "bounds") {
		b.Bounds = append(b.Bounds, store.Bound{
			Kind: w.kind, Index: "by",
			Partition: rapid.SampledFrom(w.partitions).Draw(t, "bounded"),
			Most:      rapid.IntRange(0, 4).Draw(t, "most"),
		})
		// As store.Bound asks for: what it puts into is bounded by others.
		for _, p := range w.partitions {
			if p != b.Bounds[0].Partition && puts(b, p) {
				b.Bounds = append(b.Bounds, store.Bound{Kind: w.kind, Index: "by", Partition: p, Most: rapid.IntRange(0, 4).Draw(t, "most of another")})
			}
		}
	}
	return b
}

// puts says whether a batch puts an entry into a partition.
func puts(b store.Batch, partition string) bool {
	return slices.ContainsFunc(b.Put, func(w store.Write) bool {
		return slices.ContainsFunc(w.Index, func(e store.Entry) bool { return e.Partition == partition })
	})
}

// print shows what is stored, as model.print does.
func (w *world) print(ctx context.Context, s store.Store) (string, error) {
	var b strings.Builder
	for _, id := range w.ids {
		switch d, err := s.Get(ctx, store.Key{Kind: w.kind, ID: id}); {
		case err == nil:
			printDoc(&b, d, true)
		case !errors.Is(err, store.ErrNotFound):
			return "", err
		}
	}
	for _, p := range w.partitions {
		page, err := s.List(ctx, store.Query{Kind: w.kind, Index: "by", Partition: p, Limit: 1000})
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%q:\n%s", p, printList(page.Documents))
	}
	return b.String(), nil
}

// query draws a walk.
func (w *world) query(t *rapid.T) store.Query {
	q := store.Query{
		Kind: w.kind, Index: "by",
		Partition: rapid.SampledFrom(w.partitions).Draw(t, "walked"),
		Backward:  rapid.Bool().Draw(t, "backward"),
		Limit:     rapid.IntRange(1, 4).Draw(t, "limit"),
	}
	bound := rapid.SampledFrom([]string{"", "", "m", "m\x00", "mm", "n", "\xFF"})
	q.From, q.To = bound.Draw(t, "from"), bound.Draw(t, "to")
	if rapid.Bool().Draw(t, "matching") {
		q.Match = equalCover([]byte{byte('0' + rapid.IntRange(0, 1).Draw(t, "matched"))})
		q.Scan = rapid.IntRange(0, 3).Draw(t, "scan")
	}
	return q
}

var propertyTests = []test{
	{"one after the other, an engine does what the model does", func(t *testing.T, s *room) {
		var round atomic.Int64 // of rapid, each with a kind of its own
		rapid.Check(t, func(rt *rapid.T) {
			w, m := newWorld(fmt.Sprintf("%s %d", s.kind, round.Add(1))), model{}
			for range rapid.IntRange(1, 12).Draw(rt, "batches") {
				b := w.batch(rt, m)
				want := m.commit(b)
				if got := s.Commit(t.Context(), b); !sameError(got, want) {
					rt.Fatalf("commit %+v: got %v, want %v", b, got, want)
				}
				got, err := w.print(t.Context(), s)
				if want := m.print(w.kind, w.ids, w.partitions); err != nil || got != want {
					rt.Fatalf("after %+v: stored is (%v)\n%swant\n%s", b, err, got, want)
				}
				q := w.query(rt)
				whole := q
				var docs []store.Document
				for more := true; more; {
					p, err := s.List(t.Context(), q)
					if err != nil || len(p.Documents) > q.Limit {
						rt.Fatalf("list %+v: got %d, %v", q, len(p.Documents), err)
					}
					docs = append(docs, p.Documents...)
					q.After, more = p.Next, p.More
				}
				if got, want := printList(docs), printList(m.list(whole)); got != want {
					rt.Fatalf("list %+v: got\n%swant\n%s", whole, got, want)
				}
			}
		})
	}},
	{"at once, batches come out as in some order", func(t *testing.T, s *room) {
		var round atomic.Int64
		rapid.Check(t, func(rt *rapid.T) {
			w, m := newWorld(fmt.Sprintf("%s %d", s.kind, round.Add(1))), model{}
			for range rapid.IntRange(0, 2).Draw(rt, "before") {
				b := w.batch(rt, m)
				want := m.commit(b)
				if got := s.Commit(t.Context(), b); !sameError(got, want) {
					rt.Fatalf("commit %+v: got %v, want %v", b, got, want)
				}
			}
			batches := make([]store.Batch, rapid.IntRange(2, 4).Draw(rt, "at once"))
			for i := range batches {
				batches[i] = w.batch(rt, m)
			}
			got := make([]error, len(batches))
			together(len(batches), func(i int) { got[i] = s.Commit(t.Context(), batches[i]) })
			stored, err := w.print(t.Context(), s)
			if err != nil {
				rt.Fatalf("read: %v", err)
			}
			if !explained(m, batches, got, func(m model) bool { return m.print(w.kind, w.ids, w.partitions) == stored }) {
				var text strings.Builder
				for i := range batches {
					fmt.Fprintf(&text, "%d: %+v\n   gave %v\n", i, batches[i], got[i])
				}
				rt.Fatalf("no order explains it. Before:\n%s\nthe batches:\n%s\nstored is\n%s",
					m.print(w.kind, w.ids, w.partitions), text.String(), stored)
			}
		})
	}},
}

// explained says whether the batches can be done in some order from m so that
// each has its outcome and the end is right.
func explained(m model, batches []store.Batch, got []error, end func(model) bool) bool {
	used := make([]bool, len(batches))
	var try func(m model, left int) bool
	try = func(m model, left int) bool {
		if left == 0 {
			return end(m)
		}
		for i := range batches {
			if used[i] {
				continue
			}
			next := m.clone()
			if !sameError(got[i], next.commit(batches[i])) {
				continue
			}
			used[i] = true
			if try(next, left-1) {
				return true
			}
			used[i] = false
		}
		return false
	}
	return try(m, len(batches))
}

// Package storetest checks that an engine fulfils the contract of package
// store, and breaks a store on demand for the tests of those who write to it.
// It imports no engine: an engine's own test calls Run.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"souk/storage/store"
)

// Run runs the suite. open returns an empty store, which is a store.Walker too
// and which open closes itself when its test ends; the suite may have closed it before.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for _, part := range []struct {
		name  string
		tests []test
	}{
		{"Get", getTests},
		{"Commit", commitTests},
		{"Bound", boundTests},
		{"Concurrent", concurrentTests},
		{"List", listTests},
		{"Match", matchTests},
		{"Find", findTests},
		{"Claim", claimTests},
		{"Walk", walkTests},
		{"Property", propertyTests},
		{"Close", closeTests},
	} {
		t.Run(part.name, func(t *testing.T) {
			t.Parallel()
			// The tests of a part share a store: each has kinds of its own.
			var shared store.Store
			if part.name != "Close" {
				shared = open(t)
			}
			for _, test := range part.tests {
				t.Run(test.name, func(t *testing.T) {
					s := shared
					if s == nil {
						s = open(t)
					}
					test.run(t, &room{Store: s, kind: "kind " + test.name})
				})
			}
		})
	}
}

type test struct {
	name string
	run  func(t *testing.T, s *room)
}

// room is a store and the kind of document that a test may use.
type room struct {
	store.Store
	kind string
}

// key is the key of a document of the room.
func (s *room) key(id string) store.Key { return store.Key{Kind: s.kind, ID: id} }

// doc is a document of the room with a body and entries.
func (s *room) doc(id, body string, index ...store.Entry) store.Document {
	return store.Document{Key: s.key(id), Summary: []byte("summary of " + body), Body: []byte(body), Index: index}
}

// in is an entry of the index "by" in a partition.
func in(partition, sort string) store.Entry {
	return store.Entry{Index: "by", Partition: partition, Sort: sort}
}

func put(was int64, docs ...store.Document) store.Batch {
	var b store.Batch
	for _, d := range docs {
		b.Put = append(b.Put, store.Write{Document: d, Was: was})
	}
	return b
}

// commit commits and must not fail.
func (s *room) commit(t *testing.T, b store.Batch) {
	t.Helper()
	if err := s.Commit(t.Context(), b); err != nil {
		t.Fatalf("commit: %v", err)
	}
}

// refused commits and must conflict over a document.
func (s *room) refused(t *testing.T, b store.Batch, id string, want int64) {
	t.Helper()
	err := s.Commit(t.Context(), b)
	var conflict *store.Conflict
	if !errors.Is(err, store.ErrConflict) || !errors.As(err, &conflict) {
		t.Fatalf("commit: got %v, want a conflict over %s", err, id)
	}
	if diff := cmp.Diff(store.Conflict{Key: s.key(id), Want: want}, *conflict); diff != "" {
		t.Fatalf("the conflict (-want +got):\n%s", diff)
	}
}

// get gets a document, which must be there.
func (s *room) get(t *testing.T, id string) store.Document {
	t.Helper()
	d, err := s.Get(t.Context(), s.key(id))
	if err != nil {
		t.Fatalf("get %s: %v", id, err)
	}
	return d
}

// has checks the revision and the body of a document.
func (s *room) has(t *testing.T, id string, revision int64, body string) {
	t.Helper()
	if d := s.get(t, id); d.Revision != revision || string(d.Body) != body {
		t.Fatalf("%s: got revision %d with %.40q, want revision %d with %.40q", id, d.Revision, d.Body, revision, body)
	}
}

// hasNot checks that a document is not there.
func (s *room) hasNot(t *testing.T, id string) {
	t.Helper()
	if d, err := s.Get(t.Context(), s.key(id)); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("get %s: got revision %d, %v; want %v", id, d.Revision, err, store.ErrNotFound)
	}
}

// list lists the ids of a partition of the index "by", all of them.
func (s *room) list(t *testing.T, partition string) string {
	t.Helper()
	return ids(s.all(t, store.Query{Index: "by", Partition: partition, Limit: 1000}))
}

// lists checks list.
func (s *room) lists(t *testing.T, partition, want string) {
	t.Helper()
	if got := s.list(t, partition); got != want {
		t.Fatalf("partition %q: got %q, want %q", partition, got, want)
	}
}

// page returns one page of a query.
func (s *room) page(t *testing.T, q store.Query) store.Page {
	t.Helper()
	if q.Kind == "" {
		q.Kind = s.kind
	}
	p, err := s.List(t.Context(), q)
	if err != nil {
		t.Fatalf("list %+v: %v", q, err)
	}
	if len(p.Documents) > q.Limit {
		t.Fatalf("list %+v: got a page of %d", q, len(p.Documents))
	}
	return p
}

// all walks a query to its end.
func (s *room) all(t *testing.T, q store.Query) []store.Document {
	t.Helper()
	var docs []store.Document
	for {
		p := s.page(t, q)
		docs = append(docs, p.Documents...)
		if !p.More {
			return docs
		}
		if p.Next == q.After {
			t.Fatalf("list %+v: the next page would be the same", q)
		}
		q.After = p.Next
	}
}

func ids(docs []store.Document) string {
	var b strings.Builder
	for i, d := range docs {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(d.ID)
	}
	return b.String()
}

// together runs f n times at once, and returns when all have ended.
func together(n int, f func(i int)) {
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	all.Wait()
}

// wait asks again and again until done, or fails after a while.
func wait(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: has not come", what)
		}
	}
}

var getTests = []test{
	{"a document that is not there", func(t *testing.T, s *room) {
		s.hasNot(t, "nobody")
	}},
	{"every field but the index comes back", func(t *testing.T, s *room) {
		want := store.Document{
			Key: s.key("a"), Summary: []byte("a\x00b"), Body: []byte{0, 0xFF, 1}, Owner: "worker",
			Due:   time.Date(2300, 1, 2, 3, 4, 5, 6_999_999, time.FixedZone("", 3600)),
			Index: []store.Entry{in("p", "x")},
		}
		s.commit(t, put(0, want))
		want.Revision, want.Index = 1, nil
		want.Due = want.Due.UTC().Truncate(time.Millisecond)
		for range 2 { // the second may come from a cache
			if diff := cmp.Diff(want, s.get(t, "a")); diff != "" {
				t.Fatalf("-want +got:\n%s", diff)
			}
		}
	}},
	{"several at once, of which one is not there", func(t *testing.T, s *room) {
		s.commit(t, put(0, s.doc("a", "1")))
		s.commit(t, put(0, s.doc("b", "2")))
		all, err := s.GetAll(t.Context(), []store.Key{s.key("b"), s.key("nobody"), s.key("a")})
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(all, func(x, y store.Document) int { return strings.Compare(x.ID, y.ID) })
		if diff := cmp.Diff([]store.Document{s.get(t, "a"), s.get(t, "b")}, all); diff != "" {
			t.Fatalf("-want +got:\n%s", diff)
		}
	}},
	{"a document without anything", func(t *testing.T, s *room) {
		s.commit(t, put(0, store.Document{Key: s.key("a")}))
		d := s.get(t, "a")
		if len(d.Body) != 0 || len(d.Summary) != 0 || !d.Due.IsZero() || d.Owner != "" || d.Revision != 1 {
			t.Fatalf("got %+v", d)
		}
	}},
	{"ids of odd letters", func(t *testing.T, s *room) {
		odd := []string{"a", "A", "a ", "ä", "a\u0308", "'\"\\%_", "\x01\x7f", "\U0010FFFF", strings.Repeat("é", 256), "a\nb", "prod-1@2"}
		for _, id := range odd {
			s.commit(t, put(0, s.doc(id, id)))
		}
		for _, id := range odd {
			s.has(t, id, 1, id)
		}
	}},
	{"kinds are apart", func(t *testing.T, s *room) {
		other := store.Key{Kind: s.kind + "2", ID: "a"}
		s.commit(t, put(0, s.doc("a", "one"), store.Document{Key: other, Body: []byte("two")}))
		s.has(t, "a", 1, "one")
		if d, err := s.Get(t.Context(), other); err != nil || string(d.Body) != "two" {
			t.Fatalf("got %q, %v", d.Body, err)
		}
	}},
	{"a body of 300 KiB", func(t *testing.T, s *room) {
		body := strings.Repeat("0123456789abcdef", 300<<10/16)
		s.commit(t, put(0, s.doc("a", body, in("p", "x"))))
		s.has(t, "a", 1, body)
		s.commit(t, put(1, s.doc("a", body+"!", in("p", "x"))))
		s.has(t, "a", 2, body+"!")
		s.lists(t, "p", "a")
	}},
	{"what the caller changes after the commit", func(t *testing.T, s *room) {
		d := s.doc("a", "as it was")
		s.commit(t, put(0, d))
		copy(d.Body, "CHANGED!!")
		copy(d.Summary, "CHANGED!!")
		for range 2 {
			s.has(t, "a", 1, "as it was")
		}
	}},
	{"a context that has ended", func(t *testing.T, s *room) {
		s.commit(t, put(0, s.doc("a", "x", in("p", "x"))))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Get(ctx, s.key("a")); !errors.Is(err, context.Canceled) {
			t.Errorf("get: got %v", err)
		}
		if _, err := s.List(ctx, store.Query{Kind: s.kind, Index: "by", Partition: "p", Limit: 1}); !errors.Is(err, context.Canceled) {
			t.Errorf("list: got %v", err)
		}
		if err := s.Commit(ctx, put(0, s.doc("b", "x"))); !errors.Is(err, context.Canceled) {
			t.Errorf("commit: got %v", err)
		}
		if _, err := s.Claim(ctx, s.kind, 1, "me", time.Second); !errors.Is(err, context.Canceled) {
			t.Errorf("claim: got %v", err)
		}
		if _, err := s.Now(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("now: got %v", err)
		}
		s.hasNot(t, "b")
	}},
	{"readers beside a writer see no older revision twice", func(t *testing.T, s *room) {
		const last = 200
		s.commit(t, put(0, s.doc("a", "1")))
		var done atomic.Bool
		fail := make([]string, 5)
		together(5, func(i int) {
			if i == 0 {
				defer done.Store(true)
				for r := int64(1); r < last; r++ {
					if err := s.Commit(t.Context(), put(r, s.doc("a", fmt.Sprint(r+1)))); err != nil {
						fail[i] = err.Error()
						return
					}
					d, err := s.Get(t.Context(), s.key("a"))
					if err != nil || d.Revision != r+1 {
						fail[i] = fmt.Sprintf("after the commit of %d: got %d, %v", r+1, d.Revision, err)
						return
					}
				}
				return
			}
			var seen int64
			for !done.Load() {
				d, err := s.Get(t.Context(), s.key("a"))
				if err != nil || d.Revision < seen || string(d.Body) != fmt.Sprint(d.Revision) {
					fail[i] = fmt.Sprintf("after %d: got %d with %q, %v", seen, d.Revision, d.Body, err)
					return
				}
				seen = d.Revision
			}
		})
		for _, f := range fail {
			if f != "" {
				t.Error(f)
			}
		}
		s.has(t, "a", last, fmt.Sprint(last))
	}},
}

var closeTests = []test{
	{"calls after the end", func(t *testing.T, s *room) {
		s.commit(t, put(0, s.doc("a", "x")))
		if err := s.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
		if _, err := s.Get(t.Context(), s.key("b")); err == nil {
			t.Error("get: no error")
		}
		if _, err := s.List(t.Context(), store.Query{Kind: s.kind, Index: "by", Limit: 1}); err == nil {
			t.Error("list: no error")
		}
		if err := s.Commit(t.Context(), put(0, s.doc("b", "x"))); err == nil {
			t.Error("commit: no error")
		}
		if _, err := s.Claim(t.Context(), s.kind, 1, "me", time.Second); err == nil {
			t.Error("claim: no error")
		}
		if err := s.Close(); err != nil {
			t.Errorf("the second close: %v", err)
		}
	}},
	{"commits under way are answered", func(t *testing.T, s *room) {
		together(32, func(i int) {
			if i == 16 {
				if err := s.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
				return
			}
			// Some are in time, some are not; all come back.
			_ = s.Commit(t.Context(), put(0, s.doc(fmt.Sprint(i), "x")))
		})
	}},
}

package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"souk/storage/store"
)

// remove is a batch that deletes documents.
func (s *room) remove(was int64, ids ...string) store.Batch {
	var b store.Batch
	for _, id := range ids {
		b.Delete = append(b.Delete, store.Removal{Key: s.key(id), Was: was})
	}
	return b
}

// expect is a batch that only expects.
func (s *room) expect(id string, revision int64) store.Batch {
	return store.Batch{Expect: []store.Expectation{{Key: s.key(id), Revision: revision}}}
}

// join makes one batch of several.
func join(batches ...store.Batch) store.Batch {
	var all store.Batch
	for _, b := range batches {
		all.Expect = append(all.Expect, b.Expect...)
		all.Bounds = append(all.Bounds, b.Bounds...)
		all.Put = append(all.Put, b.Put...)
		all.Delete = append(all.Delete, b.Delete...)
	}
	return all
}

var commitTests = []test{
	{"revisions count the writes", func(t *testing.T, s *room) {
		for r := range int64(5) {
			s.commit(t, put(r, s.doc("a", fmt.Sprint(r))))
			s.has(t, "a", r+1, fmt.Sprint(r))
		}
	}},
	{"a new document that is there", func(t *testing.T, s *room) {
		s.commit(t, put(0, s.doc("a", "x")))
		s.refused(t, put(0, s.doc("a", "y")), "a", 0)
		s.has(t, "a", 1, "x")
	}},
	{"a revision that is older, newer or absent", func(t *testing.T, s *room) {
		s.commit(t, put(0, s.doc("a", "x")))
		s.commit(t, put(1, s.doc("a", "y")))
		s.refused(t, put(1, s.doc("a", "z")), "a", 1)
		s.refused(t, put(3, s.doc("a", "z")), "a", 3)
		s.refused(t, put(1, s.doc("b", "z")), "b", 1)
		s.refused(t, s.remove(1, "a"), "a", 1)
		s.refused(t, s.remove(1, "b"), "b", 1)
		s.has(t, "a", 2, "y")
		s.hasNot(t, "b")
	}},
	{"any revision", func(t *testing.T, s *room) {
		s.commit(t, put(store.Any, s.doc("a", "x", in("p", "1"))))
		s.commit(t, put(store.Any, s.doc("a", "y", in("p", "2"), in("q", "1"))))
		s.has(t, "a", 2, "y")
		s.lists(t, "p", "a")
		s.commit(t, s.remove(store.Any, "a"))
		s.commit(t, s.remove(store.Any, "a"))
		s.commit(t, s.remove(store.Any, "never there"))
		s.hasNot(t, "a")
		s.lists(t, "p", "")
		s.lists(t, "q", "")
	}},
	{"a deleted document begins anew", func(t *testing.T, s *room) {
		s.commit(t, put(0, s.doc("a", "x", in("p", "1"))))
		s.commit(t, put(1, s.doc("a", "x", in("p", "1"))))
		s.commit(t, s.remove(2, "a"))
		s.hasNot(t, "a")
		s.commit(t, put(0, s.doc("a", "y", in("p", "1"))))
		s.has(t, "a", 1, "y")
		s.lists(t, "p", "a")
	}},
	{"a deletion of what must be absent", func(t *testing.T, s *room) {
		s.commit(t, s.remove(0, "a"))
		s.commit(t, put(0, s.doc("a", "x")))
		s.refused(t, s.remove(0, "a"), "a", 0)
	}},
	{"an empty batch", func(t *testing.T, s *room) {
		s.commit(t, store.Batch{})
	}},
	{"expectations that hold", func(t *testing.T, s *room) {
		s.commit(t, put(0, s.doc("a", "x")))
		s.commit(t, join(s.expect("a", 1), s.expect("b", 0), put(0, s.doc("c", "x"))))
		s.commit(t, join(s.expect("a", 1), put(1, s.doc("a", "y")))) // also of what is written
		s.commit(t, join(s.expect("d", 0), put(0, s.doc("d", "x"))))
		s.commit(t, join(s.expect("e", 0), put(store.Any, s.doc("e", "x"))))
		s.commit(t, join(s.expect("e", 1), s.remove(store.Any, "e")))
		s.commit(t, s.expect("c", 1))
		s.commit(t, join(s.expect("b", 0), s.expect("b", 0)))
		s.hasNot(t, "b")
		s.has(t, "a", 2, "y")
		s.has(t, "d", 1, "x")
	}},
	{"expectations that do not hold", func(t *testing.T, s *room) {
		s.commit(t, put(0, s.doc("a", "x")))
		s.refused(t, join(s.expect("a", 2), put(0, s.doc("c", "x"))), "a", 2)
		s.refused(t, join(s.expect("a", 0), put(0, s.doc("c", "x"))), "a", 0)
		s.refused(t, join(s.expect("b", 1), put(0, s.doc("c", "x"))), "b", 1)
		s.refused(t, join(s.expect("b", 1), put(0, s.doc("b", "x"))), "b", 1)
		s.refused(t, join(s.expect("a", 1), s.expect("a", 2)), "a", 2)
		s.hasNot(t, "c")
		s.hasNot(t, "b")
	}},
	{"the first of several conflicts is named", func(t *testing.T, s *room) {
		s.commit(t, put(0, s.doc("a", "x"), s.doc("b", "x"), s.doc("c", "x")))
		all := join(put(9, s.doc("z", "y"), s.doc("b", "y")), s.remove(9, "a"))
		s.refused(t, all, "z", 9)
		s.refused(t, join(s.expect("c", 8), s.expect("a", 8), all), "c", 8)
		s.refused(t, join(put(1, s.doc("c", "y")), s.remove(9, "b", "a")), "b", 9)
	}},
	{"a refused batch leaves nothing behind", func(t *testing.T, s *room) {
		s.commit(t, put(0, s.doc("a", "x", in("p", "a")), s.doc("b", "x", in("p", "b")), s.doc("c", "x", in("p", "c"))))
		bad := join(
			put(1, s.doc("a", "y", in("q", "a"))),
			put(0, s.doc("new", "y", in("p", "new"))),
			s.remove(1, "b"),
			s.remove(7, "c"),
		)
		s.refused(t, bad, "c", 7)
		s.has(t, "a", 1, "x")
		s.has(t, "b", 1, "x")
		s.hasNot(t, "new")
		s.lists(t, "p", "a b c")
		s.lists(t, "q", "")
	}},
	{"a good batch does everything", func(t *testing.T, s *room) {
		s.commit(t, put(0, s.doc("a", "x", in("p", "a")), s.doc("b", "x", in("p", "b"))))
		s.commit(t, join(
			put(1, s.doc("a", "y", in("q", "a"))),
			put(0, s.doc("new", "y", in("p", "new"))),
			put(store.Any, s.doc("any", "y", in("q", "any"))),
			s.remove(1, "b"),
		))
		s.has(t, "a", 2, "y")
		s.has(t, "new", 1, "y")
		s.hasNot(t, "b")
		s.lists(t, "p", "new")
		s.lists(t, "q", "a any")
	}},
	{"batches that no engine takes", func(t *testing.T, s *room) {
		long, nul, bad := strings.Repeat("x", 513), "a\x00b", "a\xFFb"
		for name, b := range map[string]store.Batch{
			"a key that is put twice":            put(store.Any, s.doc("a", "x"), s.doc("a", "y")),
			"a key that is put and deleted":      join(put(store.Any, s.doc("a", "x")), s.remove(store.Any, "a")),
			"a key that is deleted twice":        s.remove(store.Any, "a", "a"),
			"a long id":                          put(0, s.doc(long, "x")),
			"an id with NUL":                     put(0, s.doc(nul, "x")),
			"an id that is no UTF-8":             put(0, s.doc(bad, "x")),
			"an empty id":                        put(0, s.doc("", "x")),
			"no kind":                            put(0, store.Document{Key: store.Key{ID: "a"}}),
			"a revision below Any":               put(-2, s.doc("a", "x")),
			"a deletion of a revision below":     s.remove(-2, "a"),
			"an expectation of Any":              s.expect("a", store.Any),
			"an expectation of a bad id":         s.expect(nul, 0),
			"a deletion of a bad id":             s.remove(store.Any, bad),
			"a bound that can't be":              {Bounds: []store.Bound{{Kind: s.kind, Index: "by", Most: -1}}},
			"an owner with NUL":                  put(0, store.Document{Key: s.key("a"), Owner: nul}),
			"an owner that is no UTF-8":          put(0, store.Document{Key: s.key("a"), Owner: bad}),
			"a good document beside a bad one":   put(0, s.doc("a", "x"), s.doc("", "x")),
			"a good document beside a bad bound": join(put(0, s.doc("a", "x")), store.Batch{Bounds: []store.Bound{{Most: -1}}}),
		} {
			err := s.Commit(t.Context(), b)
			if err == nil || errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrLimit) {
				t.Errorf("%s: got %v", name, err)
			}
		}
		s.hasNot(t, "a")
		for _, id := range []string{long, nul, bad, ""} {
			if _, err := s.Get(t.Context(), s.key(id)); err == nil {
				t.Errorf("get %q: no error", id)
			}
		}
	}},
	{"entries are replaced", func(t *testing.T, s *room) {
		s.commit(t, put(0, s.doc("a", "1", in("p", "1"), in("q", "1"), in("r", "1"))))
		s.commit(t, put(0, s.doc("m", "1", in("p", "5"), in("q", "5"), in("r", "5"), in("s", "5"))))
		s.lists(t, "p", "a m")
		s.commit(t, put(1, s.doc("a", "2", in("s", "9"), in("p", "9"), in("r", "1"))))
		s.lists(t, "p", "m a") // moved
		s.lists(t, "q", "m")   // gone
		s.lists(t, "r", "a m") // as before
		s.lists(t, "s", "m a") // new
		for _, p := range []string{"p", "r", "s"} {
			for _, d := range s.all(t, store.Query{Index: "by", Partition: p, Limit: 9}) {
				if want := map[string]int64{"a": 2, "m": 1}[d.ID]; d.Revision != want {
					t.Errorf("%s in %s: got revision %d, want %d", d.ID, p, d.Revision, want)
				}
			}
		}
		s.commit(t, put(2, s.doc("a", "3")))
		for _, p := range []string{"p", "q", "r", "s"} {
			s.lists(t, p, "m")
		}
	}},
	{"an entry that stands twice", func(t *testing.T, s *room) {
		s.commit(t, put(0, s.doc("a", "1", in("p", "1"), in("p", "1"), in("p", "2"))))
		s.lists(t, "p", "a a")
		s.commit(t, put(1, s.doc("a", "2", in("p", "2"), in("p", "2"))))
		s.lists(t, "p", "a")
		s.commit(t, s.remove(2, "a"))
		s.lists(t, "p", "")
	}},
	{"many documents with many entries", func(t *testing.T, s *room) {
		var b store.Batch
		for i := range 100 {
			d := s.doc(fmt.Sprintf("%03d", i), "x")
			for j := range 30 {
				d.Index = append(d.Index, in(fmt.Sprint(j), "x"))
			}
			b.Put = append(b.Put, store.Write{Document: d})
		}
		s.commit(t, b)
		if got := len(s.all(t, store.Query{Index: "by", Partition: "29", Limit: 7})); got != 100 {
			t.Fatalf("got %d documents", got)
		}
		for i := range b.Put {
			b.Put[i].Was, b.Put[i].Index = 1, b.Put[i].Index[:1]
		}
		s.commit(t, b)
		s.lists(t, "29", "")
	}},
	{"a context that ends while commits wait", func(t *testing.T, s *room) {
		// Whether one came through is seen by reading: an error of the context
		// says nothing, success says that it is there.
		ctx, cancel := context.WithCancel(t.Context())
		got := make([]error, 64)
		together(len(got)+1, func(i int) {
			if i == len(got) {
				cancel()
				return
			}
			got[i] = s.Commit(ctx, put(0, s.doc(fmt.Sprint(i), "x")))
		})
		for i, err := range got {
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("commit %d: %v", i, err)
			}
			_, there := s.Get(t.Context(), s.key(fmt.Sprint(i)))
			if err == nil && there != nil {
				t.Errorf("commit %d was answered and is not there: %v", i, there)
			}
		}
	}},
	{"a context whose time is over", func(t *testing.T, s *room) {
		ctx, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
		defer cancel()
		if err := s.Commit(ctx, put(0, s.doc("a", "x"))); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		s.hasNot(t, "a")
	}},
}

// bound is a batch with one bound, of the index "by".
func (s *room) bound(partition string, most int) store.Batch {
	return store.Batch{Bounds: []store.Bound{{Kind: s.kind, Index: "by", Partition: partition, Most: most}}}
}

// full commits and must reach the limit.
func (s *room) full(t *testing.T, b store.Batch) {
	t.Helper()
	if err := s.Commit(t.Context(), b); !errors.Is(err, store.ErrLimit) || errors.Is(err, store.ErrConflict) {
		t.Fatalf("commit: got %v, want %v", err, store.ErrLimit)
	}
}

var boundTests = []test{
	{"up to the bound and no further", func(t *testing.T, s *room) {
		for i := range 3 {
			s.commit(t, join(s.bound("p", 3), put(0, s.doc(fmt.Sprint(i), "x", in("p", "x")))))
		}
		s.full(t, join(s.bound("p", 3), put(0, s.doc("3", "x", in("p", "x")))))
		s.hasNot(t, "3")
		s.lists(t, "p", "0 1 2")
		s.commit(t, join(s.bound("p", 3), put(0, s.doc("other", "x", in("q", "x")))))
	}},
	{"several at once", func(t *testing.T, s *room) {
		s.full(t, join(s.bound("p", 1), put(0, s.doc("a", "x", in("p", "x")), s.doc("b", "x", in("p", "x")))))
		s.full(t, join(s.bound("p", 1), put(0, s.doc("a", "x", in("p", "x"), in("p", "y")))))
		s.lists(t, "p", "")
		s.commit(t, join(s.bound("p", 2), put(0, s.doc("a", "x", in("p", "x")), s.doc("b", "x", in("p", "x")))))
		s.full(t, join(s.bound("q", 9), s.bound("p", 2), put(0, s.doc("c", "x", in("p", "x")))))
	}},
	{"of zero", func(t *testing.T, s *room) {
		s.commit(t, s.bound("p", 0))
		s.full(t, join(s.bound("p", 0), put(0, s.doc("a", "x", in("p", "x")))))
	}},
	{"a document that only moves", func(t *testing.T, s *room) {
		s.commit(t, put(0, s.doc("a", "x", in("p", "1")), s.doc("b", "x", in("p", "2"))))
		s.commit(t, join(s.bound("p", 2), put(1, s.doc("a", "y", in("p", "3")))))
		s.commit(t, join(s.bound("p", 2), put(2, s.doc("a", "z", in("p", "3")))))
		s.lists(t, "p", "b a")
	}},
	{"room that is made in the same batch", func(t *testing.T, s *room) {
		s.commit(t, put(0, s.doc("a", "x", in("p", "1")), s.doc("b", "x", in("p", "2"))))
		s.commit(t, join(s.bound("p", 2), s.remove(1, "a"), put(0, s.doc("c", "x", in("p", "1")))))
		s.commit(t, join(s.bound("p", 2), put(1, s.doc("b", "y", in("q", "2"))), put(0, s.doc("d", "x", in("p", "1")))))
		s.lists(t, "p", "c d")
	}},
	{"what was written without the bound counts", func(t *testing.T, s *room) {
		s.commit(t, join(s.bound("p", 2), put(0, s.doc("a", "x", in("p", "1")))))
		s.commit(t, put(0, s.doc("b", "x", in("p", "1")), s.doc("c", "x", in("p", "1"))))
		s.full(t, join(s.bound("p", 3), put(0, s.doc("d", "x", in("p", "1")))))
		s.full(t, s.bound("p", 2)) // passed already
		s.commit(t, s.remove(1, "b"))
		s.commit(t, join(s.bound("p", 3), put(0, s.doc("d", "x", in("p", "1")))))
	}},
	{"a conflict comes before a bound", func(t *testing.T, s *room) {
		s.commit(t, put(0, s.doc("a", "x", in("p", "1"))))
		s.refused(t, join(s.bound("p", 1), put(0, s.doc("b", "x", in("p", "1"))), put(7, s.doc("a", "y"))), "a", 7)
		s.full(t, join(s.bound("p", 1), put(0, s.doc("b", "x", in("p", "1")))))
		s.lists(t, "p", "a")
	}},
	{"a refused batch does not count", func(t *testing.T, s *room) {
		for range 5 {
			s.refused(t, join(s.bound("p", 2), put(0, s.doc("a", "x", in("p", "1"))), put(7, s.doc("b", "y"))), "b", 7)
		}
		s.commit(t, join(s.bound("p", 1), put(0, s.doc("a", "x", in("p", "1")))))
	}},
	{"many at once", func(t *testing.T, s *room) {
		const most, writers = 7, 40
		got := make([]error, writers)
		together(writers, func(i int) {
			got[i] = s.Commit(t.Context(), join(s.bound("p", most), put(0, s.doc(fmt.Sprint(i), "x", in("p", fmt.Sprint(i))))))
		})
		ok := 0
		for i, err := range got {
			switch {
			case err == nil:
				ok++
			case !errors.Is(err, store.ErrLimit):
				t.Errorf("writer %d: %v", i, err)
			}
		}
		if n := len(s.all(t, store.Query{Index: "by", Partition: "p", Limit: 100})); ok != most || n != most {
			t.Errorf("%d were let in and %d are there, want %d", ok, n, most)
		}
	}},
	{"two bounds that are named in two orders", func(t *testing.T, s *room) {
		const writers = 24
		got := make([]error, writers)
		together(writers, func(i int) {
			bounds := []store.Batch{s.bound("p", writers), s.bound("q", writers)}
			d := s.doc(fmt.Sprint(i), "x", in("p", "x"), in("q", "x"))
			got[i] = s.Commit(t.Context(), join(bounds[i%2], bounds[(i+1)%2], put(0, d)))
		})
		for i, err := range got {
			if err != nil {
				t.Errorf("writer %d: %v", i, err)
			}
		}
	}},
}

package storetest

import (
	"errors"
	"fmt"
	"testing"

	"souk/storage/store"
)

var concurrentTests = []test{
	{"one of many creates a document", func(t *testing.T, s *room) {
		for round := range 10 {
			id := fmt.Sprint("round ", round)
			got := make([]error, 8)
			together(len(got), func(i int) {
				got[i] = s.Commit(t.Context(), put(0, s.doc(id, fmt.Sprint(i), in("p", "x"))))
			})
			won := -1
			for i, err := range got {
				switch {
				case err == nil && won < 0:
					won = i
				case err == nil:
					t.Errorf("%s: %d and %d created it", id, won, i)
				case !errors.Is(err, store.ErrConflict):
					t.Errorf("%s: %v", id, err)
				}
			}
			s.has(t, id, 1, fmt.Sprint(won))
		}
	}},
	{"a counter that many raise loses nothing", func(t *testing.T, s *room) {
		const writers, each = 8, 15
		s.commit(t, put(0, s.doc("a", "1")))
		fail := make([]error, writers)
		together(writers, func(i int) {
			for done := 0; done < each; {
				d, err := s.Get(t.Context(), s.key("a"))
				if err == nil {
					err = s.Commit(t.Context(), put(d.Revision, s.doc("a", fmt.Sprint(d.Revision+1))))
				}
				switch {
				case err == nil:
					done++
				case !errors.Is(err, store.ErrConflict):
					fail[i] = err
					return
				}
			}
		})
		if err := errors.Join(fail...); err != nil {
			t.Fatal(err)
		}
		s.has(t, "a", writers*each+1, fmt.Sprint(writers*each+1))
	}},
	{"writes that do not care all count", func(t *testing.T, s *room) {
		const writers, each = 8, 10
		fail := make([]error, writers)
		together(writers, func(i int) {
			for j := range each {
				d := s.doc("a", fmt.Sprint(i, j), in("p", fmt.Sprint(j)), in(fmt.Sprint(i), "x"))
				if err := s.Commit(t.Context(), put(store.Any, d)); err != nil {
					fail[i] = err
					return
				}
			}
		})
		if err := errors.Join(fail...); err != nil {
			t.Fatal(err)
		}
		d := s.get(t, "a")
		if d.Revision != writers*each {
			t.Errorf("got revision %d", d.Revision)
		}
		// Only the entries of the last write are left.
		var writer, n int
		if _, err := fmt.Sscan(string(d.Body), &writer, &n); err != nil {
			t.Fatal(err)
		}
		s.lists(t, "p", "a")
		for i := range writers {
			want := ""
			if i == writer {
				want = "a"
			}
			s.lists(t, fmt.Sprint(i), want)
		}
	}},
	{"two that each rely on what the other writes", func(t *testing.T, s *room) {
		for round := range 30 {
			a, b := fmt.Sprint("a", round), fmt.Sprint("b", round)
			s.commit(t, put(0, s.doc(a, "x"), s.doc(b, "x")))
			got := make([]error, 2)
			together(2, func(i int) {
				relies, writes := a, b
				if i == 1 {
					relies, writes = b, a
				}
				got[i] = s.Commit(t.Context(), join(s.expect(relies, 1), put(1, s.doc(writes, "y"))))
			})
			oneOf(t, got)
		}
	}},
	{"two that each rely on the absence of what the other creates", func(t *testing.T, s *room) {
		for round := range 30 {
			a, b := fmt.Sprint("a", round), fmt.Sprint("b", round)
			got := make([]error, 2)
			together(2, func(i int) {
				absent, creates := a, b
				if i == 1 {
					absent, creates = b, a
				}
				got[i] = s.Commit(t.Context(), join(s.expect(absent, 0), put(0, s.doc(creates, "y"))))
			})
			oneOf(t, got)
		}
	}},
	{"batches that name the same documents in other orders", func(t *testing.T, s *room) {
		const writers, each = 6, 10
		names := []string{"a", "b", "c", "d"}
		fail := make([]error, writers)
		together(writers, func(i int) {
			for j := range each {
				var b store.Batch
				for k := range names {
					id := names[(i+j+k)%len(names)]
					if i%2 == 0 {
						id = names[(i+j+len(names)-k)%len(names)]
					}
					b = join(b, put(store.Any, s.doc(id, "x", in("p", fmt.Sprint(i)))))
				}
				if err := s.Commit(t.Context(), b); err != nil {
					fail[i] = err
					return
				}
			}
		})
		if err := errors.Join(fail...); err != nil {
			t.Fatal(err)
		}
		for _, id := range names {
			s.has(t, id, writers*each, "x")
		}
	}},
	{"documents that have nothing in common", func(t *testing.T, s *room) {
		const writers, each = 16, 10
		fail := make([]error, writers)
		together(writers, func(i int) {
			for j := range each {
				id := fmt.Sprintf("%02d %02d", i, j)
				if err := s.Commit(t.Context(), put(0, s.doc(id, id, in("p", id)))); err != nil {
					fail[i] = err
					return
				}
				if d, err := s.Get(t.Context(), s.key(id)); err != nil || string(d.Body) != id {
					fail[i] = fmt.Errorf("get %s: got %q, %w", id, d.Body, err)
					return
				}
			}
		})
		if err := errors.Join(fail...); err != nil {
			t.Fatal(err)
		}
		if n := len(s.all(t, store.Query{Index: "by", Partition: "p", Limit: 13})); n != writers*each {
			t.Errorf("got %d documents", n)
		}
	}},
	{"a list beside writers shows each batch whole", func(t *testing.T, s *room) {
		s.commit(t, put(0, s.doc("a", "0", in("p", "a")), s.doc("b", "0", in("p", "b"))))
		fail := make([]error, 3)
		together(3, func(i int) {
			for j := range 50 {
				if i == 0 {
					d := []store.Document{s.doc("a", "x", in("p", "a")), s.doc("b", "x", in("p", "b"))}
					fail[i] = errors.Join(fail[i], s.Commit(t.Context(), put(int64(j)+1, d...)))
					continue
				}
				p, err := s.List(t.Context(), store.Query{Kind: s.kind, Index: "by", Partition: "p", Limit: 2})
				if err != nil || len(p.Documents) != 2 || p.Documents[0].Revision != p.Documents[1].Revision {
					fail[i] = fmt.Errorf("got %+v, %w", p.Documents, err)
					return
				}
			}
		})
		if err := errors.Join(fail...); err != nil {
			t.Fatal(err)
		}
	}},
}

// oneOf checks that the one commit went through and that the other conflicted.
func oneOf(t *testing.T, got []error) {
	t.Helper()
	switch {
	case got[0] == nil && errors.Is(got[1], store.ErrConflict):
	case got[1] == nil && errors.Is(got[0], store.ErrConflict):
	default:
		t.Fatalf("got %v and %v, want one conflict", got[0], got[1])
	}
}

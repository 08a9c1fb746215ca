package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"souk/storage/store"
)

// walk collects what a walk sees.
func (s *room) walk(t *testing.T) map[string]store.Document {
	t.Helper()
	seen := map[string]store.Document{}
	err := s.Store.(store.Walker).Walk(t.Context(), s.kind, func(d store.Document) error {
		if _, twice := seen[d.ID]; twice {
			t.Errorf("%s is seen twice", d.ID)
		}
		seen[d.ID] = d
		// A walk may use the store, and sees documents as Get does.
		if got, err := s.Get(t.Context(), d.Key); err != nil || !cmp.Equal(got, d) {
			t.Errorf("%s: the walk has %+v, Get has %+v, %v", d.ID, d, got, err)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("walk: %v", err)
	}
	return seen
}

var walkTests = []test{
	{"of every document of a kind", func(t *testing.T, s *room) {
		if seen := s.walk(t); len(seen) != 0 {
			t.Errorf("of nothing: got %v", seen)
		}
		var b store.Batch
		for i := range 50 {
			d := s.doc(fmt.Sprint(i), fmt.Sprint("body ", i), in("p", "x"))
			if i%2 == 0 {
				d.Due, d.Owner = time.UnixMilli(int64(i)+1).UTC(), "me"
			}
			b = join(b, put(0, d))
		}
		b = join(b, put(0, store.Document{Key: store.Key{Kind: s.kind + "2", ID: "other"}}))
		s.commit(t, b)
		s.commit(t, s.remove(1, "7"))
		if seen := s.walk(t); len(seen) != 49 {
			t.Errorf("got %d documents", len(seen))
		}
	}},
	{"that is ended by look or by its context", func(t *testing.T, s *room) {
		s.commit(t, put(0, s.doc("a", "x"), s.doc("b", "x")))
		enough, n := errors.New("enough"), 0
		err := s.Store.(store.Walker).Walk(t.Context(), s.kind, func(store.Document) error {
			n++
			return enough
		})
		if !errors.Is(err, enough) || n != 1 {
			t.Errorf("ended by look: got %v after %d", err, n)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err = s.Store.(store.Walker).Walk(ctx, s.kind, func(store.Document) error { return nil })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("ended before: got %v", err)
		}
	}},
	{"of every entry of every index", func(t *testing.T, s *room) {
		// One whose entries hold what lists show, and one whose entries may not.
		s.commit(t, put(0, s.doc("a", "x", in("p", "1"), in("q", "2"))))
		work := s.doc("b", "y", in("p", "3"))
		work.Due = time.Now().Add(time.Hour)
		s.commit(t, put(0, work))
		s.commit(t, put(0, s.doc("gone", "z", in("p", "4"))))
		s.commit(t, s.remove(1, "gone"))
		seen := map[string]int{}
		err := s.Store.(store.Walker).WalkIndex(t.Context(), func(l *store.Listing) error {
			if l.Kind == s.kind {
				seen[fmt.Sprintf("%s %s %d %s", l.Place[len(l.Place)-1:], l.Cover, l.Revision, l.Summary)]++
			}
			return nil
		})
		want := map[string]int{}
		for _, e := range []struct {
			id, body string
			store.Entry
		}{{"a", "x", in("p", "1")}, {"a", "x", in("q", "2")}, {"b", "y", in("p", "3")}} {
			want[fmt.Sprintf("%s %s 1 summary of %s", e.id, e.Cover, e.body)]++
		}
		if err != nil || !cmp.Equal(seen, want) {
			t.Errorf("got %v, %v, want %v", seen, err, want)
		}
	}},
	{"of entries that is ended by look", func(t *testing.T, s *room) {
		s.commit(t, put(0, s.doc("a", "x", in("p", "1"), in("q", "2"))))
		enough, n := errors.New("enough"), 0
		err := s.Store.(store.Walker).WalkIndex(t.Context(), func(*store.Listing) error {
			n++
			return enough
		})
		if !errors.Is(err, enough) || n != 1 {
			t.Errorf("got %v after %d", err, n)
		}
	}},
}

package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"souk/storage/store"
)

// due is a document that is work from a time on.
func (s *room) due(id string, at time.Time) store.Document {
	d := s.doc(id, "body of "+id)
	d.Due = at
	return d
}

// claim claims and must not fail.
func (s *room) claim(t *testing.T, n int, owner string, lease time.Duration) []store.Document {
	t.Helper()
	docs, err := s.Claim(t.Context(), s.kind, n, owner, lease)
	if err != nil {
		t.Fatalf("claim: %v", err)
	}
	if len(docs) > n {
		t.Fatalf("claim of %d: got %d", n, len(docs))
	}
	return docs
}

// now is the database's time.
func (s *room) now(t *testing.T) time.Time {
	t.Helper()
	now, err := s.Now(t.Context())
	if err != nil {
		t.Fatalf("now: %v", err)
	}
	return now
}

const long = time.Hour

var claimTests = []test{
	{"work is handed out oldest first, up to n", func(t *testing.T, s *room) {
		now := s.now(t)
		for i, age := range []time.Duration{3, 1, 5, 2, 4} {
			s.commit(t, put(0, s.due(fmt.Sprint(i), now.Add(-age*time.Minute))))
		}
		if got := ids(s.claim(t, 2, "me", long)); got != "2 4" {
			t.Errorf("got %q", got)
		}
		if got := ids(s.claim(t, 9, "me", long)); got != "0 3 1" {
			t.Errorf("then got %q", got)
		}
		if got := ids(s.claim(t, 9, "me", long)); got != "" {
			t.Errorf("then got %q", got)
		}
	}},
	{"what a claim returns and leaves", func(t *testing.T, s *room) {
		d := s.due("a", s.now(t).Add(-time.Second))
		d.Index = []store.Entry{in("p", "x")}
		s.commit(t, put(0, d))
		before := s.now(t)
		docs := s.claim(t, 1, "me", long)
		after := s.now(t)
		if len(docs) != 1 {
			t.Fatalf("got %d documents", len(docs))
		}
		got := docs[0]
		if got.Key != d.Key || got.Revision != 2 || string(got.Body) != "body of a" || string(got.Summary) != string(d.Summary) || got.Owner != "me" || got.Index != nil {
			t.Errorf("got %+v", got)
		}
		if got.Due.Before(before.Add(long)) || got.Due.After(after.Add(long)) {
			t.Errorf("due is %v, want %v to %v", got.Due, before.Add(long), after.Add(long))
		}
		stored := s.get(t, "a")
		if stored.Revision != 2 || stored.Owner != "me" || !stored.Due.Equal(got.Due) || string(stored.Body) != "body of a" {
			t.Errorf("stored is %+v", stored)
		}
		if p := s.page(t, store.Query{Index: "by", Partition: "p", Limit: 1}); len(p.Documents) != 1 || p.Documents[0].Revision != 2 {
			t.Errorf("the list has %+v", p)
		}
	}},
	{"what is no work or not yet", func(t *testing.T, s *room) {
		now := s.now(t)
		s.commit(t, put(0, s.doc("never", "x"), s.due("later", now.Add(long)), s.due("then", now)))
		other := s.due("other", now)
		other.Kind += "x"
		s.commit(t, put(0, other))
		if got := ids(s.claim(t, 9, "me", long)); got != "then" {
			t.Errorf("got %q", got)
		}
		s.commit(t, put(1, s.due("later", now.Add(-long))))
		if got := ids(s.claim(t, 9, "me", long)); got != "later" {
			t.Errorf("then got %q", got)
		}
		if got := s.claim(t, 0, "me", long); len(got) != 0 {
			t.Errorf("of none: got %q", ids(got))
		}
	}},
	{"work ends by a put", func(t *testing.T, s *room) {
		s.commit(t, put(0, s.due("a", s.now(t)), s.due("b", s.now(t))))
		for _, d := range s.claim(t, 2, "me", 0) { // the lease is over at once
			d.Body, d.Due, d.Owner = []byte("done"), time.Time{}, ""
			s.commit(t, put(d.Revision, d))
		}
		if got := ids(s.claim(t, 9, "you", long)); got != "" {
			t.Errorf("got %q", got)
		}
		s.has(t, "a", 3, "done")
		if d := s.get(t, "b"); !d.Due.IsZero() || d.Owner != "" {
			t.Errorf("got %+v", d)
		}
	}},
	{"a lease that is over is handed to another, and the first can't finish", func(t *testing.T, s *room) {
		s.commit(t, put(0, s.due("a", s.now(t))))
		mine := s.claim(t, 1, "me", 40*time.Millisecond)
		if len(mine) != 1 {
			t.Fatal("nothing was claimed")
		}
		var yours []store.Document
		wait(t, "the end of the lease", func() bool {
			yours = s.claim(t, 1, "you", long)
			return len(yours) > 0
		})
		if now := s.now(t); now.Before(mine[0].Due) {
			t.Errorf("handed out at %v, the lease goes to %v", now, mine[0].Due)
		}
		if yours[0].Revision != 3 || yours[0].Owner != "you" {
			t.Errorf("got %+v", yours[0])
		}
		mine[0].Due = time.Time{}
		s.refused(t, put(mine[0].Revision, mine[0]), "a", 2)
		yours[0].Due = time.Time{}
		s.commit(t, put(yours[0].Revision, yours[0]))
	}},
	{"a lease that is prolonged", func(t *testing.T, s *room) {
		s.commit(t, put(0, s.due("a", s.now(t))))
		d := s.claim(t, 1, "me", 0)[0]
		d.Due = s.now(t).Add(long)
		s.commit(t, put(d.Revision, d))
		if got := ids(s.claim(t, 9, "you", long)); got != "" {
			t.Errorf("got %q", got)
		}
		d.Due = time.Time{}
		s.commit(t, put(d.Revision+1, d))
	}},
	{"a put that takes a claimed document away", func(t *testing.T, s *room) {
		s.commit(t, put(0, s.due("a", s.now(t))))
		d := s.claim(t, 1, "me", long)[0]
		s.commit(t, put(store.Any, s.doc("a", "cancelled")))
		s.refused(t, put(d.Revision, d), "a", d.Revision)
		s.has(t, "a", 3, "cancelled")
	}},
	{"several owners never get the same", func(t *testing.T, s *room) {
		const owners, documents = 8, 120
		now := s.now(t)
		for i := 0; i < documents; i += 40 {
			var b store.Batch
			for j := i; j < i+40; j++ {
				b = join(b, put(0, s.due(fmt.Sprintf("%03d", j), now.Add(-time.Duration(j)*time.Second))))
			}
			s.commit(t, b)
		}
		var mu sync.Mutex
		by := map[string]string{}
		fail := make([]error, owners)
		together(owners, func(i int) {
			owner := fmt.Sprint("owner ", i)
			for {
				docs, err := s.Claim(t.Context(), s.kind, 1+i%4, owner, long)
				if err != nil {
					fail[i] = err
					return
				}
				if len(docs) == 0 {
					// Others may hold what is left for a moment: the claim passes it over.
					mu.Lock()
					n := len(by)
					mu.Unlock()
					if n == documents {
						return
					}
					continue
				}
				for _, d := range docs {
					mu.Lock()
					if was, twice := by[d.ID]; twice {
						fail[i] = fmt.Errorf("%s was given to %s and to %s", d.ID, was, owner)
					}
					by[d.ID] = owner
					mu.Unlock()
					if d.Owner != owner || d.Revision != 2 || string(d.Body) != "body of "+d.ID {
						fail[i] = fmt.Errorf("%s got %+v", owner, d)
					}
				}
				if fail[i] != nil {
					return
				}
			}
		})
		if err := errors.Join(fail...); err != nil {
			t.Fatal(err)
		}
		for id, owner := range by {
			if d := s.get(t, id); d.Owner != owner || d.Revision != 2 {
				t.Errorf("%s: got %s of %s, want %s", id, fmt.Sprint(d.Revision), d.Owner, owner)
			}
		}
	}},
	{"a claim and a put of the same revision", func(t *testing.T, s *room) {
		for round := range 20 {
			id := fmt.Sprint(round)
			s.commit(t, put(0, s.due(id, s.now(t))))
			var docs []store.Document
			got := make([]error, 2)
			together(2, func(i int) {
				if i == 0 {
					docs, got[i] = s.Claim(t.Context(), s.kind, 1, "me", long)
				} else {
					got[i] = s.Commit(t.Context(), put(1, s.doc(id, "cancelled")))
				}
			})
			switch {
			case got[0] != nil:
				t.Fatalf("claim: %v", got[0])
			case got[1] == nil && len(docs) == 0: // the put was first
				s.has(t, id, 2, "cancelled")
			case errors.Is(got[1], store.ErrConflict) && len(docs) == 1:
				s.has(t, id, 2, "body of "+id)
			default:
				t.Fatalf("both came through: %q and %v", ids(docs), got[1])
			}
		}
	}},
	{"many finish what they claimed, once each", func(t *testing.T, s *room) {
		const owners, documents = 6, 60
		var b store.Batch
		now := s.now(t)
		for i := range documents {
			b = join(b, put(0, s.due(fmt.Sprintf("%03d", i), now)))
		}
		s.commit(t, b)
		done := make([]int, owners)
		fail := make([]error, owners)
		together(owners, func(i int) {
			for {
				// The lease is over at once, so that owners take from each other.
				docs, err := s.Claim(t.Context(), s.kind, 3, fmt.Sprint(i), 0)
				if err != nil {
					fail[i] = err
					return
				}
				for _, d := range docs {
					d.Due, d.Body = time.Time{}, []byte("done")
					switch err := s.Commit(t.Context(), put(d.Revision, d)); {
					case err == nil:
						done[i]++
					case !errors.Is(err, store.ErrConflict):
						fail[i] = err
						return
					}
				}
				if len(docs) == 0 {
					left := false
					for j := range documents {
						d, err := s.Get(t.Context(), s.key(fmt.Sprintf("%03d", j)))
						left = left || err != nil || !d.Due.IsZero()
					}
					if !left {
						return
					}
				}
			}
		})
		if err := errors.Join(fail...); err != nil {
			t.Fatal(err)
		}
		sum := 0
		for _, n := range done {
			sum += n
		}
		if sum != documents {
			t.Errorf("%d were finished, want %d", sum, documents)
		}
	}},
	{"the clock is near ours and goes on", func(t *testing.T, s *room) {
		first := s.now(t)
		if apart := time.Since(first).Abs(); apart > long {
			t.Errorf("the clocks are %v apart", apart)
		}
		if first.Location() != time.UTC || first.Nanosecond()%1e6 != 0 {
			t.Errorf("got %v, want UTC to the millisecond", first)
		}
		wait(t, "a later time", func() bool { return s.now(t).After(first) })
	}},
}

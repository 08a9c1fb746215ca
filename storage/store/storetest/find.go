package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"souk/storage/store"
)

// having is a document with terms, which its summary repeats.
func (s *room) having(id string, terms ...string) store.Document {
	if terms == nil {
		terms = []string{}
	}
	return store.Document{Key: s.key(id), Summary: []byte(strings.Join(terms, " ")), Terms: terms}
}

// failing is what a test and a drawn one have in common.
type failing interface {
	Helper()
	Context() context.Context
	Fatalf(format string, args ...any)
}

// find returns the ids of the documents that have the terms. Others may be
// returned, but no document twice.
func (s *room) find(t failing, all ...[]string) string {
	t.Helper()
	found, whole, err := s.Find(t.Context(), store.Search{Kind: s.kind, All: all, Limit: 1000})
	if err != nil || !whole {
		t.Fatalf("find %v: whole %v, %v", all, whole, err)
	}
	seen := map[string]bool{}
	var ids []string
	for _, d := range found {
		if seen[d.ID] || d.Kind != s.kind || d.Revision < 1 {
			t.Fatalf("find %v: got %+v, seen before: %v", all, d, seen[d.ID])
		}
		seen[d.ID] = true
		if hasAll(strings.Fields(string(d.Summary)), all) {
			ids = append(ids, d.ID)
		}
	}
	slices.Sort(ids)
	return strings.Join(ids, " ")
}

func hasAll(has []string, all [][]string) bool {
	return !slices.ContainsFunc(all, func(group []string) bool {
		return !slices.ContainsFunc(group, func(term string) bool { return slices.Contains(has, term) })
	})
}

// finds checks find.
func (s *room) finds(t *testing.T, want string, all ...[]string) {
	t.Helper()
	if got := s.find(t, all...); got != want {
		t.Fatalf("find %v: got %q, want %q", all, got, want)
	}
}

// is is a group of terms.
func is(terms ...string) []string { return terms }

var findTests = []test{
	{"by one term and by several", func(t *testing.T, s *room) {
		s.commit(t, put(0, s.having("a", "x", "y"), s.having("b", "y", "z", "y"), s.having("c"), s.doc("d", "x")))
		s.finds(t, "a", is("x"))
		s.finds(t, "a b", is("y"))
		s.finds(t, "b", is("y"), is("z"))
		s.finds(t, "", is("x"), is("z"))
		s.finds(t, "a b", is("x", "z"))
		s.finds(t, "a b", is("x", "z"), is("y"))
		s.finds(t, "", is("none"))
		s.finds(t, "", is("x"), is())
		s.finds(t, "", is("x", "none"), is("none"))
	}},
	{"of one kind", func(t *testing.T, s *room) {
		s.commit(t, put(0, s.having("a", "x"), store.Document{Key: store.Key{Kind: s.kind + "2", ID: "other"}, Terms: []string{"x"}}))
		s.finds(t, "a", is("x"))
	}},
	{"with revision and summary", func(t *testing.T, s *room) {
		s.commit(t, put(0, s.having("a", "x")))
		s.commit(t, put(1, s.having("a", "x", "y")))
		found, whole, err := s.Find(t.Context(), store.Search{Kind: s.kind, All: [][]string{{"x"}}, Limit: 1})
		want := []store.Document{{Key: s.key("a"), Revision: 2, Summary: []byte("x y")}}
		if diff := cmp.Diff(want, found); diff != "" || !whole || err != nil {
			t.Errorf("whole %v, %v (-want +got):\n%s", whole, err, diff)
		}
	}},
	{"after terms were replaced, left and removed", func(t *testing.T, s *room) {
		s.commit(t, put(0, s.having("a", "x", "y")))
		s.commit(t, put(1, s.having("a", "y", "z")))
		s.finds(t, "", is("x"))
		s.finds(t, "a", is("z"))
		left := s.having("a", "y", "z")
		left.Terms = nil
		left.Index = []store.Entry{in("p", "x")}
		s.commit(t, put(2, left))
		s.finds(t, "a", is("z"))
		s.commit(t, put(store.Any, s.having("a")))
		s.finds(t, "", is("z"))
		s.commit(t, put(store.Any, s.having("a", "z")))
		s.finds(t, "a", is("z"))
	}},
	{"nothing of what was deleted or refused", func(t *testing.T, s *room) {
		s.commit(t, put(0, s.having("a", "x")))
		s.commit(t, s.remove(1, "a"))
		s.finds(t, "", is("x"))
		s.commit(t, put(0, s.having("b", "x")))
		s.refused(t, put(5, s.having("b", "y")), "b", 5)
		s.finds(t, "b", is("x"))
		s.finds(t, "", is("y"))
	}},
	{"work", func(t *testing.T, s *room) {
		d := s.having("a", "x")
		d.Due = time.UnixMilli(1)
		s.commit(t, put(0, d))
		if _, err := s.Claim(t.Context(), s.kind, 1, "me", time.Hour); err != nil {
			t.Fatal(err)
		}
		s.finds(t, "a", is("x"))
	}},
	{"more than the limit", func(t *testing.T, s *room) {
		var b store.Batch
		for i := range 300 {
			b = join(b, put(0, s.having(fmt.Sprint(i), "all", fmt.Sprint("of", i/3))))
		}
		s.commit(t, b)
		for limit, want := range map[int]bool{1: false, 299: false, 300: true} {
			found, whole, err := s.Find(t.Context(), store.Search{Kind: s.kind, All: [][]string{{"all"}}, Limit: limit})
			if whole != want || err != nil || whole && len(found) != 300 {
				t.Errorf("limit %d: got %d, whole %v, %v", limit, len(found), whole, err)
			}
		}
		s.finds(t, "150 151 152", is("all"), is("of50"))
		s.finds(t, "150 151 152 3 4 5", is("of50", "of1"), is("all", "none"))
	}},
	{"that can't be", func(t *testing.T, s *room) {
		for _, q := range []store.Search{{Kind: s.kind, Limit: 1}, {Kind: s.kind, All: [][]string{{"x"}}}} {
			if _, _, err := s.Find(t.Context(), q); err == nil {
				t.Errorf("%+v: was found", q)
			}
		}
	}},
	{"by terms that were set later", func(t *testing.T, s *room) {
		x := s.having("a", "x")
		x.Terms = nil
		s.commit(t, put(0, x, s.having("b", "x"), s.doc("c", "x", in("p", "1"))))
		s.commit(t, put(1, s.having("b", "x")))
		s.finds(t, "b", is("x"))
		set := func(id string, revision int64, terms ...string) store.Terms {
			return store.Terms{Key: s.key(id), Revision: revision, Terms: terms}
		}
		err := s.Store.(store.Indexer).SetTerms(t.Context(), []store.Terms{set("a", 1, "x"), set("b", 1, "y"), set("c", 1, "y"), set("none", 1, "y")})
		if err != nil {
			t.Fatal(err)
		}
		s.finds(t, "a b", is("x"))
		s.finds(t, "", is("z"))
		s.has(t, "c", 1, "x")
		s.lists(t, "p", "c")
		s.commit(t, put(1, s.having("c", "x"))) // what was set goes with the next write
		s.finds(t, "a b c", is("x"))
		s.finds(t, "", is("y"))
		if err := s.Store.(store.Indexer).SetTerms(t.Context(), nil); err != nil {
			t.Error(err)
		}
	}},
	{"in a walk", func(t *testing.T, s *room) {
		s.commit(t, put(0, s.having("a", "x", "y"), s.having("b", "y", "x", "x"), s.having("c", "x"), s.having("d"), s.doc("e", "")))
		sums := map[string]uint64{}
		err := s.Store.(store.Walker).WalkTerms(t.Context(), s.kind, func(id string, sum uint64) error {
			sums[id] = sum
			return nil
		})
		if err != nil || len(sums) != 3 || sums["a"] != sums["b"] || sums["a"] == sums["c"] {
			t.Errorf("got %v, %v", sums, err)
		}
	}},
	{"as the model does", func(t *testing.T, s *room) {
		kind := s.kind
		n := 0
		words := []string{"a", "b", "c", "d"}
		rapid.Check(t, func(t *rapid.T) {
			n++
			s := &room{Store: s.Store, kind: fmt.Sprint(kind, n)}
			model := map[string][]string{}
			revisions := map[string]int64{}
			group := rapid.SliceOfNDistinct(rapid.SampledFrom(words), 0, 3, rapid.ID)
			for range rapid.IntRange(1, 8).Draw(t, "batches") {
				var b store.Batch
				for _, id := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"1", "2", "3"}), 1, 3, rapid.ID).Draw(t, "ids") {
					if revisions[id] > 0 && rapid.IntRange(0, 3).Draw(t, "what") == 0 {
						b.Delete = append(b.Delete, store.Removal{Key: s.key(id), Was: revisions[id]})
						delete(model, id)
						revisions[id] = 0
						continue
					}
					model[id] = append([]string{}, group.Draw(t, "terms")...)
					b = join(b, put(revisions[id], s.having(id, model[id]...)))
					revisions[id]++
				}
				if err := s.Commit(t.Context(), b); err != nil {
					t.Fatalf("commit: %v", err)
				}
				all := rapid.SliceOfN(group, 1, 3).Draw(t, "all")
				var want []string
				for _, id := range []string{"1", "2", "3"} {
					if has, there := model[id]; there && hasAll(has, all) {
						want = append(want, id)
					}
				}
				if got := s.find(t, all...); got != strings.Join(want, " ") {
					t.Fatalf("find %v: got %q, want %q of %v", all, got, want, model)
				}
			}
		})
	}},
}

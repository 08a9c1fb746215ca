package postgres

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"souk/storage/store"
	"souk/storage/store/postgres/pgtest"
)

// TestSearchesWithCommonTerms: what a search finds does not depend on what the
// database knows of the terms.
func TestSearchesWithCommonTerms(t *testing.T) {
	t.Parallel()
	url := pgtest.Start(t)
	open := func() *Store {
		s, err := Open(t.Context(), Config{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	young := open()
	const n = 1000
	var b store.Batch
	for i := range n {
		terms := []string{"all", "most", fmt.Sprint("one", i), fmt.Sprint("of 50 ", i/50), fmt.Sprint("of 200 ", i%5)}
		if i == 7 {
			terms = append(terms[:1:1], terms[2:]...)
		}
		b.Put = append(b.Put, store.Write{Document: store.Document{
			Key: store.Key{Kind: "thing", ID: fmt.Sprintf("%04d", i)}, Summary: []byte(strings.Join(terms, ",")), Terms: terms,
		}})
	}
	err := young.Commit(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	if known := young.frequentTerms(t.Context()); len(known) > 0 {
		t.Errorf("%d terms are known before the database has looked", len(known))
	}
	_, err = young.pool.Exec(t.Context(), `ANALYZE term`)
	if err != nil {
		t.Fatal(err)
	}
	grown := open()
	known := grown.frequentTerms(t.Context())
	for term, among := range map[string][2]float32{"all": {1, 1}, "most": {0.99, 1}, "of 200 3": {0.19, 0.21}, "one8": {0, 0.01}} {
		if part := known[groupsOf("thing", [][]string{{term}})[0][0]]; part < among[0] || part > among[1] {
			t.Errorf("%s is known to be in %v of the documents", term, part)
		}
	}

	for name, c := range map[string]struct {
		all   [][]string
		limit int
		want  []string // nil: not compared
		found int      // with those that the caller turns down
	}{
		"rare and common":                   {[][]string{{"all"}, {"one8"}, {"most"}}, 10, []string{"0008"}, 1},
		"rare, and lacks a common one":      {[][]string{{"all"}, {"one7"}, {"most"}}, 10, []string{}, 1},
		"group of which a part is common":   {[][]string{{"one8", "all"}, {"one9"}}, 10, []string{"0009"}, 1},
		"group of rare ones, and common":    {[][]string{{"one8", "one7"}, {"most"}}, 10, []string{"0008"}, 2},
		"many rare that common ones lessen": {[][]string{{"of 50 3"}, {"of 200 3"}}, 10, []string{"0153", "0158", "0163", "0168", "0173", "0178", "0183", "0188", "0193", "0198"}, 10},
		"common alone":                      {[][]string{{"of 200 3"}, {"all"}}, 300, nil, 200},
		"common alone, too many":            {[][]string{{"of 200 3"}, {"all"}}, 199, nil, 0},
		"that is nowhere":                   {[][]string{{"none"}, {"all"}}, 10, []string{}, 0},
	} {
		for which, s := range map[string]*Store{"young": young, "grown": grown} {
			found, whole, err := s.Find(t.Context(), store.Search{Kind: "thing", All: c.all, Limit: c.limit})
			if err != nil || whole != (c.limit != 199) {
				t.Fatalf("%s, %s: whole %v, %v", name, which, whole, err)
			}
			if which == "grown" && len(found) != c.found {
				t.Errorf("%s: found %d, want %d", name, len(found), c.found)
			}
			if c.want == nil {
				continue
			}
			ids := []string{}
			for _, d := range found {
				has := strings.Split(string(d.Summary), ",")
				if !slices.ContainsFunc(c.all, func(group []string) bool {
					return !slices.ContainsFunc(group, func(term string) bool { return slices.Contains(has, term) })
				}) {
					ids = append(ids, d.ID)
				}
			}
			slices.Sort(ids)
			if d := cmp.Diff(c.want, ids); d != "" {
				t.Errorf("%s, %s (-want +got):\n%s", name, which, d)
			}
		}
	}
}

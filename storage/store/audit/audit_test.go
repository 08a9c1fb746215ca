package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"souk/storage/store"
	"souk/storage/store/internal/layout"
)

// shelf is a store that is only walked: what its indexes have is spoilt at will.
type shelf struct {
	documents []store.Document
	entries   []store.Listing
	terms     map[string]uint64
}

func (s *shelf) WalkTerms(_ context.Context, _ string, look func(id string, sum uint64) error) error {
	for id, sum := range s.terms {
		if err := look(id, sum); err != nil {
			return err
		}
	}
	return nil
}

func (s *shelf) Walk(_ context.Context, kind string, look func(store.Document) error) error {
	for _, d := range s.documents {
		if d.Kind != kind {
			continue
		}
		d.Index = nil
		if err := look(d); err != nil {
			return err
		}
	}
	return nil
}

func (s *shelf) WalkIndex(_ context.Context, look func(*store.Listing) error) error {
	for i := range s.entries {
		if err := look(&s.entries[i]); err != nil {
			return err
		}
	}
	return nil
}

func (s *shelf) put(d store.Document) {
	s.documents = append(s.documents, d)
	for _, r := range layout.Rows(d.Kind, d.Index) {
		s.entries = append(s.entries, store.Listing{Place: append(r.Place, d.ID...), Cover: r.Cover, Kind: d.Kind, Revision: d.Revision, Summary: d.Summary})
	}
}

func index(id string) []store.Entry {
	return []store.Entry{{Index: "all", Sort: "s" + id, Cover: []byte("c")}, {Index: "one", Partition: id}}
}

func should(d store.Document) ([]byte, []store.Entry, error) {
	if len(d.Body) == 0 {
		return nil, nil, errors.New("it can't be read")
	}
	return []byte("shown " + d.ID), index(d.ID), nil
}

func TestListsNamesWhatDiffers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		spoil func(s *shelf)
		want  string
	}{
		"nothing": {want: "", spoil: func(*shelf) {}},
		"an entry is missing": {want: "thing 7: list one of 7 lacks it", spoil: func(s *shelf) {
			s.entries = slices.DeleteFunc(s.entries, func(l store.Listing) bool {
				return string(l.Place) == string(append(layout.AppendPlace(nil, layout.PrefixOf("thing", "one", "7"), ""), "7"...))
			})
		}},
		"an entry shows an older revision": {want: "shows it otherwise than it is", spoil: func(s *shelf) { s.entries[3].Revision-- }},
		"an entry shows another summary":   {want: "shows it otherwise than it is", spoil: func(s *shelf) { s.entries[3].Summary = nil }},
		"an entry of a document that is gone": {want: " 0: it is listed and not there", spoil: func(s *shelf) {
			s.documents = s.documents[1:]
			s.entries[0].Kind, s.entries[1].Kind = "", ""
		}},
		"two entries change places": {want: "doesn't belong", spoil: func(s *shelf) {
			s.entries[0].Place = append(layout.AppendPlace(nil, layout.PrefixOf("thing", "one", "7"), ""), "0"...)
		}},
		"a summary of another time": {want: "thing 3: what lists show of it is not what it says", spoil: func(s *shelf) {
			s.documents[3].Summary = []byte("old")
			for i := range s.entries {
				if string(s.entries[i].Summary) == "shown 3" {
					s.entries[i].Summary = []byte("old")
				}
			}
		}},
		"a document that can't be read":   {want: "thing 5: it is in a list where it doesn't belong", spoil: func(s *shelf) { s.documents[5].Body = nil }},
		"an entry of a kind not asked of": {want: "", spoil: func(s *shelf) { s.entries = append(s.entries, store.Listing{Kind: "other"}) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &shelf{}
			for i := range 100 {
				id := fmt.Sprint(i)
				s.put(store.Document{Key: store.Key{Kind: "thing", ID: id}, Revision: 3, Body: []byte("x"), Summary: []byte("shown " + id), Index: index(id)})
			}
			test.spoil(s)
			wrong, err := Lists(t.Context(), s, map[string]Should{"thing": should})
			if err != nil {
				t.Fatal(err)
			}
			var said []string
			for _, w := range wrong {
				said = append(said, w.Kind+" "+w.ID+": "+w.What)
			}
			if test.want == "" && len(said) > 0 || !strings.Contains(strings.Join(said, "\n"), test.want) {
				t.Errorf("found %q, want %q", said, test.want)
			}
		})
	}
}

func TestListsOfAnEntryWithADamagedKey(t *testing.T) {
	t.Parallel()
	s := &shelf{entries: []store.Listing{{Place: []byte("short"), Kind: "thing"}}}
	if _, err := Lists(t.Context(), s, map[string]Should{"thing": should}); err == nil {
		t.Error("no error")
	}
}

func TestTermsNamesWhatDiffers(t *testing.T) {
	t.Parallel()
	sum := func(terms ...string) uint64 { return layout.SumOf(layout.TermsOf("thing", terms)) }
	for name, test := range map[string]struct {
		spoil func(s *shelf)
		want  string
	}{
		"nothing":                           {func(*shelf) {}, ""},
		"terms are missing":                 {func(s *shelf) { delete(s.terms, "7") }, "thing 7: it is not found by its terms"},
		"terms of another":                  {func(s *shelf) { s.terms["7"] = sum("8") }, "thing 7: it is found by other terms than its own"},
		"one term less":                     {func(s *shelf) { s.terms["7"] = sum("7") }, "thing 7: it is found by other terms than its own"},
		"a document that can't be read":     {func(s *shelf) { s.documents[7].Body = nil }, ""},
		"a document with none that has one": {func(s *shelf) { s.terms["none"] = sum("x") }, "thing none: it is found by other terms than its own"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &shelf{terms: map[string]uint64{}}
			for i := range 100 {
				id := fmt.Sprint(i)
				s.put(store.Document{Key: store.Key{Kind: "thing", ID: id}, Body: []byte("x")})
				s.terms[id] = sum(id, "all")
			}
			s.put(store.Document{Key: store.Key{Kind: "thing", ID: "none"}, Body: []byte("x")})
			test.spoil(s)
			wrong, err := Terms(t.Context(), s, "thing", func(d store.Document) ([]string, error) {
				switch {
				case len(d.Body) == 0:
					return nil, errors.New("it can't be read")
				case d.ID == "none":
					return nil, nil
				}
				return []string{d.ID, "all"}, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			var said []string
			for _, w := range wrong {
				said = append(said, w.Kind+" "+w.ID+": "+w.What)
			}
			if got := strings.Join(said, "; "); got != test.want {
				t.Errorf("found %q, want %q", got, test.want)
			}
		})
	}
}

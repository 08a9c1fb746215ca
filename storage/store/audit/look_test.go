package audit_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"souk/storage/store"
	"souk/storage/store/audit"
	"souk/storage/store/sqlite/sqlitetest"
)

// onlyStore is a store that can't be walked.
type onlyStore struct{ store.Store }

func TestDocumentsBelievesWhatIsFoundTwice(t *testing.T) {
	t.Parallel()
	s := sqlitetest.Open(t)
	write := func(id, body string) {
		err := s.Commit(t.Context(), store.Batch{Put: []store.Write{{Was: store.Any, Document: store.Document{Key: store.Key{Kind: "thing", ID: id}, Body: []byte(body)}}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"mended", "gone", "worse", "bad"} {
		write(id, "bad")
	}
	write("good", "")
	looks := map[string]int{}
	wrong, err := audit.Documents(t.Context(), s, map[string]audit.Look{"thing": func(_ context.Context, d store.Document) (string, error) {
		looks[d.ID]++
		if looks[d.ID] == 1 { // what happens to it right after the walk has seen it
			switch d.ID {
			case "mended":
				write(d.ID, "")
			case "worse":
				write(d.ID, "worse")
			case "gone":
				err := s.Commit(t.Context(), store.Batch{Delete: []store.Removal{{Key: d.Key, Was: store.Any}}})
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		return string(d.Body), nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, w := range wrong {
		got[w.String()] = true
	}
	if len(got) != 2 || !got["thing bad: bad"] || !got["thing worse: worse"] {
		t.Errorf("it finds %v", wrong)
	}
	want := map[string]int{"mended": 2, "gone": 1, "worse": 2, "bad": 2, "good": 1}
	if fmt.Sprint(looks) != fmt.Sprint(want) {
		t.Errorf("it looked %v times, want %v", looks, want)
	}
}

func TestDocumentsEndsAtAnError(t *testing.T) {
	t.Parallel()
	s := sqlitetest.Open(t)
	err := s.Commit(t.Context(), store.Batch{Put: []store.Write{{Document: store.Document{Key: store.Key{Kind: "thing", ID: "a"}}}}})
	if err != nil {
		t.Fatal(err)
	}
	ours := errors.New("it can't be told")
	_, err = audit.Documents(t.Context(), s, map[string]audit.Look{"thing": func(context.Context, store.Document) (string, error) { return "", ours }})
	if !errors.Is(err, ours) {
		t.Errorf("a look that fails: %v", err)
	}
	_, err = audit.Documents(t.Context(), onlyStore{s}, nil)
	if err == nil || err.Error() != "the store can't be walked" {
		t.Errorf("a store that can't be walked: %v", err)
	}
}

package store_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"souk/storage/store"
	"souk/storage/store/sqlite/sqlitetest"
)

func TestAllGoesOnFromPageToPage(t *testing.T) {
	t.Parallel()
	s := sqlitetest.Open(t)
	for _, id := range strings.Fields("a b c d e") {
		err := s.Commit(t.Context(), store.Batch{Put: []store.Write{{Document: store.Document{
			Key: store.Key{Kind: "thing", ID: id}, Index: []store.Entry{{Index: "all", Sort: id}},
		}}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	read := func(ctx context.Context, until string, limit int) (got string, err error) {
		for d, err := range store.All(ctx, s, store.Query{Kind: "thing", Index: "all", Limit: limit}) {
			if err != nil {
				return got, err
			}
			got += d.ID
			if d.ID == until {
				break
			}
		}
		return got, nil
	}
	for _, limit := range []int{1, 2, 5, 100} {
		if got, err := read(t.Context(), "", limit); got != "abcde" || err != nil {
			t.Errorf("in pages of %d it returns %s, %v", limit, got, err)
		}
		if got, err := read(t.Context(), "c", limit); got != "abc" || err != nil {
			t.Errorf("in pages of %d until c it returns %s, %v", limit, got, err)
		}
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if got, err := read(ended, "", 2); got != "" || !errors.Is(err, context.Canceled) {
		t.Errorf("when the context has ended it returns %q, %v", got, err)
	}
}

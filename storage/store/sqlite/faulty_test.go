package sqlite_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"souk/storage/store"
	"souk/storage/store/sqlite"
	"souk/storage/store/storetest"
)

func TestFaultyLosesTheWriteOrItsAnswer(t *testing.T) {
	t.Parallel()
	for _, kept := range []bool{false, true} {
		s := open(t, sqlite.Config{})
		f := storetest.Faulty(s, storetest.Fault{Commit: 2, Kept: kept})
		for i := range 3 {
			err := f.Commit(t.Context(), store.Batch{Put: []store.Write{{Document: document("k", fmt.Sprint(i))}}})
			if (err != nil) != (i == 1) || err != nil && !errors.Is(err, storetest.ErrFault) {
				t.Errorf("kept %v: commit %d gave %v", kept, i, err)
			}
			_, err = f.Get(t.Context(), store.Key{Kind: "k", ID: fmt.Sprint(i)})
			if there := i != 1 || kept; (err == nil) != there {
				t.Errorf("kept %v: get %d gave %v", kept, i, err)
			}
		}
		if f.Commits() != 3 {
			t.Errorf("counted %d commits", f.Commits())
		}
	}
}

func TestFaultyThatKeepsPassesTheStoresOwnRefusal(t *testing.T) {
	t.Parallel()
	f := storetest.Faulty(open(t, sqlite.Config{}), storetest.Fault{Commit: 1, Kept: true})
	if err := f.Commit(t.Context(), store.Batch{Delete: []store.Removal{{Key: store.Key{Kind: "k", ID: "a"}, Was: 1}}}); !errors.Is(err, store.ErrConflict) {
		t.Errorf("got %v", err)
	}
}

func TestFaultyClaims(t *testing.T) {
	t.Parallel()
	for _, kept := range []bool{false, true} {
		s := open(t, sqlite.Config{})
		f := storetest.Faulty(s, storetest.Fault{Claim: 1, Kept: kept})
		if kept { // what hands out nothing is not counted
			if docs, err := f.Claim(t.Context(), "k", 1, "me", time.Hour); err != nil || len(docs) != 0 {
				t.Fatalf("a claim of nothing: got %d, %v", len(docs), err)
			}
		}
		d := document("k", "a")
		d.Due = time.Unix(1, 0)
		if err := s.Commit(t.Context(), store.Batch{Put: []store.Write{{Document: d}}}); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Claim(t.Context(), "k", 1, "me", time.Hour); !errors.Is(err, storetest.ErrFault) {
			t.Errorf("kept %v: got %v", kept, err)
		}
		docs, err := f.Claim(t.Context(), "k", 1, "me", time.Hour)
		if err != nil || (len(docs) == 0) != kept {
			t.Errorf("kept %v: afterwards got %d, %v", kept, len(docs), err)
		}
		if want := 2; !kept && f.Claims() != want || kept && f.Claims() != 1 {
			t.Errorf("kept %v: counted %d claims", kept, f.Claims())
		}
	}
}

func TestFaultyThatIsFinalDoesNothingMore(t *testing.T) {
	t.Parallel()
	s := open(t, sqlite.Config{})
	f := storetest.Faulty(s, storetest.Fault{Commit: 1, Kept: true, Final: true})
	batch := store.Batch{Put: []store.Write{{Document: document("k", "a"), Was: store.Any}}}
	for range 2 {
		if err := f.Commit(t.Context(), batch); !errors.Is(err, storetest.ErrFault) {
			t.Errorf("commit: got %v", err)
		}
	}
	key := store.Key{Kind: "k", ID: "a"}
	if _, err := f.Get(t.Context(), key); !errors.Is(err, storetest.ErrFault) {
		t.Errorf("get: got %v", err)
	}
	if _, err := f.List(t.Context(), store.Query{Kind: "k", Index: "all", Limit: 1}); !errors.Is(err, storetest.ErrFault) {
		t.Errorf("list: got %v", err)
	}
	if _, err := f.Claim(t.Context(), "k", 1, "me", time.Hour); !errors.Is(err, storetest.ErrFault) {
		t.Errorf("claim: got %v", err)
	}
	if d, err := s.Get(t.Context(), key); err != nil || d.Revision != 1 {
		t.Errorf("stored is %d, %v", d.Revision, err)
	}
}

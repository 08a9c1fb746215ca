package changeset

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"souk/storage/store"
)

func TestFoundIsWhatOpenSetsOfTheAccountHaveFound(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	m := open(t, openSQLite(t), nil)
	m.stop()
	for id, s := range map[string]*setBody{
		"1": {Account: alice, Status: Applying, Changes: []record{{EntityID: "lamp", Found: map[string]string{"a": "digest 1", "b": "digest 2"}}, {EntityID: "vase"}}},
		"2": {Account: alice, Status: Preparing, Changes: []record{{EntityID: "vase", Found: map[string]string{"a": "digest 1"}}}},
		"3": {Account: bob, Status: Applying, Changes: []record{{EntityID: "rock", Found: map[string]string{"a": "digest 3"}}}},
		"4": {Account: alice, Status: Failed, Ended: time.Now(), Changes: []record{{EntityID: "lamp", Found: map[string]string{"a": "digest 4"}}}},
	} {
		w, err := s.write(id, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.store.Commit(ctx, store.Batch{Put: []store.Write{w}}); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]bool{}
	if err := m.Found(ctx, alice, func(entity, value string) { got[entity+" "+value] = true }); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"lamp digest 1": true, "lamp digest 2": true, "vase digest 1": true}
	if !cmp.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

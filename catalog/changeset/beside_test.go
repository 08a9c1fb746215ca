package changeset

import (
	"context"
	"errors"
	"testing"

	"souk/catalog/change"
	"souk/storage/store"
)

// TestWhatStandsBesideAnEntityIsWrittenWithIt has a document of an entity's title
// beside it, which must never be another than the entity's.
func TestWhatStandsBesideAnEntityIsWrittenWithIt(t *testing.T) {
	t.Parallel()
	beside := func(id string) store.Key { return store.Key{Kind: "title", ID: id} }
	eachStore(t, func(t *testing.T, s store.Store) {
		m := open(t, s, func(c *Config) {
			c.Beside = func(e change.Entity, state any) ([]store.Write, error) {
				title := state.(*thing).Title
				if title == "hidden" {
					return nil, nil
				}
				return []store.Write{{Document: store.Document{Key: beside(e.ID), Body: []byte(title)}, Was: store.Any}}, nil
			}
		})
		title := func(id string) string {
			t.Helper()
			d, err := s.Get(context.Background(), beside(id))
			if errors.Is(err, store.ErrNotFound) {
				return ""
			}
			if err != nil {
				t.Fatal(err)
			}
			return string(d.Body)
		}
		lamp, hidden := m.made("lamp"), m.made("hidden")
		if title(lamp) != "lamp" || title(hidden) != "" {
			t.Errorf("beside the new ones stand %q and %q, want lamp and nothing", title(lamp), title(hidden))
		}
		m.succeed(doc("Rename", lamp, `{"Title":"torch"}`))
		if title(lamp) != "torch" {
			t.Errorf("beside the renamed one stands %q", title(lamp))
		}
		set := m.ended(m.begin(doc("Rename", lamp, `{"Title":"torch"}`))) // it has that title
		if set.Status != Failed || title(lamp) != "torch" {
			t.Errorf("after a set that is %s %q stands there", set.Status, title(lamp))
		}
		m.sound()
	})
}

package changeset

import (
	"context"
	"errors"
	"testing"

	"souk/storage/store"
)

// announced announces the end of a set by a document with its state.
func announced(e Ending) ([]store.Write, error) {
	if e.Account == "" || e.Name == "" || e.Start.IsZero() || e.End.Before(e.Start) || !e.Status.Ended() || (e.FailureCode != "") != (e.Status == Failed) {
		return nil, errors.New("an ending lacks something")
	}
	return []store.Write{{Was: store.Any, Document: store.Document{Key: announcement(e.ID), Body: []byte(e.Status)}}}, nil
}

func announcement(set string) store.Key { return store.Key{Kind: "announcement", ID: set} }

// heard checks that the end of a set was announced, once and as it is.
func (m *market) heard(d *Description) {
	m.t.Helper()
	a, err := m.store.Get(context.Background(), announcement(d.ID))
	if err != nil || a.Revision != 1 || Status(a.Body) != d.Status {
		m.t.Errorf("change set %s is %s; its announcement: %s, written %d times (%v)", d.ID, d.Status, a.Body, a.Revision, err)
	}
}

// An end that can't be announced now is not reached: the set waits for another try.
func TestEndThatCanNotBeAnnounced(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s store.Store) {
		broken := open(t, s, func(c *Config) {
			shortLease(c)
			c.Announce = func(Ending) ([]store.Write, error) { return nil, errors.New("broken") }
		})
		id := broken.begin(doc("CreateThing", "", `{"Title":"x"}`))
		broken.await(id, Taken)
		broken.stop()
		m := open(t, s, shortLease)
		if d := m.ended(id); d.Status != Succeeded {
			t.Errorf("set is %s", d.Status)
		}
		m.sound()
	})
}

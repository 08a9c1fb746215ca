package changeset

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"souk/storage/store"
	"souk/storage/store/storetest"
)

// TestEveryWriteMayFail runs each story once for every commit in it, with that
// commit not written, or written with its answer lost, by a node that goes on
// or that dies of it. Afterwards the client asks again with its token, another
// node works, and everything must be as if nothing had happened.
func TestEveryWriteMayFail(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s store.Store) {
		healthy := open(t, s, nil)
		n := 0
		for name, changes := range map[string]func(lamp, unique string) []Change{
			"apply": func(lamp, unique string) []Change {
				return []Change{
					doc("AddNote", lamp, `{"Note":"n"}`),
					named("New", doc("CreateThing", "", `{"Title":"new"}`)),
					doc("TakeName", "$New.Entity.Identifier", `{"Name":"`+unique+`"}`),
					doc("FixTag", lamp, `{"Tag":"`+unique+`"}`),
				}
			},
			"refused":            func(lamp, _ string) []Change { return []Change{doc("AddNote", lamp, `{"Note":"wrong"}`)} },
			"fails by our fault": func(lamp, _ string) []Change { return []Change{doc("FetchLogo", lamp, `{"URL":"never"}`)} },
			"fails at first":     func(lamp, _ string) []Change { return []Change{doc("FetchLogo", lamp, `{"URL":"second"}`)} },
		} {
			for commit, reached := 1, true; reached; commit++ {
				reached = false
				for _, fault := range []storetest.Fault{
					{Commit: commit}, {Commit: commit, Kept: true}, {Commit: commit, Final: true}, {Commit: commit, Kept: true, Final: true},
				} {
					n++
					reached = faultyCell(t, healthy, s, name, fault, n, changes) || reached
				}
			}
		}
		healthy.sound()
	})
}

// faultyCell runs a story with one fault and returns whether the story has such a commit.
func faultyCell(t *testing.T, healthy *market, s store.Store, name string, fault storetest.Fault, n int, changes func(lamp, unique string) []Change) bool {
	t.Helper()
	what := fmt.Sprintf("%s, commit %d, kept %v, final %v", name, fault.Commit, fault.Kept, fault.Final)
	lamp := healthy.made("lamp")
	request := &Request{Account: alice, Token: fmt.Sprintf("token-%d", n), Changes: changes(lamp, fmt.Sprintf("name-%d", n))}
	faulty := storetest.Faulty(s, fault)
	var tries atomic.Int32
	fetch := func(c *Config) {
		shortLease(c)
		c.World.Logos = logos(func(_ context.Context, url string) (string, error) {
			if tries.Add(1) == 1 || url == "never" {
				return "", errors.New("down")
			}
			return "kept", nil
		})
	}
	m := open(t, faulty, fetch)
	defer m.stop()
	id, err := m.Start(context.Background(), request)
	switch {
	case fault.Final:
		if err == nil {
			healthy.gone(id, faulty)
		}
		m.stop()
		next := open(t, s, fetch)
		defer next.stop()
		again, err := next.Start(context.Background(), request)
		if err != nil || id != "" && id != again {
			t.Fatalf("%s: asked again: %q, first %q (%v)", what, again, id, err)
		}
		id = again
	case err != nil: // the client asks again
		if id, err = m.Start(context.Background(), request); err != nil {
			t.Fatalf("%s: asked again: %v", what, err)
		}
	}
	d := healthy.ended(id)
	th, revision := healthy.thing(lamp)
	switch name {
	case "apply":
		entity, _, _ := strings.Cut(d.Changes[1].Identifier, "@")
		if d.Status != Succeeded || len(th.Notes) != 1 || revision != 2 {
			t.Errorf("%s: set is %s (%s), notes %v at revision %d", what, d.Status, errorsOf(d), th.Notes, revision)
		} else if fresh, revision := healthy.thing(entity); fresh.Title != "new" || len(fresh.Names) != 1 || revision != 1 {
			t.Errorf("%s: new entity is %+v at revision %d", what, fresh, revision)
		}
	case "refused":
		if d.Status != Failed || !strings.HasPrefix(errorsOf(d), "WRONG_NOTE") || revision != 1 {
			t.Errorf("%s: set is %s (%s), revision %d", what, d.Status, errorsOf(d), revision)
		}
	case "fails by our fault":
		// The healthy node may have taken it for another try: there, it works.
		if d.FailureCode != "SERVER_FAULT" && d.Status != Succeeded {
			t.Errorf("%s: set is %s %s", what, d.Status, d.FailureCode)
		}
	case "fails at first":
		if d.Status != Succeeded || th.Logo == "" || revision != 2 {
			t.Errorf("%s: set is %s %s, %+v at revision %d", what, d.Status, d.FailureCode, th, revision)
		}
	}
	return faulty.Commits() >= fault.Commit
}

// gone waits until a node's store has died or the set has ended.
func (m *market) gone(id string, s *storetest.FaultyStore) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for {
		if d, err := m.Describe(ctx, alice, id); err == nil && d.Status.Ended() {
			return
		}
		if _, err := s.Get(ctx, store.Key{Kind: kindSet, ID: id}); errors.Is(err, storetest.ErrFault) {
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			m.t.Fatalf("change set %s: neither ended nor is the store dead", id)
		}
	}
}

func TestEveryClaimMayFail(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s store.Store) {
		asker := idle(t, s, nil)
		for _, fault := range []storetest.Fault{{Claim: 1}, {Claim: 1, Kept: true}} {
			id := asker.begin(doc("CreateThing", "", `{"Title":"x"}`))
			m := open(t, storetest.Faulty(s, fault), shortLease)
			if d := asker.ended(id); d.Status != Succeeded {
				t.Errorf("%+v: set is %s", fault, d.Status)
			}
			m.stop()
		}
		asker.sound()
	})
}

func TestEveryWriteOfACancellationMayFail(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s store.Store) {
		for _, fault := range []storetest.Fault{{Commit: 1}, {Commit: 1, Kept: true}} {
			asker := idle(t, s, nil)
			id := asker.begin(doc("CreateThing", "", `{"Title":"x"}`))
			m := idle(t, storetest.Faulty(s, fault), nil)
			err := m.Cancel(context.Background(), alice, id)
			if fault.Kept != (err == nil) {
				t.Errorf("%+v: cancelling answered %v", fault, err)
			}
			if err != nil {
				if err := m.Cancel(context.Background(), alice, id); err != nil {
					t.Errorf("%+v: cancelling again answered %v", fault, err)
				}
			}
			if d := asker.described(id); d.Status != Cancelled {
				t.Errorf("%+v: set is %s", fault, d.Status)
			}
			asker.sound()
		}
	})
}

func TestVerifyFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for name, test := range map[string]struct {
		spoil func(t *testing.T, m *market, set, lamp string) store.Batch
		want  string
	}{
		"lock of a set that ended": {want: "which is not open", spoil: func(t *testing.T, m *market, set, lamp string) store.Batch {
			return rewrite(t, m, kindLock, lamp, func(s string) string {
				return strings.Replace(s, `}`, `,"Held":[{"Set":"`+set+`","Types":["AddNote"]}]}`, 1)
			})
		}},
		"lock lost": {want: "it holds the lock of entity", spoil: func(t *testing.T, m *market, set, lamp string) store.Batch {
			m.stop()
			m.begin(doc("Rename", lamp, `{"Title":"x"}`))
			return rewrite(t, m, kindLock, lamp, func(string) string { return `{"Type":"Thing@1.0","Owner":"` + alice + `"}` })
		}},
		"token of no set": {want: "which has another token or is gone", spoil: func(t *testing.T, m *market, set, lamp string) store.Batch {
			return store.Batch{Put: []store.Write{{Document: store.Document{Key: store.Key{Kind: kindToken, ID: alice + "/x"}, Body: []byte(`{"Input":"x","Set":"` + set + `"}`)}}}}
		}},
		"entity written beside its sets": {want: "it has revision 3 after 2 successful change sets", spoil: func(t *testing.T, m *market, set, lamp string) store.Batch {
			b := rewrite(t, m, kindEntity, lamp, func(s string) string { return s })
			return b
		}},
		"entity gone": {want: "it is gone, and change set", spoil: func(t *testing.T, m *market, set, lamp string) store.Batch {
			return store.Batch{Delete: []store.Removal{{Key: store.Key{Kind: kindEntity, ID: lamp}, Was: store.Any}}}
		}},
		"set without an end": {want: "and ended at", spoil: func(t *testing.T, m *market, set, lamp string) store.Batch {
			return rewrite(t, m, kindSet, set, func(s string) string { return strings.Replace(s, `"Ended"`, `"Was"`, 1) })
		}},
		"set in no list": {want: "lacks it", spoil: func(t *testing.T, m *market, set, lamp string) store.Batch {
			b := rewrite(t, m, kindSet, set, func(s string) string { return s })
			b.Put[0].Index = nil
			return b
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := open(t, openSQLite(t), nil)
			lamp := m.made("lamp")
			set := m.succeed(doc("AddNote", lamp, `{"Note":"n"}`)).ID
			m.sound()
			if err := m.store.Commit(ctx, test.spoil(t, m, set, lamp)); err != nil {
				t.Fatal(err)
			}
			found, err := m.Verify(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(fmt.Sprint(found), test.want) {
				t.Errorf("found %v, want %q", found, test.want)
			}
		})
	}
}

// rewrite changes the text of a stored document. The lists that it is in stay
// those of an ended set or a thing.
func rewrite(t *testing.T, m *market, kind, id string, change func(string) string) store.Batch {
	t.Helper()
	d, err := m.store.Get(context.Background(), store.Key{Kind: kind, ID: id})
	if err != nil {
		t.Fatal(err)
	}
	w := store.Write{Document: d, Was: store.Any}
	switch kind {
	case kindSet:
		s, err := decodeSet(d)
		if err != nil {
			t.Fatal(err)
		}
		indexed, err := s.write(id, d.Revision)
		if err != nil {
			t.Fatal(err)
		}
		w.Index = indexed.Index
	case kindEntity:
		w.Index = []store.Entry{{Index: indexModified, Partition: alice + "/Thing"}}
	}
	w.Body = []byte(change(string(d.Body)))
	return store.Batch{Put: []store.Write{w}}
}

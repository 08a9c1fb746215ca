package changeset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"souk/catalog/change"
	"souk/storage/store"
	"souk/storage/work"
)

func TestAllRefusalsOfAllChangesAreListed(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s store.Store) {
		m := open(t, s, func(c *Config) {
			c.World.Logos = logos(func(context.Context, string) (string, error) { return "", change.ErrLogoUnreachable })
		})
		lamp := m.made("lamp")
		d := m.ended(m.begin(
			doc("Rename", lamp, `{"Title":"lamp"}`),
			doc("AddNote", lamp, `{"Note":"wrong"}`),
			doc("Befriend", lamp, `{}`),
			doc("FetchLogo", lamp, `{"URL":"u"}`),
			named("New", doc("CreateThing", "", `{"Title":"forbidden"}`)),
			doc("Rename", "$New.Entity.Identifier", `{"Title":"forbidden"}`),
			doc("CreateThing", "", `{"Title":"forbidden"}`),
		))
		if d.Status != Failed || d.FailureCode != "CLIENT_ERROR" || d.FailureDescription != "Change set preparation has failed. For details see 'ErrorDetailList'." {
			t.Errorf("set is %s, %s, %q", d.Status, d.FailureCode, d.FailureDescription)
		}
		want := []string{"SAME_TITLE", "WRONG_NOTE", "", "NO_LOGO", "FORBIDDEN_TITLE", "", "FORBIDDEN_TITLE"}
		for i, c := range d.Changes {
			var codes []string
			for _, e := range c.Errors {
				codes = append(codes, e.ErrorCode)
			}
			if got := strings.Join(codes, " "); got != want[i] {
				t.Errorf("change %d has the errors %q, want %q", i, got, want[i])
			}
		}
		if _, revision := m.thing(lamp); revision != 1 {
			t.Errorf("a failed set made revision %d", revision)
		}
		m.sound()
	})
}

// TestReasonOfARefusalIsLogged: what a probe found goes to the operator, with
// the set and the entity; the seller gets the documented message alone.
func TestReasonOfARefusalIsLogged(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer // read when the engine has ended
	m := open(t, openSQLite(t), func(c *Config) {
		c.World.Logos = logos(func(context.Context, string) (string, error) { return "", change.ErrLogoUnreachable })
		c.Log = slog.New(slog.NewTextHandler(&log, nil))
	})
	lamp := m.made("lamp")
	id := m.begin(doc("FetchLogo", lamp, `{"URL":"http://logos.example/?key=secret"}`))
	d := m.ended(id)
	m.stop()
	want := `level=INFO msg="a change was refused" id=` + id + ` change=FetchLogo entity=` + lamp + ` reason="logo can't be fetched: the door is locked"`
	if got := log.String(); strings.Count(got, want) != 1 || strings.Contains(got, "secret") {
		t.Errorf("logged %q, want once %s", got, want)
	}
	if strings.Contains(errorsOf(d), "locked") {
		t.Errorf("the seller is told %s", errorsOf(d))
	}
}

func TestValidateAppliesNothing(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s store.Store) {
		var probes atomic.Int32
		m := open(t, s, func(c *Config) {
			c.World.Logos = logos(func(context.Context, string) (string, error) { probes.Add(1); return "k", nil })
		})
		lamp := m.made("lamp")
		validate := func(c ...Change) *Description {
			id, err := m.Start(context.Background(), &Request{Account: alice, Intent: IntentValidate, Changes: c})
			if err != nil {
				t.Fatal(err)
			}
			return m.ended(id)
		}
		d := validate(named("New", doc("CreateThing", "", `{"Title":"new"}`)), doc("Rename", "$New.Entity.Identifier", `{"Title":"newer"}`), doc("FetchLogo", lamp, `{"URL":"u"}`))
		if d.Status != Succeeded || d.Intent != IntentValidate || probes.Load() != 1 {
			t.Errorf("set is %s with intent %s after %d probes: %s", d.Status, d.Intent, probes.Load(), errorsOf(d))
		}
		if d.Changes[0].Identifier != "" || d.Changes[1].Identifier != "$New.Entity.Identifier" || d.Changes[2].Identifier != lamp {
			t.Errorf("identifiers are shown as %q, %q, %q", d.Changes[0].Identifier, d.Changes[1].Identifier, d.Changes[2].Identifier)
		}
		d = validate(doc("Rename", lamp, `{"Title":"lamp"}`))
		if d.Status != Failed || errorsOf(d) != "SAME_TITLE: The title lamp is the present one." {
			t.Errorf("set is %s: %s", d.Status, errorsOf(d))
		}
		if th, revision := m.thing(lamp); revision != 1 || th.Logo != "" {
			t.Errorf("validation made %+v, revision %d", th, revision)
		}
		if l, _, err := m.ListEntities(context.Background(), Query{Account: alice, EntityType: "Thing", Max: 50}); err != nil || len(l) != 1 {
			t.Errorf("%d entities (%v) after validation, want 1", len(l), err)
		}
		m.sound()
	})
}

func TestProbeThatFailsByOurFaultIsTriedAgain(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s store.Store) {
		var tries atomic.Int32
		until := int32(2)
		m := open(t, s, func(c *Config) {
			c.World.Logos = logos(func(context.Context, string) (string, error) {
				if tries.Add(1) <= until {
					return "", errors.New("registry is down")
				}
				return "kept", nil
			})
		})
		lamp := m.made("lamp")
		d := m.succeed(doc("FetchLogo", lamp, `{"URL":"u"}`))
		if n := m.count(d.ID, Retried); n != 2 || tries.Load() != 3 {
			t.Errorf("%d retries, %d tries", n, tries.Load())
		}
		until = 100
		d = m.ended(m.begin(doc("FetchLogo", lamp, `{"URL":"u"}`)))
		if d.Status != Failed || d.FailureCode != "SERVER_FAULT" || errorsOf(d) != "" || strings.Contains(d.FailureDescription, "registry") {
			t.Errorf("set is %s, %s, %q: %s", d.Status, d.FailureCode, d.FailureDescription, errorsOf(d))
		}
		if tries.Load() != 6 { // three for the first set, one and two retries for the second
			t.Errorf("%d tries in all, want 6", tries.Load())
		}
		m.sound()
	})
}

func TestPanicOfAChangeTypeFailsItsSetOnly(t *testing.T) {
	t.Parallel()
	m := open(t, openSQLite(t), nil)
	lamp := m.made("lamp")
	for _, in := range []string{"Check", "Probe", "Apply", "List"} {
		d := m.ended(m.begin(doc("BlowUp", lamp, `{"In":"`+in+`"}`)))
		if d.Status != Failed || d.FailureCode != "SERVER_FAULT" {
			t.Errorf("panic in %s: set is %s, %s", in, d.Status, d.FailureCode)
		}
	}
	m.succeed(doc("AddNote", lamp, `{"Note":"still here"}`))
	m.sound()
}

func TestNameIsTakenOnce(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s store.Store) {
		m := open(t, s, nil)
		a, b := m.made("a"), m.made("b")
		m.succeed(doc("TakeName", a, `{"Name":"n"}`))
		if d := m.ended(m.begin(doc("TakeName", b, `{"Name":"n"}`))); errorsOf(d) != "NAME_TAKEN: The name n is taken." {
			t.Errorf("taking a taken name: %s, %s", d.Status, errorsOf(d))
		}
		// Twice in one set: the second probe knows of the first claim.
		d := m.ended(m.begin(doc("TakeName", a, `{"Name":"o"}`), doc("TakeName", b, `{"Name":"o"}`)))
		if len(d.Changes[0].Errors) != 0 || len(d.Changes[1].Errors) != 1 {
			t.Errorf("taking a name twice in a set: %s", errorsOf(d))
		}
		// A probe that does not look runs into the claim at the commit.
		d = m.ended(m.begin(doc("TakeName", b, `{"Name":"n","Rash":true}`)))
		if d.Status != Failed || d.FailureCode != "SERVER_FAULT" {
			t.Errorf("taking a taken name without a look: %s %s", d.Status, d.FailureCode)
		}
		d = m.ended(m.begin(doc("TakeName", a, `{"Name":"p","Rash":true}`), doc("TakeName", b, `{"Name":"p","Rash":true}`)))
		if d.Status != Failed || d.FailureCode != "SERVER_FAULT" {
			t.Errorf("taking a name twice in a set without a look: %s %s", d.Status, d.FailureCode)
		}
		// A tag may be fixed again, also by two sets at once.
		m.succeed(doc("FixTag", a, `{"Tag":"t"}`))
		m.succeed(doc("FixTag", a, `{"Tag":"t"}`), doc("FixTag", b, `{"Tag":"t"}`))
		claim, err := s.Get(context.Background(), store.Key{Kind: "tag", ID: "t"})
		if err != nil || claim.Revision != 1 || string(claim.Body) != a {
			t.Errorf("the tag's claim is %q at revision %d (%v)", claim.Body, claim.Revision, err)
		}
		m.sound()
	})
}

func TestNamesThatRaceHaveOneWinner(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s store.Store) {
		m := open(t, s, nil)
		var things []string
		for range 8 {
			things = append(things, m.made("x"))
		}
		for _, name := range []string{"n", "o", "p"} {
			ids := make([]string, len(things))
			var wg sync.WaitGroup
			for i := range things {
				wg.Go(func() { ids[i] = m.begin(doc("TakeName", things[i], `{"Name":"`+name+`"}`)) })
			}
			wg.Wait()
			won := 0
			for _, id := range ids {
				switch d := m.ended(id); {
				case d.Status == Succeeded:
					won++
				case !strings.HasPrefix(errorsOf(d), "NAME_TAKEN"):
					t.Errorf("a loser is %s, %s: %s", d.Status, d.FailureCode, errorsOf(d))
				}
			}
			if won != 1 {
				t.Errorf("%d sets have taken the name %s", won, name)
			}
		}
		m.sound()
	})
}

func TestCancel(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s store.Store) {
		hold := make(chan struct{})
		defer close(hold)
		m := open(t, s, func(c *Config) { c.World.Logos = logos(waitFor(hold)) })
		ctx := context.Background()
		lamp := m.made("lamp")
		slow := m.begin(doc("FetchLogo", lamp, `{"URL":"u"}`))
		m.await(slow, Probing)
		refused(t, m.Cancel(ctx, bob, slow), "ResourceNotFoundException", slow)
		if err := m.Cancel(ctx, alice, slow); err != nil {
			t.Fatal(err)
		}
		m.await(slow, Lost) // the probe's context has ended
		if d := m.described(slow); d.Status != Cancelled || d.End.IsZero() {
			t.Errorf("set is %s, ended at %v", d.Status, d.End)
		}
		refused(t, m.Cancel(ctx, alice, slow), "ValidationException", "CANCELLED")
		m.succeed(doc("AddNote", lamp, `{"Note":"free"}`))
		done := m.succeed(doc("AddNote", lamp, `{"Note":"free again"}`)).ID
		refused(t, m.Cancel(ctx, alice, done), "ValidationException", "SUCCEEDED")
		refused(t, m.Cancel(ctx, alice, "0000000000000000000000000"), "ResourceNotFoundException", "can't be found")
		m.sound()
	})
}

func TestCancelOnAnotherNodeEndsTheProbe(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s store.Store) {
		hold := make(chan struct{})
		defer close(hold)
		m := open(t, s, func(c *Config) { c.World.Logos = logos(waitFor(hold)) })
		n := idle(t, s, nil)
		lamp := m.made("lamp")
		slow := m.begin(doc("FetchLogo", lamp, `{"URL":"u"}`))
		m.await(slow, Probing)
		if err := n.Cancel(context.Background(), alice, slow); err != nil {
			t.Fatal(err)
		}
		m.await(slow, Lost)
		m.sound()
	})
}

func TestCancelRacesTheWorker(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s store.Store) {
		m := open(t, s, nil)
		lamp := m.made("lamp")
		_, before := m.thing(lamp)
		cancelled := 0
		const rounds = 60
		for i := range rounds {
			id := m.begin(doc("AddNote", lamp, fmt.Sprintf(`{"Note":"%d"}`, i)))
			err := m.Cancel(context.Background(), alice, id)
			d := m.ended(id)
			switch {
			case err == nil && d.Status == Cancelled:
				cancelled++
			case err != nil && d.Status == Succeeded:
			default:
				t.Fatalf("cancelling answered %v, the set is %s", err, d.Status)
			}
		}
		if _, after := m.thing(lamp); int(after-before) != rounds-cancelled {
			t.Errorf("%d revisions more after %d sets of which %d were cancelled", after-before, rounds, cancelled)
		}
		m.sound()
	})
}

func TestASlowProbeKeepsItsLease(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s store.Store) {
		hold := make(chan struct{})
		var probes atomic.Int32
		slowly := func(c *Config) {
			shortLease(c)
			c.World.Logos = logos(func(ctx context.Context, url string) (string, error) {
				probes.Add(1)
				return waitFor(hold)(ctx, url)
			})
		}
		m := open(t, s, slowly)
		lamp := m.made("lamp")
		slow := m.begin(doc("FetchLogo", lamp, `{"URL":"u"}`))
		m.await(slow, Probing)
		open(t, s, slowly) // would take it, were the lease to run out
		// Three renewals later the set is still in its first hands.
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for d := m.raw(slow); d.Revision < 4; d = m.raw(slow) {
			<-ticker.C
		}
		close(hold)
		if d := m.ended(slow); d.Status != Succeeded || probes.Load() != 1 {
			t.Errorf("set is %s after %d probes", d.Status, probes.Load())
		}
		m.sound()
	})
}

// raw reads a set's document.
func (m *market) raw(id string) store.Document {
	m.t.Helper()
	d, err := m.store.Get(context.Background(), store.Key{Kind: kindSet, ID: id})
	if err != nil {
		m.t.Fatal(err)
	}
	return d
}

func TestAnotherNodeTakesOverFromADeadOne(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s store.Store) {
		asker := open(t, s, nil)
		lamp := asker.made("lamp")
		asker.stop()
		var ids []string
		for range 5 {
			ids = append(ids, asker.begin(doc("CreateThing", "", `{"Title":"x"}`)))
		}
		ids = append(ids, asker.begin(doc("Rename", lamp, `{"Title":"new"}`)))
		// The dead node claimed them, and did nothing after that. They are due by
		// the database's clock, of which ours may be a little ahead.
		for claimed := 0; claimed < len(ids); {
			d, err := s.Claim(t.Context(), kindSet, 10, "dead", 400*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			claimed += len(d)
		}
		m, n := open(t, s, nil), open(t, s, nil)
		for _, id := range ids {
			for m.count(id, Ended)+n.count(id, Ended) == 0 {
				select {
				case <-m.signal(id):
				case <-n.signal(id):
				}
			}
			if got := m.count(id, Ended) + n.count(id, Ended); got != 1 {
				t.Errorf("change set %s ended %d times", id, got)
			}
			if d := m.described(id); d.Status != Succeeded {
				t.Errorf("change set %s is %s", id, d.Status)
			}
		}
		m.sound()
	})
}

// signal returns the channel that the next event closes; closed, if the set has ended.
func (m *market) signal(id string) <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if slices.ContainsFunc(m.events[id], func(e Event) bool { return e.Step == Ended }) {
		closed := make(chan struct{})
		close(closed)
		return closed
	}
	return m.wake
}

func TestStoppingANodeGivesItsProbesToOthers(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s store.Store) {
		hold := make(chan struct{})
		m := open(t, s, func(c *Config) { c.World.Logos = logos(waitFor(hold)); c.Lease = time.Hour })
		lamp := m.made("lamp")
		slow := m.begin(doc("FetchLogo", lamp, `{"URL":"u"}`))
		m.await(slow, Probing)
		m.stop()
		n := open(t, s, nil) // its own probe answers at once; no lease has to run out
		n.await(slow, Ended)
		if d := n.described(slow); d.Status != Succeeded {
			t.Errorf("set is %s", d.Status)
		}
		n.sound()
	})
}

func TestASetThatKillsItsWorkersIsGivenUp(t *testing.T) {
	t.Parallel()
	m := idle(t, openSQLite(t), nil)
	id := m.begin(doc("CreateThing", "", `{}`))
	for range maxClaimings + 1 { // workers that die with it
		if d, err := m.store.Claim(context.Background(), kindSet, 1, "dying", -time.Second); err != nil || len(d) != 1 {
			t.Fatalf("claimed %d (%v)", len(d), err)
		}
	}
	m.start()
	if d := m.ended(id); d.Status != Failed || d.FailureCode != "SERVER_FAULT" {
		t.Errorf("set is %s, %s", d.Status, d.FailureCode)
	}
	m.sound()
}

func TestHistoryIsSweptWithItsTokens(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s store.Store) {
		m := open(t, s, func(c *Config) { c.History = time.Millisecond })
		ask := func() string {
			id, err := m.Start(context.Background(), &Request{Account: alice, Token: "t", Changes: []Change{doc("CreateThing", "", `{"Title":"x"}`)}})
			if err != nil {
				t.Fatal(err)
			}
			m.await(id, Swept)
			return id
		}
		first := ask()
		_, err := m.Describe(context.Background(), alice, first)
		refused(t, err, "ResourceNotFoundException", first)
		if second := ask(); second == first {
			t.Error("a token outlived its set")
		}
		if l, _, err := m.List(context.Background(), Query{Account: alice, Max: 20}); err != nil || len(l) != 0 {
			t.Errorf("%d sets are listed (%v)", len(l), err)
		}
		m.sound()
	})
}

func TestRedoOfApplyingWritesTheSameBytes(t *testing.T) {
	t.Parallel()
	m := open(t, openSQLite(t), nil)
	lamp := m.made("lamp")
	m.stop()
	s := &setBody{Account: alice, Name: "n", Intent: IntentApply, Status: Applying, Started: m.now(), Now: m.now(), Seed: "0123456789abcdef0123",
		Changes: []record{
			{ChangeType: "AddNote", EntityType: "Thing@1.0", EntityID: lamp, Sent: lamp, Text: `{"Note":"a"}`},
			{ChangeType: "CreateThing", EntityType: "Thing@1.0", EntityID: "thing-x", Creates: true, Text: `{"Title":"x"}`},
		}}
	var bodies []string
	for range 2 {
		w := &working{e: m.Engine, task: &work.Task{}, set: s.clone()}
		if err := w.decode(); err != nil {
			t.Fatal(err)
		}
		x, err := w.walk(context.Background(), w.set.clone(), false)
		if err != nil {
			t.Fatal(err)
		}
		b, err := w.batch(context.Background(), x, s.Now, nil)
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		for _, p := range b.Put {
			text += string(p.Body) + string(p.Summary)
		}
		bodies = append(bodies, text)
	}
	if bodies[0] != bodies[1] {
		t.Errorf("first %s\nthen %s", bodies[0], bodies[1])
	}
}

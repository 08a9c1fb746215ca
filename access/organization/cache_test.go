package organization_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"souk/access/organization"
	"souk/storage/store"
)

const account = organization.DefaultAccount

// promised is how soon a change on one node holds on every other.
const promised = 5 * time.Second

func TestChangesHoldHereAtOnceAndElsewhereInTime(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	here, there := m.started(), m.node()
	mustUser(t, here, account, "ci")
	key := mustKey(t, here, account, "ci")
	ctx := t.Context()

	type state struct{ valid, allowed bool }
	look := func(o *organization.Organization) state {
		t.Helper()
		_, p, ok, err := o.Lookup(ctx, key.ID)
		if err != nil {
			t.Fatal(err)
		}
		return state{ok, ok && decide(p)}
	}
	for _, step := range []struct {
		name string
		do   func() error
		want state
	}{
		{"made", func() error { return nil }, state{true, false}},
		{"allowed", func() error {
			return here.PutPolicy(ctx, account, "ci", organization.Policy{Name: "p", Document: allowAll})
		}, state{true, true}},
		{"denied by one more policy", func() error {
			return here.PutPolicy(ctx, account, "ci", organization.Policy{Name: "q", Document: denyAll})
		}, state{true, false}},
		{"allowed again", func() error { return here.DeletePolicy(ctx, account, "ci", "q") }, state{true, true}},
		{"deactivated", func() error { return here.SetKeyActive(ctx, account, key.ID, false) }, state{false, false}},
		{"active", func() error { return here.SetKeyActive(ctx, account, key.ID, true) }, state{true, true}},
		{"deleted with its user", func() error { return here.DeleteUser(ctx, account, "ci", true) }, state{false, false}},
	} {
		before := look(there)
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if got := look(here); got != step.want {
			t.Errorf("%s: here %+v, want %+v", step.name, got, step.want)
		}
		if got := look(there); got != before && got != step.want {
			t.Errorf("%s: there %+v", step.name, got)
		}
		m.pass(promised - time.Millisecond)
		if got := look(there); got != step.want {
			t.Errorf("%s: there, in time, %+v, want %+v", step.name, got, step.want)
		}
		m.pass(promised)
	}
}

// Under steady requests the key is looked at all the time, and still the
// change must arrive.
func TestChangesArriveUnderSteadyRequests(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	here, there := m.started(), m.node()
	mustUser(t, here, account, "ci")
	key := mustKey(t, here, account, "ci")
	if _, _, ok, err := there.Lookup(t.Context(), key.ID); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if err := here.SetKeyActive(t.Context(), account, key.ID, false); err != nil {
		t.Fatal(err)
	}
	for range int(promised / (100 * time.Millisecond)) {
		m.pass(100 * time.Millisecond)
		if _, _, ok, _ := there.Lookup(t.Context(), key.ID); !ok {
			return
		}
	}
	t.Error("a revoked key was good for five seconds")
}

func TestCachedKeyAsksNobody(t *testing.T) {
	m := newMarket(t)
	o := m.started()
	mustUser(t, o, account, "ci")
	key := mustKey(t, o, account, "ci")
	if _, _, ok, err := o.LookupSession(t.Context(), key.ID, ""); !ok || err != nil {
		t.Fatal(ok, err)
	}
	before := m.store.gets.Load()
	if n := testing.AllocsPerRun(1000, func() { o.LookupSession(t.Context(), key.ID, "") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if asked := m.store.gets.Load() - before; asked != 0 {
		t.Errorf("asked the store %d times", asked)
	}
}

func TestMadeUpKeysAreRemembered(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	o := m.started()
	ctx := t.Context()
	before := m.store.gets.Load()
	for _, id := range []string{"", "AKIA", "ASIAABCDEFGHIJKLMNOP", strings.Repeat("A", 4000), "AKIAabcdefghijklmnop", "akiaABCDEFGHIJKLMNOP"} {
		if _, _, ok, err := o.Lookup(ctx, id); ok || err != nil {
			t.Errorf("%q: %v, %v", id, ok, err)
		}
	}
	if asked := m.store.gets.Load() - before; asked != 0 {
		t.Errorf("asked the store %d times for keys of a wrong form", asked)
	}
	for range 100 {
		if _, _, ok, err := o.Lookup(ctx, "AKIAABCDEFGHIJKLMNOP"); ok || err != nil {
			t.Errorf("%v, %v", ok, err)
		}
	}
	if asked := m.store.gets.Load() - before; asked != 1 {
		t.Errorf("asked the store %d times for one key that is not there", asked)
	}
}

// A new key is good at once, though it was asked for before and found missing.
func TestKeyThatWasMissedIsGoodOnceItIsMade(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	o, other := m.node(), m.node()
	key := o.NewKey()
	for _, n := range []*organization.Organization{o, other} {
		if _, _, ok, err := n.Lookup(t.Context(), key.ID); ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	if _, err := o.Bootstrap(t.Context(), "", key); err != nil {
		t.Fatal(err)
	}
	m.pass(promised)
	if secret, _, ok, err := other.Lookup(t.Context(), key.ID); !ok || err != nil || secret != key.Secret {
		t.Error(ok, err)
	}
}

// Lookups race with revocations; what a lookup that began after the revocation
// returned says must be no.
func TestNoLookupAfterARevocationFindsTheKey(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	o := m.started()
	mustUser(t, o, account, "ci")
	key := mustKey(t, o, account, "ci")
	stop := make(chan struct{})
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, _, _, err := o.Lookup(t.Context(), key.ID); err != nil {
					t.Error(err)
					return
				}
				m.pass(time.Duration(rand.IntN(100)) * time.Millisecond)
			}
		})
	}
	for i := range 100 {
		active := i%2 == 1
		if err := o.SetKeyActive(t.Context(), account, key.ID, active); err != nil {
			t.Fatal(err)
		}
		if _, _, ok, err := o.Lookup(t.Context(), key.ID); err != nil || ok != active {
			t.Fatalf("round %d: got %v, %v", i, ok, err)
		}
	}
	close(stop)
	group.Wait()
}

func TestSecretsLieSealedAndBoundToTheirKey(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	o := m.started()
	a, b := mustKey(t, o, account, ""), o.NewKey()
	ctx := t.Context()
	d, err := m.store.Get(ctx, store.Key{Kind: "accesskey", ID: a.ID})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(d.Body)+string(d.Summary), a.Secret) {
		t.Error("the secret is stored in the clear")
	}
	// Who can write to the database gives a key that he knows to somebody else's id.
	d.ID, d.Body = b.ID, []byte(strings.ReplaceAll(string(d.Body), a.ID, b.ID))
	if err := m.store.Commit(ctx, store.Batch{Put: []store.Write{{Document: d}}}); err != nil {
		t.Fatal(err)
	}
	if _, _, ok, err := o.Lookup(ctx, b.ID); ok || err == nil {
		t.Errorf("a secret was opened under another key's id: %v, %v", ok, err)
	}
}

func TestVerifyFindsEachBrokenInvariant(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do   func(m *market, key string) store.Batch
		want string
	}{
		"organisation without its account": {func(m *market, _ string) store.Batch {
			return remove("account", account)
		}, "management account"},
		"account without its namespace": {func(m *market, _ string) store.Batch {
			return remove("namespace", "seller-"+account)
		}, `belongs to ""`},
		"namespace of another account": {func(m *market, _ string) store.Batch {
			return m.rewrite("namespace", "seller-"+account, account, "999999999999")
		}, "which has"},
		"user without its key": {func(m *market, key string) store.Batch {
			return remove("accesskey", key)
		}, "is missing"},
		"key without its user": {func(m *market, _ string) store.Batch {
			return remove("user", account+"/ci")
		}, "which does not know it"},
		"policy that does not parse": {func(m *market, _ string) store.Batch {
			return m.rewrite("user", account+"/ci", "Allow", "Permit")
		}, "Effect must be"},
		"document that is no JSON": {func(m *market, _ string) store.Batch {
			return m.rewrite("user", account+"/ci", `{`, ``)
		}, "can't be read"},
		"key that is an empty object": {func(m *market, key string) store.Batch {
			d, err := m.store.Get(m.t.Context(), store.Key{Kind: "accesskey", ID: key})
			if err != nil {
				m.t.Fatal(err)
			}
			d.Body = []byte("{}")
			d.Index = []store.Entry{{Index: "all", Sort: key}}
			return store.Batch{Put: []store.Write{{Document: d, Was: store.Any}}}
		}, "can't be read (its document is of something else, or empty)"},
		"no organisation": {func(m *market, _ string) store.Batch {
			return remove("organization", "organization")
		}, "no organisation"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMarket(t)
			o := m.started()
			mustUser(t, o, account, "ci")
			key := mustKey(t, o, account, "ci")
			if err := o.PutPolicy(t.Context(), account, "ci", organization.Policy{Name: "p", Document: allowAll}); err != nil {
				t.Fatal(err)
			}
			wantSound(t, o)
			if err := m.store.Commit(t.Context(), c.do(m, key.ID)); err != nil {
				t.Fatal(err)
			}
			findings, err := o.Verify(t.Context())
			if err != nil || !slices.ContainsFunc(findings, func(f string) bool { return strings.Contains(f, c.want) }) {
				t.Errorf("got %q, %v; want %q", findings, err, c.want)
			}
		})
	}
}

func remove(kind, id string) store.Batch {
	return store.Batch{Delete: []store.Removal{{Key: store.Key{Kind: kind, ID: id}, Was: store.Any}}}
}

// rewrite alters the body of a document, as a hand in the database would.
func (m *market) rewrite(kind, id, old, new string) store.Batch {
	m.t.Helper()
	d, err := m.store.Get(m.t.Context(), store.Key{Kind: kind, ID: id})
	if err != nil {
		m.t.Fatal(err)
	}
	body := strings.ReplaceAll(string(d.Body), old, new)
	if body == string(d.Body) {
		m.t.Fatalf("%q is not in %s", old, body)
	}
	d.Body = []byte(body)
	d.Index = []store.Entry{{Index: "all", Sort: id}}
	return store.Batch{Put: []store.Write{{Document: d, Was: d.Revision}}}
}

func BenchmarkLookup(b *testing.B) {
	m := newMarket(b)
	o := organization.New(organization.Config{Store: m.store, Keyring: m.ring})
	if _, err := o.Bootstrap(b.Context(), "", o.NewKey()); err != nil {
		b.Fatal(err)
	}
	key := mustKey(b, o, account, "")
	ctx := b.Context()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, _, ok, err := o.Lookup(ctx, key.ID); !ok {
				panic(fmt.Sprint(err))
			}
		}
	})
}

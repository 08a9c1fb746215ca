package organization_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"souk/access/iam"
	"souk/access/organization"
	"souk/storage/store"
)

// session is a session of a role of the account.
func session(t testing.TB, o *organization.Organization, n organization.NewSession) organization.Session {
	t.Helper()
	role, err := o.Role(t.Context(), account, "ops")
	if err != nil {
		if role, err = o.CreateRole(t.Context(), organization.NewRole{Account: account, Name: "ops", Trust: trustAccount}); err != nil {
			t.Fatal(err)
		}
	}
	n.Role, n.Name = role, "ann"
	s, err := o.NewSession(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestASessionFollowsItsRolesPolicies(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	here, there := m.started(), m.node()
	ctx := t.Context()
	s := session(t, here, organization.NewSession{})
	role := holder(organization.OfRole, "ops")
	look := func(o *organization.Organization) bool {
		t.Helper()
		_, p, ok, err := o.LookupSession(ctx, s.Key.ID, s.Token)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		return decide(p)
	}
	var arn string
	for _, step := range []struct {
		name string
		do   func() error
		want bool
	}{
		{"no policy", func() error { return nil }, false},
		{"an inline policy", func() error {
			return here.PutInline(ctx, role, organization.Policy{Name: "p", Document: allowAll})
		}, true},
		{"a managed policy that denies", func() error {
			p, err := here.CreateManagedPolicy(ctx, organization.NewManagedPolicy{Account: account, Name: "no", Document: denyAll})
			arn = p.ARN()
			return first(err, here.Attach(ctx, role, arn))
		}, false},
		{"detached", func() error { return here.Detach(ctx, role, arn) }, true},
		{"sessions of before are denied", func() error {
			return here.PutInline(ctx, role, organization.Policy{Name: "revoke", Document: `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*",
				"Condition":{"DateLessThan":{"aws:TokenIssueTime":"2026-07-01T12:00:01Z"}}}}`})
		}, false},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if got := look(here); got != step.want {
			t.Errorf("%s: here %v", step.name, got)
		}
		m.pass(promised - time.Millisecond)
		if got := look(there); got != step.want {
			t.Errorf("%s: there, in time, %v", step.name, got)
		}
	}
	wantSound(t, here)
}

func TestAManagedPolicyThatLimitsASessionTakesItAlong(t *testing.T) {
	t.Parallel()
	o := newMarket(t).started()
	ctx := t.Context()
	p, err := o.CreateManagedPolicy(ctx, organization.NewManagedPolicy{Account: account, Name: "limit", Document: allowAll})
	if err != nil {
		t.Fatal(err)
	}
	s := session(t, o, organization.NewSession{PolicyARNs: []string{p.ARN()}})
	if _, who, ok, err := o.LookupSession(ctx, s.Key.ID, s.Token); err != nil || !ok || len(who.Session) != 1 {
		t.Fatalf("%+v, %v, %v", who, ok, err)
	}
	if err := o.DeleteManagedPolicy(ctx, account, p.ARN()); err != nil {
		t.Fatal(err)
	}
	if _, _, ok, err := o.LookupSession(ctx, s.Key.ID, s.Token); err != nil || ok {
		t.Errorf("without its limit: %v, %v", ok, err)
	}
}

func TestASessionEndsOnTime(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	o := m.started()
	s := session(t, o, organization.NewSession{Duration: 15 * time.Minute})
	m.pass(15*time.Minute - time.Second)
	if _, _, ok, err := o.LookupSession(t.Context(), s.Key.ID, s.Token); !ok || err != nil {
		t.Errorf("a second before: %v, %v", ok, err)
	}
	m.pass(time.Second)
	for name, node := range map[string]*organization.Organization{"that knows it": o, "that does not": m.node()} {
		if _, _, ok, err := node.LookupSession(t.Context(), s.Key.ID, s.Token); ok || !errors.Is(err, iam.ErrExpiredToken) {
			t.Errorf("at its end, on a node %s: %v, %v", name, ok, err)
		}
	}
	// What is no token of ours is not told when it would have expired.
	if _, _, ok, err := m.node().LookupSession(t.Context(), s.Key.ID, s.Token[:len(s.Token)-8]); ok || err != nil {
		t.Errorf("half a token: %v, %v", ok, err)
	}
}

func TestKnowingASessionAgainAllocatesNothing(t *testing.T) {
	o := newMarket(t).started()
	s := session(t, o, organization.NewSession{Policy: allowAll})
	ctx := t.Context()
	if _, _, ok, err := o.LookupSession(ctx, s.Key.ID, s.Token); !ok || err != nil {
		t.Fatal(ok, err)
	}
	// The token as bytes, to hash it.
	if n := testing.AllocsPerRun(100, func() { o.LookupSession(ctx, s.Key.ID, s.Token) }); n > 1 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzSessionToken: no token but the one that was given is good, for no key but
// its own.
func FuzzSessionToken(f *testing.F) {
	o := newMarket(f).started()
	s := session(f, o, organization.NewSession{Policy: allowAll, Tags: map[string]string{"team": "blue"}})
	f.Add(s.Key.ID, s.Token)
	f.Add(s.Key.ID, "")
	f.Add("ASIA"+strings.Repeat("A", 16), s.Token)
	f.Add(s.Key.ID, s.Token+"=")
	f.Add(s.Key.ID, s.Token+"\n")
	f.Add(s.Key.ID, base64.StdEncoding.EncodeToString([]byte("{}")))
	f.Fuzz(func(t *testing.T, id, token string) {
		_, p, ok, err := o.LookupSession(t.Context(), id, token)
		same := id == s.Key.ID && strings.NewReplacer("\r", "", "\n", "").Replace(token) == s.Token // base64 skips line ends
		if err != nil || ok != same || ok != (p != nil) {
			t.Errorf("key %q, token %q: %v, %v", id, token, ok, err)
		}
	})
}

func TestVerifyFindsPoliciesThatAreGone(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	o := m.started()
	ctx := t.Context()
	p, err := o.CreateManagedPolicy(ctx, organization.NewManagedPolicy{Account: account, Name: "gone", Document: allowAll})
	_, err2 := o.CreateGroup(ctx, account, "team", "")
	_, err3 := o.CreateRole(ctx, organization.NewRole{Account: account, Name: "ops", Trust: trustAccount})
	if err := first(err, err2, err3, o.Attach(ctx, holder(organization.OfGroup, "team"), p.ARN()), o.Attach(ctx, holder(organization.OfRole, "ops"), p.ARN())); err != nil {
		t.Fatal(err)
	}
	wantSound(t, o)
	key := store.Key{Kind: "iampolicy", ID: account + "/gone"}
	if err := m.store.Commit(ctx, store.Batch{Delete: []store.Removal{{Key: key, Was: store.Any}}}); err != nil {
		t.Fatal(err)
	}
	findings, err := o.Verify(ctx)
	if err != nil || len(findings) != 2 || !strings.Contains(strings.Join(findings, "\n"), "role ops of account "+account+" has a policy that is missing") {
		t.Errorf("%q, %v", findings, err)
	}
}

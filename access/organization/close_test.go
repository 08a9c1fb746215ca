package organization_test

import (
	"errors"
	"testing"
	"time"

	"souk/access/organization"
)

// An account that is closed has nobody: no user, no root user and no session,
// here at once and on other nodes in time, until it is opened again.
func TestNobodyOfAClosedAccountIsKnown(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	here, there := m.started(), m.node()
	ctx := t.Context()
	a := mustAccount(t, here, organization.NewAccount{Name: "Acme", Email: "acme@example.com"})
	mustUser(t, here, a.ID, "ci")
	keys := map[string]organization.Key{"the root user": mustKey(t, here, a.ID, ""), "a user": mustKey(t, here, a.ID, "ci")}
	role, err := here.Role(ctx, a.ID, organization.AccessRole)
	if err != nil {
		t.Fatal(err)
	}
	s, err := here.NewSession(ctx, organization.NewSession{Role: role, Name: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	known := func(o *organization.Organization, who string, want bool) {
		t.Helper()
		for name, k := range keys {
			if _, _, ok, err := o.Lookup(ctx, k.ID); err != nil || ok != want {
				t.Errorf("%s: %s of the account is known: %v, %v", who, name, ok, err)
			}
		}
		if _, _, ok, err := o.LookupSession(ctx, s.Key.ID, s.Token); err != nil || ok != want {
			t.Errorf("%s: a session of the account is known: %v, %v", who, ok, err)
		}
	}
	known(here, "before", true)
	known(there, "before, there", true)
	if err := here.CloseAccount(ctx, a.ID); err != nil {
		t.Fatal(err)
	}
	known(here, "closed", false)
	m.pass(promised)
	known(there, "closed, there", false)
	if err := here.CloseAccount(ctx, a.ID); !errors.Is(err, organization.ErrClosed) {
		t.Errorf("closed twice: %v", err)
	}
	if shown, err := there.Account(ctx, a.ID); err != nil || shown.Closed.IsZero() || shown.Namespace != a.Namespace {
		t.Errorf("shown as %+v, %v", shown, err)
	}
	_, err = here.CreateAccount(ctx, organization.NewAccount{Name: "Heir", Email: "ACME@example.com"})
	wantCode(t, "its address", err, "EntityAlreadyExists")
	wantSound(t, here)

	for range 2 {
		if err := there.ReopenAccount(ctx, a.ID); err != nil {
			t.Fatal(err)
		}
	}
	m.pass(time.Second)
	known(there, "opened again", true)
	known(here, "opened again, there", true)

	if err := here.CloseAccount(ctx, account); !errors.Is(err, organization.ErrManagement) {
		t.Errorf("the management account: %v", err)
	}
	wantCode(t, "no account", here.CloseAccount(ctx, "999999999999"), "AccountNotFoundException")
	wantCode(t, "no account id", here.ReopenAccount(ctx, "9"), "AccountNotFoundException")
}

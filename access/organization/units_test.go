package organization_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"souk/access/keyring"
	"souk/access/organization"
	"souk/storage/store/sqlite/sqlitetest"
	"souk/storage/worktest"
)

// born is an organisation with its management account, and what there is to
// know about it.
func born(t *testing.T) (*organization.Organization, organization.Info) {
	t.Helper()
	engine := sqlitetest.Open(t)
	o := organization.New(organization.Config{Store: engine, Keyring: keyring.New([32]byte{1})})
	if _, err := o.Bootstrap(t.Context(), "", o.NewKey()); err != nil {
		t.Fatal(err)
	}
	info, err := o.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return o, info
}

func mustUnit(t *testing.T, o *organization.Organization, in, name string) organization.Unit {
	t.Helper()
	u, err := o.CreateUnit(t.Context(), in, name, nil)
	if err != nil {
		t.Fatalf("making unit %s in %s: %v", name, in, err)
	}
	return u
}

func accountNamed(t *testing.T, o *organization.Organization, name string) organization.Account {
	t.Helper()
	a, err := o.CreateAccount(t.Context(), organization.NewAccount{Name: name})
	if err != nil {
		t.Fatalf("making account %s: %v", name, err)
	}
	return a
}

func TestAccountsMoveThroughTheTree(t *testing.T) {
	t.Parallel()
	o, info := born(t)
	ctx := t.Context()
	outer := mustUnit(t, o, info.Root(), "Engineering")
	inner := mustUnit(t, o, outer.ID, "Build")
	a := accountNamed(t, o, "Acme")

	wantPath := func(want ...string) {
		t.Helper()
		got, err := o.Path(ctx, a.ID)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("path: %v\n%s", err, diff)
		}
	}
	wantPath(a.ID, info.Root(), info.ID)
	if err := o.MoveAccount(ctx, a.ID, info.Root(), inner.ID); err != nil {
		t.Fatal(err)
	}
	wantPath(a.ID, inner.ID, outer.ID, info.Root(), info.ID)

	in := func(parent string) []string {
		t.Helper()
		page, _, err := o.AccountsIn(ctx, parent, organization.Portion{})
		if err != nil {
			t.Fatal(err)
		}
		ids := []string{}
		for _, a := range page {
			ids = append(ids, a.ID)
		}
		return ids
	}
	if got := in(inner.ID); !slices.Equal(got, []string{a.ID}) {
		t.Errorf("accounts of the unit: %v", got)
	}
	if got := in(outer.ID); len(got) != 0 {
		t.Errorf("accounts of the unit above, which are in it only through another: %v", got)
	}
	if got := in(info.Root()); !slices.Equal(got, []string{info.Management}) {
		t.Errorf("accounts of the root: %v", got)
	}

	wantSound(t, o)
	wantCode(t, "unit inner", o.DeleteUnit(ctx, inner.ID), "OrganizationalUnitNotEmptyException")
	wantCode(t, "unit outer", o.DeleteUnit(ctx, outer.ID), "OrganizationalUnitNotEmptyException")
	if err := o.MoveAccount(ctx, a.ID, inner.ID, info.Root()); err != nil {
		t.Fatal(err)
	}
	wantPath(a.ID, info.Root(), info.ID)
	for _, u := range []organization.Unit{inner, outer} {
		if err := o.DeleteUnit(ctx, u.ID); err != nil {
			t.Fatal(err)
		}
	}
	_, err := o.Unit(ctx, inner.ID)
	wantCode(t, "the unit that was deleted", err, "OrganizationalUnitNotFoundException")
}

func TestMovesThatCanNotBe(t *testing.T) {
	t.Parallel()
	o, info := born(t)
	ctx := t.Context()
	u, v := mustUnit(t, o, info.Root(), "One"), mustUnit(t, o, info.Root(), "Two")
	a := accountNamed(t, o, "Acme")
	gone := u.ID[:len(u.ID)-8] + "gone0000"
	for name, c := range map[string]struct{ account, from, to, code string }{
		"unknown account":                  {"210987654321", info.Root(), u.ID, "AccountNotFoundException"},
		"unknown source":                   {a.ID, gone, u.ID, "SourceParentNotFoundException"},
		"source that the account isn't in": {a.ID, v.ID, u.ID, "SourceParentNotFoundException"},
		"unknown destination":              {a.ID, info.Root(), gone, "DestinationParentNotFoundException"},
		"root of another organisation":     {a.ID, info.Root(), "r-zzzz", "DestinationParentNotFoundException"},
		"where it is":                      {a.ID, info.Root(), info.Root(), "DuplicateAccountException"},
	} {
		wantCode(t, name, o.MoveAccount(ctx, c.account, c.from, c.to), c.code)
	}
}

func TestUnitsThatCanNotBe(t *testing.T) {
	t.Parallel()
	o, info := born(t)
	ctx := t.Context()
	u := mustUnit(t, o, info.Root(), "One")
	_, err := o.CreateUnit(ctx, info.Root(), "One", nil)
	wantCode(t, "a name that is taken", err, "DuplicateOrganizationalUnitException")
	_, err = o.CreateUnit(ctx, "r-zzzz", "Two", nil)
	wantCode(t, "unknown parent", err, "ParentNotFoundException")
	two := mustUnit(t, o, info.Root(), "Two")
	_, err = o.RenameUnit(ctx, two.ID, "One")
	wantCode(t, "renamed to a name that is taken", err, "DuplicateOrganizationalUnitException")
	if same, err := o.RenameUnit(ctx, two.ID, "Two"); err != nil || same.Name != "Two" {
		t.Errorf("its own name: %+v, %v", same, err)
	}
	if _, err := o.RenameUnit(ctx, two.ID, "Three"); err != nil {
		t.Error(err)
	}
	mustUnit(t, o, info.Root(), "Two") // the name is free again
	below := u.ID
	for range 4 {
		below = mustUnit(t, o, below, "One").ID // the same name elsewhere
	}
	_, err = o.CreateUnit(ctx, below, "sixth level", nil)
	wantCode(t, "too deep", err, "ConstraintViolationException")
	// Where something is put while its parent vanishes, one of the two is refused.
	var wait sync.WaitGroup
	leaf := mustUnit(t, o, info.Root(), "Leaf")
	var made, deleted error
	wait.Go(func() { _, made = o.CreateUnit(ctx, leaf.ID, "child", nil) })
	wait.Go(func() { deleted = o.DeleteUnit(ctx, leaf.ID) })
	wait.Wait()
	if (made == nil) == (deleted == nil) {
		t.Errorf("child made: %v, parent deleted: %v", made, deleted)
	}
}

func TestWhatIsInTheOrganisation(t *testing.T) {
	t.Parallel()
	o, info := born(t)
	u := mustUnit(t, o, info.Root(), "One")
	for id, want := range map[string]bool{
		info.ID: true, info.Root(): true, u.ID: true, info.Management: true,
		"o-aaaaaaaaaa": false, "r-zzzz": false, "ou-aaaa-bbbbbbbb": false, "210987654321": false, "": false, "key": false,
	} {
		if got, err := o.Contains(t.Context(), id); err != nil || got != want {
			t.Errorf("%q: %v, %v", id, got, err)
		}
	}
}

func TestPagesGoThroughAllAndTheirTokensAreSealed(t *testing.T) {
	t.Parallel()
	o, info := born(t)
	ctx := t.Context()
	want := []string{info.Management}
	for range 7 {
		want = append(want, accountNamed(t, o, "Acme").ID)
	}
	slices.Sort(want)
	var got []string
	token := ""
	for {
		page, next, err := o.AccountsIn(ctx, info.Root(), organization.Portion{Max: 3, Token: token})
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range page {
			got = append(got, a.ID)
		}
		if next == "" {
			break
		}
		token = next
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for name, bad := range map[string]string{"altered": token[:len(token)-2] + "AA", "no base64": "***", "empty seal": "AA"} {
		if _, _, err := o.AccountsIn(ctx, info.Root(), organization.Portion{Token: bad}); err != organization.ErrToken {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := o.UnitsIn(ctx, info.Root(), organization.Portion{Token: token}); err != organization.ErrToken {
		t.Errorf("token of another list: %v", err)
	}
}

// running runs the organisation's work until the test ends.
func running(t *testing.T, o *organization.Organization) {
	t.Helper()
	worktest.Run(t, func(ctx context.Context) error { return o.Run(ctx, "node", slog.New(slog.DiscardHandler)) })
}

// ended waits until a request to make an account has ended.
func ended(t *testing.T, o *organization.Organization, id string) organization.Creation {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for ; ; <-tick.C {
		c, err := o.Creation(ctx, id)
		if err != nil {
			t.Fatalf("request %s: %v", id, err)
		}
		if c.State != organization.InProgress {
			return c
		}
	}
}

func TestAccountsThatAreAskedForAreMadeAlsoByANodeThatStartsLater(t *testing.T) {
	t.Parallel()
	o, info := born(t)
	ctx := t.Context()
	first, err := o.RequestAccount(ctx, organization.NewAccount{Name: "Acme", Email: "acme@example.com"})
	if err != nil || first.State != organization.InProgress {
		t.Fatalf("%+v, %v", first, err)
	}
	running(t, o)
	made := ended(t, o, first.ID)
	if made.State != organization.Succeeded || made.Completed.IsZero() {
		t.Fatalf("%+v", made)
	}
	a, err := o.Account(ctx, made.Account)
	if err != nil || a.Name != "Acme" || a.Address() != "acme@example.com" || a.Management {
		t.Errorf("%+v, %v", a, err)
	}
	r, err := o.Role(ctx, a.ID, organization.AccessRole)
	if err != nil || !strings.Contains(r.Trust, "arn:aws:iam::"+info.Management+":root") {
		t.Errorf("%+v, %v", r, err)
	}
	named := accountNamed(t, o, "without")
	if _, err := o.Role(ctx, named.ID, organization.AccessRole); err != nil {
		t.Error(err)
	}
	second, err := o.RequestAccount(ctx, organization.NewAccount{Name: "Acme", Email: "ACME@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	if refused := ended(t, o, second.ID); refused.State != organization.Failed || refused.Reason != "EMAIL_ALREADY_EXISTS" || refused.Account != "" {
		t.Errorf("an address that is taken: %+v", refused)
	}
	all, _, err := o.ListAccounts(ctx, organization.Portion{})
	if err != nil || len(all) != 3 || !strings.HasSuffix(must(o.Account(ctx, info.Management)).Address(), ".invalid") {
		t.Errorf("%+v, %v", all, err)
	}
	failed, _, err := o.Creations(ctx, []string{organization.Failed}, organization.Portion{})
	if err != nil || len(failed) != 1 || failed[0].ID != second.ID {
		t.Errorf("%+v, %v", failed, err)
	}
	_, err = o.Creation(ctx, "car-00000000")
	wantCode(t, "unknown request", err, "CreateAccountStatusNotFoundException")
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestVerifyFindsWhatIsInAUnitThatIsMissing(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	o := m.started()
	ctx := t.Context()
	info := must(o.Info(ctx))
	outer := mustUnit(t, o, info.Root(), "One")
	inner := mustUnit(t, o, outer.ID, "Two")
	a := accountNamed(t, o, "Acme")
	if err := o.MoveAccount(ctx, a.ID, info.Root(), outer.ID); err != nil {
		t.Fatal(err)
	}
	wantSound(t, o)
	if err := m.store.Commit(ctx, remove("unit", outer.ID)); err != nil {
		t.Fatal(err)
	}
	findings := must(o.Verify(ctx))
	for _, id := range []string{a.ID, inner.ID} {
		if !slices.ContainsFunc(findings, func(f string) bool { return strings.Contains(f, id) && strings.Contains(f, "missing") }) {
			t.Errorf("%s: %q", id, findings)
		}
	}
}

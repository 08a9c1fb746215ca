package organization_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"souk/access/iam"
	"souk/access/keyring"
	"souk/access/organization"
	"souk/gateway/apierror"
	"souk/storage/store"
	"souk/storage/store/sqlite/sqlitetest"
)

// market is a database with some nodes on it and a clock that stands still.
type market struct {
	t     testing.TB
	store *faulty
	ring  *keyring.Ring
	now   atomic.Int64 // Unix nanoseconds
}

func newMarket(t testing.TB) *market {
	t.Helper()
	engine := sqlitetest.Open(t)
	m := &market{t: t, store: &faulty{Store: engine}, ring: keyring.New([32]byte{7})}
	m.now.Store(time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC).UnixNano())
	return m
}

// node is one more server on the database.
func (m *market) node() *organization.Organization {
	return organization.New(organization.Config{
		Store: m.store, Keyring: m.ring,
		Now: func() time.Time { return time.Unix(0, m.now.Load()) },
	})
}

func (m *market) pass(d time.Duration) { m.now.Add(int64(d)) }

// started is a node of a market that has its organisation.
func (m *market) started() *organization.Organization {
	m.t.Helper()
	o := m.node()
	if _, err := o.Bootstrap(m.t.Context(), "", o.NewKey()); err != nil {
		m.t.Fatal(err)
	}
	return o
}

// faulty is a real engine whose commits can fail, before or after they are kept.
type faulty struct {
	store.Store
	mu    sync.Mutex
	fault string // "", "failed" or "answer lost"; for the next commit
	gets  atomic.Int64
}

var errBroken = errors.New("connection broken")

func (f *faulty) Get(ctx context.Context, key store.Key) (store.Document, error) {
	f.gets.Add(1)
	return f.Store.Get(ctx, key)
}

func (f *faulty) breakNext(fault string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

func (f *faulty) Commit(ctx context.Context, b store.Batch) error {
	f.mu.Lock()
	fault := f.fault
	f.fault = ""
	f.mu.Unlock()
	if fault == "failed" {
		return errBroken
	}
	err := f.Store.Commit(ctx, b)
	if fault != "" {
		return errBroken
	}
	return err
}

func wantCode(t testing.TB, what string, err error, code string) {
	t.Helper()
	if !apierror.Is(err, code) {
		t.Errorf("%s: got %v, want %s", what, err, code)
	}
}

func wantSound(t testing.TB, o *organization.Organization) {
	t.Helper()
	findings, err := o.Verify(t.Context())
	if err != nil || len(findings) > 0 {
		t.Errorf("verify: %v, %v", findings, err)
	}
}

func mustAccount(t testing.TB, o *organization.Organization, n organization.NewAccount) organization.Account {
	t.Helper()
	a, err := o.CreateAccount(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func mustKey(t testing.TB, o *organization.Organization, account, user string) organization.Key {
	t.Helper()
	k, err := o.CreateKey(t.Context(), account, user)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func mustUser(t testing.TB, o *organization.Organization, account, name string) organization.User {
	t.Helper()
	u, err := o.CreateUser(t.Context(), account, name)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestOfManyNodesThatStartAtOnceOneMakesTheOrganisation(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	var made atomic.Int32
	var group sync.WaitGroup
	dir := t.TempDir()
	for i := range 8 {
		group.Go(func() {
			file := filepath.Join(dir, string(rune('a'+i)), "credentials")
			if err := os.Mkdir(filepath.Dir(file), 0o700); err != nil {
				t.Error(err)
				return
			}
			ok, err := m.node().FirstStart(t.Context(), "", file)
			if err != nil {
				t.Error(err)
			}
			if ok {
				made.Add(1)
			}
		})
	}
	group.Wait()
	files, _ := filepath.Glob(filepath.Join(dir, "*", "*"))
	if made.Load() != 1 || len(files) != 1 || filepath.Base(files[0]) != "credentials" {
		t.Fatalf("made %d times, files %v", made.Load(), files)
	}
	info, err := os.Stat(files[0])
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("credentials: mode %v, %v", info.Mode(), err)
	}
	o := m.node()
	wantRoot(t, o, files[0], "123456789012")
	wantSound(t, o)
}

// wantRoot checks that a credentials file opens the root user of an account.
func wantRoot(t *testing.T, o *organization.Organization, file, account string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text))
	if len(fields) != 7 || fields[0] != "[default]" || fields[1] != "aws_access_key_id" || fields[4] != "aws_secret_access_key" {
		t.Fatalf("credentials file: %q", text)
	}
	secret, p, ok, err := o.Lookup(t.Context(), fields[3])
	if err != nil || !ok || secret != fields[6] {
		t.Fatalf("lookup of %s: %v, %v", fields[3], ok, err)
	}
	if !p.Root || p.Account != account || p.ARN != "arn:aws:iam::"+account+":root" || p.ID != account {
		t.Errorf("principal %+v", p)
	}
}

func TestNoFaultAtTheFirstStartLosesTheRootKey(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{"failed", "answer lost"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			m := newMarket(t)
			file := filepath.Join(t.TempDir(), "credentials")
			m.store.breakNext(fault)
			made, err := m.node().FirstStart(t.Context(), "", file)
			if fault == "failed" {
				if !errors.Is(err, errBroken) {
					t.Fatalf("got %v, %v", made, err)
				}
				made, err = m.node().FirstStart(t.Context(), "", file)
			}
			if !made || err != nil {
				t.Fatalf("got %v, %v", made, err)
			}
			wantRoot(t, m.node(), file, "123456789012")
		})
	}
	t.Run("process killed before the file had its name", func(t *testing.T) {
		t.Parallel()
		m := newMarket(t)
		file := filepath.Join(t.TempDir(), "credentials")
		if _, err := m.node().FirstStart(t.Context(), "", file); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file, file+".offered"); err != nil {
			t.Fatal(err)
		}
		if made, err := m.node().FirstStart(t.Context(), "", file); !made || err != nil {
			t.Fatalf("got %v, %v", made, err)
		}
		wantRoot(t, m.node(), file, "123456789012")
	})
	t.Run("process killed while the offer was written", func(t *testing.T) {
		t.Parallel()
		m := newMarket(t)
		file := filepath.Join(t.TempDir(), "credentials")
		if err := os.WriteFile(file+".offered", []byte("[default]\naws_access_key_id = AKIA"), 0o600); err != nil {
			t.Fatal(err)
		}
		if made, err := m.node().FirstStart(t.Context(), "111122223333", file); !made || err != nil {
			t.Fatalf("got %v, %v", made, err)
		}
		wantRoot(t, m.node(), file, "111122223333")
	})
}

func TestStartWithAnotherKeyOrAccountIsRefused(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	if err := m.node().Check(t.Context()); !errors.Is(err, organization.ErrNone) {
		t.Errorf("check of an empty database: %v", err)
	}
	o := m.started()
	if err := o.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if made, err := o.Bootstrap(t.Context(), "123456789012", o.NewKey()); made || err != nil {
		t.Errorf("second bootstrap: %v, %v", made, err)
	}
	if _, err := o.Bootstrap(t.Context(), "111122223333", o.NewKey()); err == nil || !strings.Contains(err.Error(), "123456789012") {
		t.Errorf("bootstrap with another account: %v", err)
	}
	m.ring = keyring.New([32]byte{8})
	other := m.node()
	var wrong *organization.WrongKeyError
	if _, err := other.Bootstrap(t.Context(), "", other.NewKey()); !errors.As(err, &wrong) || !strings.Contains(err.Error(), "--key-file") {
		t.Errorf("bootstrap with another key file: %v", err)
	}
	if findings, err := other.Verify(t.Context()); err != nil || len(findings) != 1 {
		t.Errorf("verify with another key file: %v, %v", findings, err)
	}
	for _, id := range []string{"1234", organization.ReservedAccount} {
		m := newMarket(t)
		if _, err := m.node().Bootstrap(t.Context(), id, m.node().NewKey()); !apierror.Is(err, "ValidationError") {
			t.Errorf("bootstrap with account %s: %v", id, err)
		}
	}
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	o := m.started()
	acme := mustAccount(t, o, organization.NewAccount{Name: "Acme", Namespace: "acme"})
	plain := mustAccount(t, o, organization.NewAccount{Name: "Plain", ID: "000011112222"})
	if len(acme.ID) != 12 || acme.Namespace != "acme" || plain.Namespace != "seller-000011112222" {
		t.Errorf("made %+v and %+v", acme, plain)
	}
	for name, c := range map[string]struct {
		n    organization.NewAccount
		code string
	}{
		"no name":                                {organization.NewAccount{}, "ValidationError"},
		"name of blanks":                         {organization.NewAccount{Name: "  "}, "ValidationError"},
		"name with a line end":                   {organization.NewAccount{Name: "a\nb"}, "ValidationError"},
		"name too long":                          {organization.NewAccount{Name: strings.Repeat("x", 51)}, "ValidationError"},
		"id of 11 digits":                        {organization.NewAccount{Name: "x", ID: "12345678901"}, "ValidationError"},
		"id with a letter":                       {organization.NewAccount{Name: "x", ID: "12345678901a"}, "ValidationError"},
		"reserved id":                            {organization.NewAccount{Name: "x", ID: "709825985650"}, "ValidationError"},
		"id taken":                               {organization.NewAccount{Name: "x", ID: plain.ID, Namespace: "other"}, "EntityAlreadyExists"},
		"namespace taken":                        {organization.NewAccount{Name: "x", Namespace: "acme"}, "EntityAlreadyExists"},
		"namespace in upper case":                {organization.NewAccount{Name: "x", Namespace: "Acme"}, "ValidationError"},
		"namespace with a slash":                 {organization.NewAccount{Name: "x", Namespace: "a/b"}, "ValidationError"},
		"namespace that ends in a hyphen":        {organization.NewAccount{Name: "x", Namespace: "acme-"}, "ValidationError"},
		"namespace of one letter":                {organization.NewAccount{Name: "x", Namespace: "a"}, "ValidationError"},
		"namespace too long":                     {organization.NewAccount{Name: "x", Namespace: strings.Repeat("a", 65)}, "ValidationError"},
		"namespace of Souk's own":                {organization.NewAccount{Name: "x", Namespace: "published"}, "ValidationError"},
		"default namespace of another account":   {organization.NewAccount{Name: "x", Namespace: "seller-999999999999"}, "ValidationError"},
		"id whose default namespace is no other": {organization.NewAccount{Name: "x", ID: "123456789012"}, "EntityAlreadyExists"},
	} {
		_, err := o.CreateAccount(t.Context(), c.n)
		wantCode(t, name, err, c.code)
	}
	list, err := o.Accounts(t.Context())
	if err != nil || len(list) != 3 || list[0] != plain {
		t.Errorf("accounts %+v, %v", list, err)
	}
	_, err = o.Account(t.Context(), "999999999999")
	wantCode(t, "unknown account", err, "NoSuchEntity")
	for range 2 { // the second is remembered
		if name, err := o.Seller(t.Context(), acme.ID); err != nil || name != "acme" {
			t.Errorf("seller %q, %v", name, err)
		}
	}
	if owner, ok, err := o.NamespaceOwner(t.Context(), "acme"); err != nil || !ok || owner != acme.ID {
		t.Errorf("owner of acme: %s, %v, %v", owner, ok, err)
	}
	if _, ok, err := o.NamespaceOwner(t.Context(), "nobody"); ok || err != nil {
		t.Errorf("owner of nobody: %v, %v", ok, err)
	}
	wantSound(t, o)
	if _, err := newMarket(t).node().CreateAccount(t.Context(), organization.NewAccount{Name: "x"}); !errors.Is(err, organization.ErrNone) {
		t.Errorf("account without an organisation: %v", err)
	}
}

const (
	allowAll = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`
	denyAll  = `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}`
)

func TestUsersAndTheirPolicies(t *testing.T) {
	t.Parallel()
	o := newMarket(t).started()
	const account = organization.DefaultAccount
	ctx := t.Context()
	u := mustUser(t, o, account, "Publisher")
	if u.ARN() != "arn:aws:iam::123456789012:user/Publisher" || len(u.ID) != 21 || u.ID[:4] != "AIDA" {
		t.Errorf("made %+v", u)
	}
	_, err := o.CreateUser(ctx, account, "publisher")
	wantCode(t, "a name that differs in case only", err, "EntityAlreadyExists")
	_, err = o.CreateUser(ctx, account, "a b")
	wantCode(t, "a name with a blank", err, "ValidationError")
	_, err = o.CreateUser(ctx, "999999999999", "x")
	wantCode(t, "a user of no account", err, "NoSuchEntity")

	wantCode(t, "malformed policy", o.PutPolicy(ctx, account, "Publisher", organization.Policy{Name: "p", Document: "{"}), "MalformedPolicyDocument")
	wantCode(t, "policy name with a slash", o.PutPolicy(ctx, account, "Publisher", organization.Policy{Name: "a/b", Document: allowAll}), "ValidationError")
	wantCode(t, "policy of nobody", o.PutPolicy(ctx, account, "Nobody", organization.Policy{Name: "p", Document: allowAll}), "NoSuchEntity")
	for _, name := range []string{"z", "a", "m", "a"} {
		if err := o.PutPolicy(ctx, account, "PUBLISHER", organization.Policy{Name: name, Document: allowAll}); err != nil {
			t.Fatal(err)
		}
	}
	list, err := o.Users(ctx, account)
	if err != nil || len(list) != 1 || strings.Join(list[0].Policies, " ") != "a m z" {
		t.Errorf("users %+v, %v", list, err)
	}
	if p, err := o.Policy(ctx, account, "Publisher", "m"); err != nil || p.Document != allowAll {
		t.Errorf("policy %+v, %v", p, err)
	}
	_, err = o.Policy(ctx, account, "Publisher", "x")
	wantCode(t, "unknown policy", err, "NoSuchEntity")
	wantCode(t, "deletion of an unknown policy", o.DeletePolicy(ctx, account, "Publisher", "x"), "NoSuchEntity")

	for _, name := range strings.Fields("b c d e f g h") {
		if err := o.PutPolicy(ctx, account, "Publisher", organization.Policy{Name: name, Document: allowAll}); err != nil {
			t.Fatal(err)
		}
	}
	// A user's inline policies have 2,048 characters together.
	long := strings.Replace(allowAll, `"Statement"`, `"Id":"`+strings.Repeat("x", 1500)+`","Statement"`, 1)
	wantCode(t, "policies that are too long together", o.PutPolicy(ctx, account, "Publisher", organization.Policy{Name: "k", Document: long}), "LimitExceeded")
	wantCode(t, "deletion with policies", o.DeleteUser(ctx, account, "Publisher", false), "DeleteConflict")
	policies, err := o.Policies(ctx, account, "Publisher")
	if err != nil || len(policies) != 10 {
		t.Errorf("policies %+v, %v", policies, err)
	}
	for _, p := range policies {
		if err := o.DeletePolicy(ctx, account, "Publisher", p.Name); err != nil {
			t.Fatal(err)
		}
	}
	k := mustKey(t, o, account, "publisher")
	wantCode(t, "deletion with keys", o.DeleteUser(ctx, account, "Publisher", false), "DeleteConflict")
	wantSound(t, o)
	if err := o.DeleteUser(ctx, account, "Publisher", true); err != nil {
		t.Fatal(err)
	}
	if _, _, ok, err := o.Lookup(ctx, k.ID); ok || err != nil {
		t.Errorf("key of a deleted user: %v, %v", ok, err)
	}
	wantCode(t, "second deletion", o.DeleteUser(ctx, account, "Publisher", true), "NoSuchEntity")
	wantSound(t, o)
}

func TestAccessKeys(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	o := m.started()
	ctx := t.Context()
	acme := mustAccount(t, o, organization.NewAccount{Name: "Acme"})
	u := mustUser(t, o, acme.ID, "ci")
	root, key := mustKey(t, o, acme.ID, ""), mustKey(t, o, acme.ID, "CI")
	if len(key.ID) != 20 || key.ID[:4] != "AKIA" || len(key.Secret) != 40 {
		t.Errorf("made %+v", key)
	}
	secret, p, ok, err := o.Lookup(ctx, key.ID)
	if err != nil || !ok || secret != key.Secret || p.Root || p.ARN != u.ARN() || p.ID != u.ID || p.Name != "ci" || p.Account != acme.ID {
		t.Errorf("lookup: %+v, %v, %v", p, ok, err)
	}
	if _, p, ok, err := o.Lookup(ctx, root.ID); err != nil || !ok || !p.Root || p.Account != acme.ID {
		t.Errorf("lookup of the root key: %+v, %v, %v", p, ok, err)
	}
	list, err := o.Keys(ctx, acme.ID, "")
	if err != nil || len(list) != 2 {
		t.Errorf("keys of the account: %+v, %v", list, err)
	}
	list, err = o.Keys(ctx, acme.ID, "Ci")
	if err != nil || len(list) != 1 || list[0].ID != key.ID || list[0].User != "ci" || !list[0].Active {
		t.Errorf("keys of the user: %+v, %v", list, err)
	}
	_, err = o.Keys(ctx, acme.ID, "nobody")
	wantCode(t, "keys of nobody", err, "NoSuchEntity")
	wantCode(t, "deletion through another account", o.DeleteKey(ctx, organization.DefaultAccount, key.ID), "NoSuchEntity")
	wantCode(t, "deactivation of what is no key", o.SetKeyActive(ctx, acme.ID, "AKIA", false), "NoSuchEntity")
	if err := o.DeleteKey(ctx, acme.ID, key.ID); err != nil {
		t.Fatal(err)
	}
	if err := o.DeleteKey(ctx, acme.ID, root.ID); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{key.ID, root.ID} {
		if _, _, ok, err := o.Lookup(ctx, id); ok || err != nil {
			t.Errorf("deleted key: %v, %v", ok, err)
		}
	}
	wantSound(t, o)
}

func TestNoRaceMakesAThirdKey(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	o := m.started()
	mustUser(t, o, organization.DefaultAccount, "ci")
	var made, refused atomic.Int32
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			switch _, err := m.node().CreateKey(t.Context(), organization.DefaultAccount, "ci"); {
			case err == nil:
				made.Add(1)
			case apierror.Is(err, "LimitExceeded"):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	group.Wait()
	if made.Load() != 2 || refused.Load() != 6 {
		t.Errorf("made %d, refused %d", made.Load(), refused.Load())
	}
	wantSound(t, o)
}

func decide(p *iam.Principal) bool {
	return iam.Decide(p, iam.Question{Action: "a:b", Resource: "*"}).Allowed
}

package keyring_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"souk/access/keyring"
	"souk/access/organization"
	"souk/storage/store"
	"souk/storage/store/sqlite/sqlitetest"
)

// faulty is a store whose commits can be made to fail.
type faulty struct {
	store.Store
	commits int
	at      int  // the commit that fails; 0: none
	kept    bool // it is kept, and its answer lost
	// between, if set, is called once, before the next commit.
	between func()
}

var errFault = errors.New("the machine died")

func (f *faulty) Commit(ctx context.Context, b store.Batch) error {
	if between := f.between; between != nil {
		f.between = nil
		between()
	}
	f.commits++
	if f.at == 0 || f.commits < f.at {
		return f.Store.Commit(ctx, b)
	}
	if f.commits == f.at && f.kept {
		return errors.Join(f.Store.Commit(ctx, b), errFault)
	}
	return errFault
}

// market is an organisation with a key file of its own.
type market struct {
	*organization.Organization
	store    *faulty
	file     string
	ring     *keyring.Ring
	rotation *keyring.Rotation
}

// open opens the market of a store and a key file, as a node does.
func open(t *testing.T, s store.Store, file string) *market {
	t.Helper()
	ring, _, err := keyring.LoadOrCreate(file)
	if err != nil {
		t.Fatal(err)
	}
	m := &market{store: &faulty{Store: s}, file: file, ring: ring}
	m.Organization = organization.New(organization.Config{Store: m.store, Keyring: ring})
	m.rotation = keyring.NewRotation(ring, m.store, m.Organization)
	m.rotation.Add(m.AtRest())
	return m
}

// filled opens a new market that has an access key in each of n accounts.
func filled(t *testing.T, n int) (*market, []organization.Key) {
	t.Helper()
	m := open(t, sqlitetest.Open(t), filepath.Join(t.TempDir(), "key"))
	root := m.NewKey()
	if _, err := m.Bootstrap(t.Context(), "", root); err != nil {
		t.Fatal(err)
	}
	keys := []organization.Key{root}
	for i := range n {
		a, err := m.CreateAccount(t.Context(), organization.NewAccount{Name: fmt.Sprint("account ", i)})
		if err != nil {
			t.Fatal(err)
		}
		k, err := m.CreateKey(t.Context(), a.ID, "")
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k)
	}
	return m, keys
}

// reseal seals all anew.
func (m *market) reseal(ctx context.Context) (sealed int, err error) {
	var p keyring.Progress
	for !p.Done {
		p, err = m.rotation.Reseal(ctx, p.Next)
		if err != nil {
			return sealed, err
		}
		sealed += p.Sealed
	}
	return sealed, nil
}

// check fails the test where a secret is not what it was.
func (m *market) check(t *testing.T, keys []organization.Key) {
	t.Helper()
	for _, k := range keys {
		secret, _, ok, err := m.Lookup(t.Context(), k.ID)
		if err != nil || !ok || secret != k.Secret {
			t.Fatalf("access key %s: %q, %t, %v", k.ID, secret, ok, err)
		}
	}
}

func (m *market) findings(t *testing.T) string {
	t.Helper()
	found, err := m.rotation.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(found, "\n")
}

func TestKeysAreAddedUsedAndDropped(t *testing.T) {
	t.Parallel()
	m, keys := filled(t, 3)
	ctx := t.Context()
	if _, err := m.rotation.Secret(ctx, "shared"); err != nil {
		t.Fatal(err)
	}
	before, err := m.rotation.Secret(ctx, "shared")
	if err != nil {
		t.Fatal(err)
	}
	old := m.ring.Keys()[0]
	token, mac := m.ring.Seal("token", []byte("x"), nil), m.ring.MAC("address", []byte("x"))
	added, err := m.rotation.AddKey()
	if err != nil || added.Seals {
		t.Fatalf("added %+v, %v", added, err)
	}
	if _, err := m.rotation.Drop(ctx, old.ID, time.Now(), true); err == nil || !strings.Contains(err.Error(), "seals") {
		t.Errorf("dropping the key that seals: %v", err)
	}
	if _, err := m.rotation.Use(ctx, added.ID); err != nil {
		t.Fatal(err)
	}
	if f := m.findings(t); !strings.Contains(f, "5 documents are still sealed with key "+old.ID) {
		t.Errorf("findings while nothing was sealed anew: %q", f)
	}
	if _, err := m.rotation.Drop(ctx, old.ID, time.Now(), true); err == nil || !strings.Contains(err.Error(), "5 documents") {
		t.Errorf("dropping a key that documents need: %v", err)
	}
	m.check(t, keys)
	for round, want := range []int{5, 0} {
		if n, err := m.reseal(ctx); n != want || err != nil {
			t.Errorf("round %d: %d sealed anew, %v; want %d", round, n, err, want)
		}
	}
	if f := m.findings(t); f != "" {
		t.Errorf("findings in the end: %s", f)
	}
	if _, err := m.ring.Open("token", token, nil); err != nil || !m.ring.Verify("address", []byte("x"), mac) {
		t.Errorf("what the old key sealed is not valid: %v", err)
	}
	if bytes.Equal(m.ring.MAC("address", []byte("x")), mac) {
		t.Error("the old key still makes MACs")
	}
	if _, err := m.rotation.Drop(ctx, old.ID, time.Now(), false); err == nil || !strings.Contains(err.Error(), "log-ins") {
		t.Errorf("dropping a key at once: %v", err)
	}
	if _, err := m.rotation.Drop(ctx, old.ID, time.Now().Add(13*time.Hour), false); err == nil || strings.Contains(err.Error(), "log-ins") || !strings.Contains(err.Error(), "60 days") {
		t.Errorf("dropping a key after 13 hours: %v", err)
	}
	if lost, err := m.rotation.Drop(ctx, old.ID, time.Now().Add(61*24*time.Hour), false); lost != "" || err != nil {
		t.Errorf("dropping a key after 61 days: %q, %v", lost, err)
	}
	if _, err := m.ring.Open("token", token, nil); err == nil || m.ring.Verify("address", []byte("x"), mac) {
		t.Error("what the dropped key sealed is still valid")
	}
	m.check(t, keys)
	after, err := m.rotation.Secret(ctx, "shared")
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the shared secret has changed: %v", err)
	}
	unused, err := m.rotation.AddKey()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.rotation.Drop(ctx, unused.ID, time.Now(), false); err != nil {
		t.Errorf("dropping a key that never sealed: %v", err)
	}
}

// Every write of a rotation fails, before it is kept and after; whoever goes on
// finds all secrets, and ends it.
func TestRotationThatDiesGoesOn(t *testing.T) {
	t.Parallel()
	m, keys := filled(t, 230) // three pages
	ctx := t.Context()
	for at := 1; ; at++ {
		died := false
		for _, kept := range []bool{false, true} {
			added, err := m.rotation.AddKey()
			if err != nil {
				t.Fatal(err)
			}
			m.store.commits, m.store.at, m.store.kept = 0, at, kept
			_, err = m.rotation.Use(ctx, added.ID)
			if err == nil {
				_, err = m.reseal(ctx)
			}
			died = died || errors.Is(err, errFault)
			if err != nil && !errors.Is(err, errFault) {
				t.Fatal(err)
			}
			m = open(t, m.store.Store, m.file)
			if err := m.Check(ctx); err != nil {
				t.Fatalf("commit %d, kept %t: %v", at, kept, err)
			}
			m.check(t, keys[:5])
			if _, err := m.rotation.Use(ctx, added.ID); err != nil {
				t.Fatal(err)
			}
			if _, err := m.reseal(ctx); err != nil {
				t.Fatal(err)
			}
			if f := m.findings(t); f != "" {
				t.Fatalf("commit %d, kept %t: %s", at, kept, f)
			}
			for _, k := range m.ring.Keys() {
				if k.ID != added.ID {
					if _, err := m.rotation.Drop(ctx, k.ID, time.Now(), true); err != nil {
						t.Fatal(err)
					}
				}
			}
			m.check(t, keys)
		}
		if !died {
			if at < 5 {
				t.Errorf("only %d commits: the market is too small for this test", at-1)
			}
			return
		}
	}
}

// A node with a copy of the file seals nothing with the old key once another
// node chose the new one, and takes up the new file by itself.
func TestNodesWithCopiesFollow(t *testing.T) {
	t.Parallel()
	a, keys := filled(t, 1)
	ctx := t.Context()
	copied := filepath.Join(t.TempDir(), "key")
	copyFile := func() {
		t.Helper()
		text, err := os.ReadFile(a.file)
		if err == nil {
			err = os.WriteFile(copied+".new", text, 0o600)
		}
		if err == nil {
			err = os.Rename(copied+".new", copied)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	copyFile()
	b := open(t, a.store.Store, copied)
	if err := b.Check(ctx); err != nil {
		t.Fatal(err)
	}
	added, err := a.rotation.AddKey()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.rotation.Use(ctx, added.ID); err != nil {
		t.Fatal(err)
	}
	var wrong *organization.WrongKeyError
	if _, err := b.CreateKey(ctx, "123456789012", ""); !errors.As(err, &wrong) {
		t.Errorf("a node without the new key seals a secret: %v", err)
	}
	if err := open(t, a.store.Store, copied).Check(ctx); !errors.As(err, &wrong) {
		t.Errorf("a node without the new key starts: %v", err)
	}
	token := a.ring.Seal("token", []byte("x"), nil)
	if _, err := b.ring.Open("token", token, nil); !errors.Is(err, keyring.ErrNotSealed) {
		t.Errorf("a token of a key that the node has not: %v", err)
	}
	copyFile()
	if _, err := b.ring.Open("token", token, nil); err != nil {
		t.Errorf("the node does not look into its new file: %v", err)
	}
	k, err := b.CreateKey(ctx, "123456789012", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.reseal(ctx); err != nil {
		t.Fatal(err)
	}
	a.check(t, append(keys, k))
	if f := b.findings(t); f != "" {
		t.Error(f)
	}
}

// What others write between the reading and the writing of a page is not lost,
// and is sealed anew all the same.
func TestWritesOfOthersInBetweenAreKept(t *testing.T) {
	t.Parallel()
	m, keys := filled(t, 20)
	ctx := t.Context()
	added, err := m.rotation.AddKey()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.rotation.Use(ctx, added.ID); err != nil {
		t.Fatal(err)
	}
	other := open(t, m.store.Store, m.file)
	m.store.between = func() {
		if err := other.SetKeyActive(ctx, "123456789012", keys[0].ID, false); err != nil {
			t.Error(err)
		}
	}
	if n, err := m.reseal(ctx); n != 21 || err != nil {
		t.Errorf("%d sealed anew, %v; want 21", n, err)
	}
	if f := m.findings(t); f != "" {
		t.Error(f)
	}
	if _, _, ok, err := m.Lookup(ctx, keys[0].ID); ok || err != nil {
		t.Errorf("the key that was disabled in between is good: %v", err)
	}
	m.check(t, keys[1:])

	// Somebody chooses yet another key in between: that one seals all.
	newer, err := m.rotation.AddKey()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.rotation.Use(ctx, newer.ID); err != nil {
		t.Fatal(err)
	}
	m.store.between = func() {
		if _, err := other.rotation.Use(ctx, added.ID); err != nil {
			t.Error(err)
		}
	}
	if _, err := m.reseal(ctx); err != nil {
		t.Fatal(err)
	}
	if f := m.findings(t); f != "" {
		t.Error(f)
	}
	if now := m.ring.Fingerprint(); now != added.Fingerprint {
		t.Errorf("%s seals, want %s", now, added.Fingerprint)
	}
}

func TestSecretsThatNothingOpensAreFound(t *testing.T) {
	t.Parallel()
	m, keys := filled(t, 1)
	ctx := t.Context()
	d, err := m.store.Get(ctx, store.Key{Kind: "accesskey", ID: keys[0].ID})
	if err != nil {
		t.Fatal(err)
	}
	d.Body = bytes.Replace(d.Body, []byte(`"Sealed":"A`), []byte(`"Sealed":"B`), 1)
	d.Index = []store.Entry{{Index: "all", Sort: d.ID}}
	if err := m.store.Commit(ctx, store.Batch{Put: []store.Write{{Document: d, Was: d.Revision}}}); err != nil {
		t.Fatal(err)
	}
	if f := m.findings(t); !strings.Contains(f, "secret of access key "+keys[0].ID) {
		t.Errorf("found %q", f)
	}
	added, err := m.rotation.AddKey()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.rotation.Use(ctx, added.ID); err != nil {
		t.Fatal(err)
	}
	if n, err := m.reseal(ctx); n != 1 || err != nil {
		t.Errorf("%d sealed anew, %v; want the other one", n, err)
	}
	if err := os.Remove(m.file); err != nil {
		t.Fatal(err)
	}
	if f := m.findings(t); !strings.Contains(f, "looking at the key file") {
		t.Errorf("found %q where the key file has gone", f)
	}
	if _, err := m.rotation.Use(ctx, "00000000"); err == nil {
		t.Error("a key that is not there was used")
	}
}

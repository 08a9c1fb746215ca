package keyring_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"
	"souk/access/keyring"
)

func TestWhatIsSealedOpensForItsPurposeAndOwnerOnly(t *testing.T) {
	t.Parallel()
	ring, other := keyring.New([32]byte{1}), keyring.New([32]byte{2})
	rapid.Check(t, func(t *rapid.T) {
		plain := rapid.SliceOf(rapid.Byte()).Draw(t, "plain")
		bound := rapid.SliceOf(rapid.Byte()).Draw(t, "bound")
		sealed := ring.Seal("secret", plain, bound)
		got, err := ring.Open("secret", sealed, bound)
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("opened %q, %v; want %q", got, err, plain)
		}
		if bytes.Equal(sealed, ring.Seal("secret", plain, bound)) {
			t.Fatal("sealed twice with the same result")
		}
		altered := bytes.Clone(sealed)
		altered[rapid.IntRange(0, len(sealed)-1).Draw(t, "place")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		short := sealed[:rapid.IntRange(0, len(sealed)-1).Draw(t, "length")]
		for name, open := range map[string]func() ([]byte, error){
			"another purpose": func() ([]byte, error) { return ring.Open("token", sealed, bound) },
			"another owner":   func() ([]byte, error) { return ring.Open("secret", sealed, append(bound, 0)) },
			"another key":     func() ([]byte, error) { return other.Open("secret", sealed, bound) },
			"altered":         func() ([]byte, error) { return ring.Open("secret", altered, bound) },
			"cut short":       func() ([]byte, error) { return ring.Open("secret", short, bound) },
		} {
			if got, err := open(); !errors.Is(err, keyring.ErrNotSealed) || got != nil {
				t.Fatalf("%s: got %q, %v", name, got, err)
			}
		}
	})
}

func TestMACAndFingerprintDependOnTheKey(t *testing.T) {
	t.Parallel()
	a, b := keyring.New([32]byte{1}), keyring.New([32]byte{2})
	data := []byte("data")
	if !bytes.Equal(a.MAC("x", data), keyring.New([32]byte{1}).MAC("x", data)) || a.Fingerprint() != keyring.New([32]byte{1}).Fingerprint() {
		t.Error("the same key gives something else")
	}
	if bytes.Equal(a.MAC("x", data), a.MAC("y", data)) || bytes.Equal(a.MAC("x", data), b.MAC("x", data)) || a.Fingerprint() == b.Fingerprint() {
		t.Error("another purpose or key gives the same")
	}
	if len(a.MAC("x", nil)) != 32 || len(a.Fingerprint()) != 20 {
		t.Error("wrong length")
	}
}

func TestKeyFileIsMadeOnceAndPrivate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	var made atomic.Int32
	var prints sync.Map
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			ring, created, err := keyring.LoadOrCreate(path)
			if err != nil {
				t.Error(err)
				return
			}
			if created {
				made.Add(1)
			}
			prints.Store(ring.Fingerprint(), true)
		})
	}
	group.Wait()
	count := 0
	prints.Range(func(any, any) bool { count++; return true })
	if made.Load() != 1 || count != 1 {
		t.Errorf("made %d times, %d keys", made.Load(), count)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestWrongKeyFilesAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good := filepath.Join(dir, "good")
	if _, _, err := keyring.LoadOrCreate(good); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, content string
		mode          os.FileMode
		want          string
	}{
		{"readable by the group", string(text), 0o640, "chmod 600"},
		{"writable by others", string(text), 0o602, "chmod 600"},
		{"empty", "", 0o600, "no key file of souk"},
		{"another file", "-----BEGIN PRIVATE KEY-----\n", 0o600, "no key file of souk"},
		{"too long", string(text) + strings.Repeat(" ", 5000), 0o600, "no key file of souk"},
		{"cut short", string(text[:len(text)-10]), 0o600, "damaged"},
		{"not base64", strings.Split(string(text), "\n")[0] + "\n!!!!\n", 0o600, "damaged"},
	} {
		path := filepath.Join(dir, c.name)
		if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		if _, _, err := keyring.LoadOrCreate(path); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
	if _, _, err := keyring.LoadOrCreate(dir); err == nil {
		t.Error("a folder was taken for a key file")
	}
	if _, _, err := keyring.LoadOrCreate(filepath.Join(dir, "missing", "key")); err == nil {
		t.Error("a key file was made in a folder that is not there")
	}
}

// Files and texts of before there were several keys.
func TestOldFilesAndTextsAreRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	const text = "souk key file, version 1: keep it secret, and apart from backups of the database\nAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ring, created, err := keyring.LoadOrCreate(path)
	if err != nil || created {
		t.Fatal(created, err)
	}
	if ring.Fingerprint() != keyring.New([32]byte{1}).Fingerprint() || ring.Fingerprint() != "0d014fc92a90d29f6327" {
		t.Errorf("fingerprint %s", ring.Fingerprint())
	}
	sealed, err := hex.DecodeString(oldSealed)
	if err != nil {
		t.Fatal(err)
	}
	added, err := ring.Add()
	if err != nil || !ring.SealWith(added.Fingerprint) {
		t.Fatal(err)
	}
	again, err := keyring.Load(path)
	if err != nil || len(again.Keys()) != 2 || again.Keys()[1].Created.IsZero() {
		t.Fatalf("%+v, %v", again.Keys(), err)
	}
	for name, r := range map[string]*keyring.Ring{"after Add": ring, "read again": again} {
		plain, err := r.Open("secret", sealed, []byte("owner"))
		if err != nil || string(plain) != "sealed long ago" {
			t.Errorf("%s: %q, %v", name, plain, err)
		}
	}
}

func TestTheFileIsFollowedAndNeverLosesItsKey(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	ring, _, err := keyring.LoadOrCreate(path)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 6 {
		group.Go(func() {
			other, err := keyring.Load(path)
			if err == nil {
				_, err = other.Add()
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if changed, err := ring.Look(); !changed || err != nil || len(ring.Keys()) != 7 {
		t.Errorf("after six additions: %t, %v, %d keys", changed, err, len(ring.Keys()))
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := ring.Drop(ring.Fingerprint()); err == nil {
		t.Error("the key that seals was dropped")
	}
	if err := ring.Drop("0123456789abcdef0123"); err == nil {
		t.Error("a key that is not there was dropped")
	}
	stranger := filepath.Join(t.TempDir(), "key")
	if _, _, err := keyring.LoadOrCreate(stranger); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(stranger, path); err != nil {
		t.Fatal(err)
	}
	if changed, err := ring.Look(); changed || err == nil || len(ring.Keys()) != 7 {
		t.Errorf("a file of others was taken: %t, %v", changed, err)
	}
	if _, err := keyring.New([32]byte{1}).Add(); err == nil {
		t.Error("a key was added to a ring without a file")
	}
}

func FuzzKeyFile(f *testing.F) {
	f.Add("souk key file, version 1: keep it secret, and apart from backups of the database\nAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")
	f.Add("souk key file, version 2: keep it secret, and apart from backups of the database\nAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= -\nAgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= 2026-01-02T15:04:05Z\n")
	f.Add("souk key file, version 2: keep it secret, and apart from backups of the database\n")
	path := filepath.Join(f.TempDir(), "key")
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		ring, err := keyring.Load(path)
		if err == nil && (len(ring.Keys()) == 0 || !ring.Keys()[0].Seals) {
			t.Errorf("%q: a ring without a key that seals", text)
		}
	})
}

// oldSealed is "sealed long ago", sealed by the key 1, 0, 0, ... for the purpose
// "secret", bound to "owner", before sealed texts named their key.
const oldSealed = "01a4549597de9d04e4a8d4a4dd07c37c6dd5a9e1242abffa8ce60614d6306b6ef8799d16b9f051989016e1ac22b72fd8d846bae065536ca2"

func FuzzOpen(f *testing.F) {
	ring := keyring.New([32]byte{1})
	f.Add(ring.Seal("p", []byte("x"), nil))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, sealed []byte) {
		plain, err := ring.Open("p", sealed, []byte("bound to something"))
		if err == nil {
			t.Fatalf("opened what nobody sealed: %q", plain)
		}
	})
}

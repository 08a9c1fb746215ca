package souktest

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"souk/conformance/seller"
)

// Account is an account that a command made, with a key of its root user.
type Account struct {
	ID  string
	Key Key
}

// Key is an access key.
type Key struct {
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey string
}

// Seller sees a server with the account's key.
func (a Account) Seller(s *Server) *seller.Seller { return a.Key.Seller(s) }

// Seller sees a server with the key.
func (k Key) Seller(s *Server) *seller.Seller {
	return seller.New(seller.Config{URL: s.URL, AccessKeyID: k.AccessKeyID, SecretAccessKey: k.SecretAccessKey})
}

// Must runs a command of souk and fails the test if it fails.
func (s *Server) Must(tb testing.TB, args ...string) string {
	tb.Helper()
	out, err := s.Command(args...)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// Account makes an account and a key of its root user. A namespace of "" is
// left to souk.
func (s *Server) Account(tb testing.TB, name, namespace string) Account {
	tb.Helper()
	args := []string{"account", "create", "--name", name}
	if namespace != "" {
		args = append(args, "--namespace", namespace)
	}
	a := Account{ID: strings.TrimSpace(s.Must(tb, args...))}
	a.Key = s.Key(tb, a.ID, "")
	return a
}

// User makes a user in the account of a seller, without any policy, and
// returns what the user sees.
func (s *Server) User(tb testing.TB, of *seller.Seller, name string) *seller.Seller {
	tb.Helper()
	account, err := of.Account(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	s.Must(tb, "user", "create", "--account", account, name)
	return s.Key(tb, account, name).Seller(s)
}

// Allow puts a policy on a user in the account of a seller.
func (s *Server) Allow(tb testing.TB, of *seller.Seller, user, policy, document string) {
	tb.Helper()
	account, err := of.Account(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	file := filepath.Join(tb.TempDir(), "policy.json")
	err = os.WriteFile(file, []byte(document), 0o600)
	if err != nil {
		tb.Fatal(err)
	}
	s.Must(tb, "policy", "put", "--account", account, "--user", user, "--policy-name", policy, file)
}

// Key makes an access key: of an account's root user, or of a user of it.
func (s *Server) Key(tb testing.TB, account, user string) Key {
	tb.Helper()
	args := []string{"key", "create", "--json", "--account", account}
	if user != "" {
		args = append(args, "--user", user)
	}
	out := s.Must(tb, args...)
	var k Key
	err := json.Unmarshal([]byte(out), &k)
	if err != nil || k.AccessKeyID == "" || k.SecretAccessKey == "" {
		tb.Fatalf("souk key create printed no key (%v):\n%s", err, out)
	}
	return k
}

// Root sees the server with the first key of the market, from DIR/credentials.
func (s *Server) Root(tb testing.TB) *seller.Seller {
	tb.Helper()
	k, err := s.RootKey()
	if err != nil {
		tb.Fatal(err)
	}
	return k.Seller(s)
}

// RootKey reads the first key of the market.
func (s *Server) RootKey() (Key, error) {
	var k Key
	f, err := os.Open(filepath.Join(s.Dir, "credentials"))
	if err != nil {
		return k, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), "=")
		switch strings.TrimSpace(name) {
		case "aws_access_key_id":
			k.AccessKeyID = strings.TrimSpace(value)
		case "aws_secret_access_key":
			k.SecretAccessKey = strings.TrimSpace(value)
		}
	}
	return k, lines.Err()
}

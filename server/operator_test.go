package server

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"souk/access/organization"
	"souk/access/trail"
	"souk/server/control"
)

// What the operator changes is on record, whether a server runs or not, and
// what is refused, too; the secret of a key is not.
func TestWhatTheOperatorChangesIsOnRecord(t *testing.T) {
	t.Parallel()
	place := Place{Data: filepath.Join(t.TempDir(), "souk-data")}
	_, stop := start(t, Config{Place: place})
	secret := ""
	changes := func(namespace, user string) string {
		t.Helper()
		caller, closer, err := Reach(t.Context(), place)
		if err != nil {
			t.Fatal(err)
		}
		dir := control.Directory{Caller: caller}
		a, err := dir.CreateAccount(t.Context(), organization.NewAccount{Name: "Acme", Namespace: namespace})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := dir.CreateUser(t.Context(), a.ID, user); err != nil {
			t.Fatal(err)
		}
		if _, err := dir.CreateUser(t.Context(), a.ID, user); err == nil {
			t.Error("the same user was made twice")
		}
		key, err := dir.CreateKey(t.Context(), a.ID, user)
		if err != nil {
			t.Fatal(err)
		}
		secret = key.Secret
		if err := closer(); err != nil {
			t.Fatal(err)
		}
		return a.ID
	}
	accounts := []string{changes("acme", "ci")}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	accounts = append(accounts, changes("bravo", "ci"))

	s, stop := start(t, Config{Place: place})
	for _, account := range accounts {
		records, _, err := s.market.trail.Lookup(context.Background(), trail.Query{Account: account, Most: 50, Attribute: trail.Username, Value: "souk"})
		if err != nil {
			t.Fatal(err)
		}
		var told []string
		for _, r := range records {
			told = append(told, r.Name+" "+r.Code)
			text := string(r.JSON())
			if !json.Valid([]byte(text)) || strings.Contains(text, secret) || !strings.Contains(text, `"userIdentity":{"type":"AWSService","invokedBy":"souk"}`) ||
				!strings.Contains(text, `"sourceIPAddress":"souk"`) || !strings.Contains(text, `"userName":"ci"`) {
				t.Errorf("record %s", text)
			}
		}
		if got, want := strings.Join(told, ", "), "CreateAccessKey , CreateUser EntityAlreadyExists, CreateUser "; got != want {
			t.Errorf("account %s has records of %s; want %s", account, got, want)
		}
	}
	made, _, err := s.market.trail.Lookup(context.Background(), trail.Query{Account: organization.DefaultAccount, Most: 50, Attribute: trail.EventName, Value: "CreateAccount"})
	if err != nil || len(made) != 2 || !strings.Contains(string(made[0].JSON()), accounts[1]) {
		t.Errorf("accounts made: %d, %v", len(made), err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

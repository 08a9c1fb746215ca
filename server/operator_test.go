package server

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"souk/access/organization"
	"souk/access/quota"
	"souk/access/trail"
	"souk/egress/notify"
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

// Settings that the operator changes are on record, too: in the account that
// they are for, or in the management account; what is only shown is not.
func TestSettingsOfTheOperatorAreOnRecord(t *testing.T) {
	t.Parallel()
	place := Place{Data: filepath.Join(t.TempDir(), "souk-data")}
	s, _ := start(t, Config{Place: place})
	caller, closer, err := Reach(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	a, err := control.Directory{Caller: caller}.CreateAccount(t.Context(), organization.NewAccount{Name: "Acme"})
	if err != nil {
		t.Fatal(err)
	}
	const name = "marketplacecatalog.StartChangeSet"
	for _, c := range []struct {
		offer string
		in    any
		fails bool
	}{
		{"quota/set", quota.Setting{Account: a.ID, Name: name, Value: 3}, false},
		{"quota/set", quota.Setting{Account: quota.AllAccounts, Name: name, Value: quota.Unlimited}, false},
		{"quota/reset", quota.Setting{Account: quota.AllAccounts, Name: name}, false},
		{"quota/list", struct{}{}, false},
		{"scenario/apply", control.Scenario{Text: "rules: [{match: {action: ListEntities}, delay: 1ms}]"}, false},
		{"scenario/show", struct{}{}, false},
		{"scenario/off", struct{}{}, false},
		{"scenario/release", "cs-none", true},
		{"advisories/import", map[string]string{"Name": filepath.Join(t.TempDir(), "none.zip")}, true},
		{"advisories/list", struct{}{}, false},
		{"topic/redrive", notify.Selection{Account: a.ID}, false},
		{"keyring/add", struct{}{}, false},
		{"keyring/use", control.UseKey{ID: "00000000"}, true},
	} {
		if err := caller.Call(t.Context(), c.offer, c.in, nil); (err != nil) != c.fails {
			t.Errorf("%s: %v", c.offer, err)
		}
	}
	if err := closer(); err != nil {
		t.Fatal(err)
	}
	for account, want := range map[string][]string{
		a.ID: {`RedriveMessages `, `SetQuota {"accountId":"` + a.ID + `","quotaName":"` + name + `","value":3}`},
		organization.DefaultAccount: {
			`UseKey {"keyId":"00000000"}`, `AddKey `, `ImportAdvisories {"advisories":"`, `ReleaseChangeSet {"changeSetId":"cs-none"}`, `EndScenario `,
			`ApplyScenario {"scenario":"rules:`, `ResetQuota {"quotaName":"` + name + `"}`, `SetQuota {"quotaName":"` + name + `","value":0}`,
		},
	} {
		records, _, err := s.market.trail.Lookup(t.Context(), trail.Query{Account: account, Most: 50, Attribute: trail.EventSource, Value: operator})
		if err != nil {
			t.Fatal(err)
		}
		var told []string
		for _, r := range records {
			var e struct {
				RequestParameters json.RawMessage
				ErrorCode         string
			}
			if err := json.Unmarshal(r.JSON(), &e); err != nil {
				t.Fatal(err)
			}
			told = append(told, r.Name+" "+string(e.RequestParameters))
			if fails := r.Name == "UseKey" || r.Name == "ImportAdvisories" || r.Name == "ReleaseChangeSet"; (e.ErrorCode != "") != fails {
				t.Errorf("%s: error code %q", r.Name, e.ErrorCode)
			}
		}
		if len(told) != len(want) {
			t.Errorf("account %s has records of %q", account, told)
			continue
		}
		for i := range want {
			if !strings.HasPrefix(told[i], want[i]) {
				t.Errorf("account %s, record %d: %s; want %s", account, i, told[i], want[i])
			}
		}
	}
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"souk/server"
)

// shell types commands for one market.
type shell struct {
	t        *testing.T
	data     string
	terminal bool
}

// do runs a command line and returns what it printed.
func (s *shell) do(in string, args ...string) (status int, out, problems string) {
	s.t.Helper()
	var stdout, stderr bytes.Buffer
	app := &App{Out: &stdout, Err: &stderr, In: strings.NewReader(in), Ctx: s.t.Context(), Terminal: s.terminal}
	status = run(app, append(args, "--data", s.data))
	return status, stdout.String(), stderr.String()
}

// must runs a command line that must succeed and returns its output without
// the last line end.
func (s *shell) must(args ...string) string {
	s.t.Helper()
	status, out, problems := s.do("", args...)
	if status != exitDone {
		s.t.Fatalf("souk %s: status %d: %s", strings.Join(args, " "), status, problems)
	}
	return strings.TrimSuffix(out, "\n")
}

// refused runs a command line that must fail with a text.
func (s *shell) refused(want string, args ...string) {
	s.t.Helper()
	status, out, problems := s.do("", args...)
	if status != exitFailed || out != "" || !strings.Contains(problems, want) {
		s.t.Errorf("souk %s: status %d, printed %q and %q, want %q", strings.Join(args, " "), status, out, problems, want)
	}
}

// newMarket makes a market; running says whether its server goes on running.
func newMarket(t *testing.T, running bool) *shell {
	t.Helper()
	data := filepath.Join(t.TempDir(), "market")
	ctx, cancel := context.WithCancel(context.Background())
	defer func() {
		if !running {
			cancel()
		}
	}()
	s, err := server.New(ctx, server.Config{Place: server.Place{Data: data}, Listen: "127.0.0.1:0", AdminListen: "off"})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop := func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if running {
		t.Cleanup(stop)
	} else {
		stop()
	}
	return &shell{t: t, data: data}
}

// The whole life of a seller's publisher, through a server and without one.
func TestAccountsUsersKeysAndPoliciesByCommand(t *testing.T) {
	t.Parallel()
	for name, running := range map[string]bool{"through the server": true, "without a server": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newMarket(t, running)
			account := s.must("account", "create", "--name", "Acme", "--namespace", "acme")
			if !regexp.MustCompile(`^\d{12}$`).MatchString(account) {
				t.Fatalf("account create printed %q", account)
			}
			if got := s.must("account", "create", "--name", "Beta", "--id", "000011112222"); got != "000011112222" {
				t.Errorf("account create --id printed %q", got)
			}
			list := strings.Split(s.must("account", "list"), "\n")
			if len(list) != 3 || !strings.HasPrefix(list[0], "000011112222\tBeta\tseller-000011112222\tmember\t") {
				t.Errorf("account list: %q", list)
			}
			if got := s.must("account", "show", account); !strings.Contains(got, "namespace\tacme\n") || !strings.Contains(got, "e-mail\taccount-"+account+"@souk.invalid\n") ||
				!regexp.MustCompile(`\npath\to-[a-z0-9]+/r-[a-z0-9]+/`+account+`\n`).MatchString(got) {
				t.Errorf("account show: %q", got)
			}
			s.must("account", "create", "--name", "Mail", "--email", "mail@example.com", "--id", "000011113333")
			s.refused("MAIL@example.com exists already", "account", "create", "--name", "Again", "--email", "MAIL@example.com")
			s.refused("Namespace acme belongs to another account. Give another --namespace", "account", "create", "--name", "x", "--namespace", "acme")
			s.refused("`souk account list`", "user", "create", "ci", "--account", "999999999999")

			of := []string{"--account", account, "--user", "ci"}
			if got := s.must("user", "create", "ci", "--account", account); got != "arn:aws:iam::"+account+":user/ci" {
				t.Errorf("user create printed %q", got)
			}
			s.refused("already exists", "user", "create", "CI", "--account", account)

			file := filepath.Join(t.TempDir(), "policy.json")
			document := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"aws-marketplace:*","Resource":"*"}}`
			if err := os.WriteFile(file, []byte(document+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			put := append([]string{"policy", "put", "--policy-name", "publish"}, of...)
			s.must(append(put, file)...)
			if status, _, problems := s.do(document, append([]string{"policy", "put", "--policy-name", "again"}, append(of, "-")...)...); status != exitDone {
				t.Errorf("policy put from standard input: %s", problems)
			}
			if status, _, problems := s.do(`{"Statement":[]}`, append(put, "-")...); status != exitFailed || !strings.Contains(problems, "no Statement") {
				t.Errorf("malformed policy: status %d, %s", status, problems)
			}
			if got := s.must(append([]string{"policy", "list"}, of...)...); got != "again\t1\npublish\t1" {
				t.Errorf("policy list: %q", got)
			}
			if got := s.must(append([]string{"policy", "show", "--policy-name", "publish"}, of...)...); got != document {
				t.Errorf("policy show: %q", got)
			}
			s.must(append([]string{"policy", "delete", "--policy-name", "again"}, of...)...)
			s.refused("`souk policy list", append([]string{"policy", "show", "--policy-name", "again"}, of...)...)

			var key struct {
				Version                      int
				AccessKeyId, SecretAccessKey string
			}
			text := s.must(append([]string{"key", "create", "--json"}, of...)...)
			if err := json.Unmarshal([]byte(text), &key); err != nil || key.Version != 1 || len(key.AccessKeyId) != 20 || len(key.SecretAccessKey) != 40 {
				t.Errorf("key create --json: %q, %v", text, err)
			}
			lines := s.must(append([]string{"key", "create", "--env"}, of...)...)
			if !regexp.MustCompile(`^export AWS_ACCESS_KEY_ID=AKIA\w{16}\nexport AWS_SECRET_ACCESS_KEY=\w{40}\nunset AWS_SESSION_TOKEN$`).MatchString(lines) {
				t.Errorf("key create --env: %q", lines)
			}
			s.refused("makes room", append([]string{"key", "create"}, of...)...)
			if got := s.must("key", "create", "--account", account); !regexp.MustCompile(`^AKIA\w{16}\t\w{40}$`).MatchString(got) {
				t.Errorf("key create: %q", got)
			}
			s.must("key", "deactivate", key.AccessKeyId, "--account", account)
			if got := s.must("key", "list", "--account", account); !strings.Contains(got, key.AccessKeyId+"\tci\tInactive\t") || !strings.Contains(got, "\t<root>\tActive\t") {
				t.Errorf("key list: %q", got)
			}
			s.must("key", "activate", key.AccessKeyId, "--account", account)
			if got := s.must(append([]string{"key", "list"}, of...)...); strings.Count(got, "\tci\tActive\t") != 2 {
				t.Errorf("key list of the user: %q", got)
			}
			s.must("key", "disable", "--root", "--account", account)
			if got := s.must("key", "list", "--account", account); !strings.Contains(got, "\t<root>\tInactive\t") || strings.Count(got, "\tci\tActive\t") != 2 {
				t.Errorf("key list after all root keys were disabled: %q", got)
			}
			if status, _, _ := s.do("", "key", "disable", "--account", account); status == exitDone {
				t.Error("key disable without a key")
			}
			s.must("key", "delete", key.AccessKeyId, "--account", account)
			s.refused("`souk key list", "key", "delete", key.AccessKeyId, "--account", account)
			if got := s.must("user", "list", "--account", account); !regexp.MustCompile(`^ci\tAIDA\w{17}\tpublish\t1\t`).MatchString(got) {
				t.Errorf("user list: %q", got)
			}
			s.refused("--force", "user", "delete", "ci", "--account", account)
			s.must("user", "delete", "ci", "--force", "--account", account)
			s.refused("`souk user list", "user", "delete", "ci", "--account", account)
		})
	}
}

func TestPeopleSeeHeadingsAndTheNextStep(t *testing.T) {
	t.Parallel()
	s := newMarket(t, false)
	s.terminal = true
	status, out, hint := s.do("", "account", "create", "--name", "Acme")
	account := strings.TrimSpace(out)
	if status != exitDone || len(account) != 12 || !strings.Contains(hint, "souk key create --account "+account) {
		t.Errorf("account create: %q, %q", out, hint)
	}
	list := strings.Split(s.must("account", "list"), "\n")
	if len(list) != 3 || !strings.HasPrefix(list[0], "ACCOUNT ") {
		t.Fatalf("account list: %q", list)
	}
	column := strings.Index(list[0], "NAME")
	for _, row := range list[1:] {
		if row[column-1] != ' ' || !strings.HasPrefix(row[column:], "Acme") && !strings.HasPrefix(row[column:], "Management") {
			t.Errorf("account list is not aligned: %q under %q", row, list[0])
		}
	}
}

func TestCommandsWithoutAMarketMakeNone(t *testing.T) {
	t.Parallel()
	s := &shell{t: t, data: filepath.Join(t.TempDir(), "nowhere")}
	s.refused("souk serve --data", "account", "list")
	if _, err := os.Stat(s.data); !os.IsNotExist(err) {
		t.Errorf("a folder was made: %v", err)
	}
}

func TestPolicyCheckExplains(t *testing.T) {
	t.Parallel()
	check := func(document string) (int, string, string) {
		var out, problems bytes.Buffer
		app := &App{Out: &out, Err: &problems, In: strings.NewReader(document), Ctx: t.Context()}
		return run(app, []string{"policy", "check", "-"}), out.String(), problems.String()
	}
	status, out, _ := check(`{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"aws-marketplace:StartChangeSet","Resource":"*","Condition":{"StringEquals":{"catalog:ChangeType":["AddDeliveryOptions","UpdateInformation"]}}},
		{"Effect":"Deny","NotAction":"aws-marketplace:Describe*","Resource":"*"}]}`)
	want := `Allow aws-marketplace:StartChangeSet
  on every resource
  if catalog:ChangeType StringEquals AddDeliveryOptions or UpdateInformation

Deny every action but aws-marketplace:Describe*
  on every resource
`
	if status != exitDone || out != want {
		t.Errorf("status %d, got\n%swant\n%s", status, out, want)
	}
	status, out, problems := check(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Actions":"*","Resource":"*"}}`)
	if status != exitFailed || out != "" || !strings.Contains(problems, `unknown element "Actions"`) {
		t.Errorf("misspelt element: status %d, %q, %q", status, out, problems)
	}
}

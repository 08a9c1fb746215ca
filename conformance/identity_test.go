package conformance

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"souk/conformance/souktest"
)

// TestIdentitiesByTheCommandLine runs scripts in which nobody uses anything but
// the aws command: an organisation, its accounts and units, users, groups,
// roles and policies, and what they then may do.
func TestIdentitiesByTheCommandLine(t *testing.T) {
	t.Parallel()
	runScripts(t, souktest.Options{}, "testdata/identity", "aws")
}

// TestStoriesByTheCommandLine tells whole stories with the aws and skopeo
// commands alone: what one service makes, the next one uses.
func TestStoriesByTheCommandLine(t *testing.T) {
	t.Parallel()
	forEachDatabase(t, func(t *testing.T, o souktest.Options) {
		t.Parallel()
		runScripts(t, o, "testdata/story", "aws", "skopeo")
	})
}

// runScripts runs the scripts of a folder on a server of their own, with the
// programs that they need. Their commands begin as the root user of the management
// account; keys are the only thing that they are given.
func runScripts(t *testing.T, o souktest.Options, dir string, programs ...string) {
	t.Helper()
	for _, program := range programs {
		_, err := exec.LookPath(program)
		if err != nil {
			t.Fatalf("%s is needed (make setup installs it): %v", program, err)
		}
	}
	server := souktest.Start(t, o)
	root, err := server.RootKey()
	must(t, err)
	s := root.Seller(server)
	account, err := s.Account(t.Context())
	must(t, err)
	logos := souktest.ServeLogos(t)
	p := testscript.Params{
		Dir: dir,
		Setup: func(e *testscript.Env) error {
			return setupScript(e, s, souktest.Account{ID: account, Key: root}, logos)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"keep":     keepOutput,
			"become":   func(ts *testscript.TestScript, neg bool, args []string) { become(ts, root, args) },
			"made":     awaitAccount,
			"ended":    awaitEnd,
			"soon":     soon,
			"operator": func(ts *testscript.TestScript, neg bool, args []string) { operate(ts, server, args) },
		},
	}
	t.Run("scripts", func(t *testing.T) { testscript.Run(t, p) })
}

// become is the script command "become [root]": the commands that follow are
// signed with the access key, and the session token if there is one, that the
// last command printed; or with that of the root user.
func become(ts *testscript.TestScript, root souktest.Key, args []string) {
	words := strings.Fields(ts.ReadFile("stdout"))
	if len(args) == 1 && args[0] == "root" {
		words = []string{root.AccessKeyID, root.SecretAccessKey}
	}
	if len(words) < 2 || len(words) > 3 {
		ts.Fatalf("the last command printed no access key: %q", words)
	}
	ts.Setenv("AWS_ACCESS_KEY_ID", words[0])
	ts.Setenv("AWS_SECRET_ACCESS_KEY", words[1])
	ts.Setenv("AWS_SESSION_TOKEN", strings.Join(words[2:], ""))
}

// awaitAccount is the script command "made REQUEST NAME": it waits until a
// request to make an account has ended, and keeps the account's id in a variable.
func awaitAccount(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: made REQUEST NAME")
	}
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); {
		ts.Check(ts.Exec("aws", "--endpoint-url", ts.Getenv("URL"), "organizations", "describe-create-account-status",
			"--create-account-request-id", args[0], "--query", "CreateAccountStatus.[State,AccountId]", "--output", "text"))
		words := strings.Fields(ts.ReadFile("stdout"))
		switch {
		case len(words) == 2 && words[0] == "SUCCEEDED":
			ts.Setenv(args[1], words[1])
			return
		case len(words) == 0 || words[0] != "IN_PROGRESS":
			ts.Fatalf("request %s: %v", args[0], words)
		}
	}
	ts.Fatalf("request %s did not end", args[0])
}

// awaitEnd is the script command "ended ID STATUS": it asks, as whoever the
// script is at the moment, until a change set has ended.
func awaitEnd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: ended ID STATUS")
	}
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); {
		ts.Check(ts.Exec("aws", "--endpoint-url", ts.Getenv("URL"), "marketplace-catalog", "describe-change-set",
			"--catalog", "AWSMarketplace", "--change-set-id", args[0], "--query", "Status", "--output", "text"))
		switch status := strings.TrimSpace(ts.ReadFile("stdout")); status {
		case "PREPARING", "APPLYING":
		case args[1]:
			return
		default:
			ts.Check(ts.Exec("aws", "--endpoint-url", ts.Getenv("URL"), "marketplace-catalog", "describe-change-set",
				"--catalog", "AWSMarketplace", "--change-set-id", args[0], "--query", "ChangeSet[].ErrorDetailList"))
			ts.Fatalf("change set %s is %s, want %s: %s", args[0], status, args[1], ts.ReadFile("stdout"))
		}
	}
	ts.Fatalf("change set %s did not end", args[0])
}

// soon is the script command "soon PROGRAM ARGS...": it runs a program until it
// succeeds, for what the operator changed, which holds some seconds later.
func soon(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: soon PROGRAM ARGS...")
	}
	for deadline := time.Now().Add(2 * time.Minute); ; {
		err := ts.Exec(args[0], args[1:]...)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%v: not even after two minutes: %v", args, err)
		}
	}
}

// TestTheDoorOnTheMachine: when no key of the market is valid any more, who may
// open the control socket gets in, and nobody else.
func TestTheDoorOnTheMachine(t *testing.T) {
	t.Parallel()
	server := souktest.Start(t, souktest.Options{})
	key, err := server.RootKey()
	must(t, err)
	account, err := key.Seller(server).Account(t.Context())
	must(t, err)
	server.Must(t, "user", "create", "--account", account, "ada")
	user := server.Key(t, account, "ada")
	server.Must(t, "key", "disable", "--root", "--account", account)
	_, err = key.Seller(server).Account(t.Context())
	if err == nil || !strings.Contains(err.Error(), "InvalidClientTokenId") {
		t.Errorf("a disabled root key: %v", err)
	}
	_, err = user.Seller(server).Account(t.Context())
	if err != nil {
		t.Errorf("a user's key is not the root user's: %v", err)
	}
	for _, line := range strings.Split(strings.TrimSpace(server.Must(t, "key", "list", "--account", account)), "\n") {
		server.Must(t, "key", "disable", strings.Fields(line)[0], "--account", account)
	}
	_, err = user.Seller(server).Account(t.Context())
	if err == nil {
		t.Error("a disabled key of a user was taken")
	}
	// A restart with no valid key at all.
	must(t, server.Stop())
	server.Must(t, "key", "list", "--account", account)
	must(t, server.Run())
	server.Must(t, "key", "enable", key.AccessKeyID, "--account", account)
	_, err = key.Seller(server).Account(t.Context())
	if err != nil {
		t.Errorf("after the door was used: %v", err)
	}
}

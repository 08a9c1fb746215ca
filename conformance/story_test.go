package conformance

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"souk/conformance/souktest"
)

// TestStoriesByTheCommandLine tells whole stories with the aws and skopeo
// commands alone: what one service makes, the next one uses. They begin as the
// root user of the management account.
func TestStoriesByTheCommandLine(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"aws", "skopeo"} {
		_, err := exec.LookPath(program)
		if err != nil {
			t.Fatalf("%s is needed (make setup installs it): %v", program, err)
		}
	}
	forEachDatabase(t, func(t *testing.T, o souktest.Options) {
		t.Parallel()
		server := souktest.Start(t, o)
		root, err := server.RootKey()
		must(t, err)
		s := root.Seller(server)
		account, err := s.Account(t.Context())
		must(t, err)
		logos := souktest.ServeLogos(t)
		p := testscript.Params{
			Dir: "testdata/story",
			Setup: func(e *testscript.Env) error {
				return setupScript(e, s, souktest.Account{ID: account, Key: root}, logos)
			},
			Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
				"keep":   keepOutput,
				"become": func(ts *testscript.TestScript, neg bool, args []string) { become(ts, root, args) },
				"made":   awaitAccount,
				"ended":  awaitEnd,
			},
		}
		t.Run("scripts", func(t *testing.T) { testscript.Run(t, p) })
	})
}

// awaitEnd is the script command "ended ID STATUS": it asks, as whoever the
// script is at the moment, until a change set has ended.
func awaitEnd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: ended ID STATUS")
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
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

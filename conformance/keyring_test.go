package conformance

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecr"

	"souk/conformance/souktest"
)

// registryLogin asks for a token of the registry and returns the password in it.
func registryLogin(t *testing.T, server *souktest.Server, k souktest.Key) string {
	t.Helper()
	client := ecr.New(ecr.Options{
		Region: "us-east-1", BaseEndpoint: &server.URL,
		Credentials: credentials.NewStaticCredentialsProvider(k.AccessKeyID, k.SecretAccessKey, ""),
	})
	out, err := client.GetAuthorizationToken(t.Context(), &ecr.GetAuthorizationTokenInput{})
	must(t, err)
	plain, err := base64.StdEncoding.DecodeString(aws.ToString(out.AuthorizationData[0].AuthorizationToken))
	must(t, err)
	return strings.TrimPrefix(string(plain), "AWS:")
}

// loggedIn is the registry's answer to a password.
func loggedIn(t *testing.T, server *souktest.Server, password string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/v2/", nil)
	must(t, err)
	r.SetBasicAuth("AWS", password)
	answer, err := http.DefaultClient.Do(r)
	must(t, err)
	must(t, answer.Body.Close())
	return answer.StatusCode
}

// ready is the status of a server's /readyz.
func ready(t *testing.T, server *souktest.Server) int {
	t.Helper()
	answer, err := http.Get(server.URL + "/readyz")
	must(t, err)
	must(t, answer.Body.Close())
	return answer.StatusCode
}

// keyIDs are the keys of souk keyring list: the one that seals first.
func keyIDs(t *testing.T, server *souktest.Server) (seals string, others []string) {
	t.Helper()
	for line := range strings.Lines(server.Must(t, "keyring", "list")) {
		words := strings.Fields(line)
		switch {
		case len(words) < 3:
			t.Fatalf("souk keyring list: %q", line)
		case words[2] == "seals":
			seals = words[0]
		case words[2] == "opens":
			others = append(others, words[0])
		}
	}
	return seals, others
}

// TestKeysChangeWhileServersRun changes the market's keys under calls, on two
// nodes where there are two, the second with a copy of the key file.
func TestKeysChangeWhileServersRun(t *testing.T) {
	t.Parallel()
	forEachDatabase(t, func(t *testing.T, o souktest.Options) {
		t.Parallel()
		o.Blobs = t.TempDir()
		first := souktest.Start(t, o)
		nodes := []*souktest.Server{first}
		copyFile := func() {}
		if o.Database != "" {
			o.KeyFile = filepath.Join(t.TempDir(), "key")
			copyFile = func() {
				text, err := os.ReadFile(filepath.Join(first.Dir, "key"))
				must(t, err)
				must(t, os.WriteFile(o.KeyFile+".new", text, 0o600))
				must(t, os.Rename(o.KeyFile+".new", o.KeyFile))
			}
			copyFile()
			nodes = append(nodes, souktest.Start(t, o))
		}
		account := first.Account(t, "Acme", "acme")
		login := registryLogin(t, first, account.Key)

		ctx, stop := context.WithCancel(t.Context())
		var calling sync.WaitGroup
		var calls atomic.Int64
		for _, node := range nodes {
			s := account.Seller(node)
			calling.Go(func() {
				for ctx.Err() == nil {
					_, err := s.Account(t.Context())
					if err != nil {
						t.Errorf("a call while keys change: %v", err)
						return
					}
					calls.Add(1)
				}
			})
		}
		added := strings.TrimSpace(first.Must(t, "keyring", "add"))
		copyFile()
		if o.Database != "" {
			if _, err := first.Command("keyring", "use", added); err == nil || !strings.Contains(err.Error(), "give --yes") {
				t.Errorf("changing the key of several nodes without a word that they have it: %v", err)
			}
		}
		out := first.Must(t, "keyring", "use", "--yes", added)
		if !strings.Contains(out, "key "+added+" seals; ") {
			t.Errorf("souk keyring use printed %q", out)
		}
		seals, others := keyIDs(t, first)
		if seals != added || len(others) != 1 {
			t.Fatalf("%s seals, %v open; want %s", seals, others, added)
		}
		later := first.Account(t, "Later", "later")
		for _, node := range nodes {
			if _, err := later.Seller(node).Account(t.Context()); err != nil {
				t.Errorf("a key that was made after the change: %v", err)
			}
			if got := loggedIn(t, node, login); got != http.StatusOK {
				t.Errorf("a log-in of before the change: status %d", got)
			}
		}
		if _, err := first.Command("keyring", "drop", others[0]); err == nil || !strings.Contains(err.Error(), "log-ins") {
			t.Errorf("dropping a key whose log-ins are valid: %v", err)
		}
		first.Must(t, "keyring", "drop", "--force", others[0])
		if got := loggedIn(t, first, login); got != http.StatusUnauthorized {
			t.Errorf("a log-in of a key that was dropped: status %d", got)
		}
		stop()
		calling.Wait()
		copyFile()
		for _, node := range nodes {
			must(t, node.Stop())
			must(t, node.Run())
			if _, err := account.Seller(node).Account(t.Context()); err != nil {
				t.Errorf("after a new start: %v", err)
			}
		}
		if out := first.Must(t, "doctor"); !strings.Contains(out, "nothing is wrong") {
			t.Errorf("souk doctor: %s", out)
		}
		if calls.Load() == 0 {
			t.Error("nobody called")
		}
		if o.Database == "" {
			return
		}
		// A node that was forgotten says that it is not ready, until it has the key.
		first.Must(t, "keyring", "use", "--yes", strings.TrimSpace(first.Must(t, "keyring", "add")))
		if ready(t, nodes[0]) != http.StatusOK || ready(t, nodes[1]) != http.StatusServiceUnavailable {
			t.Errorf("the node with the key: %d, the one without: %d", ready(t, nodes[0]), ready(t, nodes[1]))
		}
		copyFile()
		deadline := time.After(2 * time.Minute)
		for ready(t, nodes[1]) != http.StatusOK {
			select {
			case <-time.After(50 * time.Millisecond):
			case <-deadline:
				t.Fatal("the node with the key is not ready")
			}
		}
	})
}

// TestChangeOfKeysIsKilled lets souk keyring use die (kill -9) at each of its
// writes, before and after it is kept. Everything opens, and the same command
// ends what was begun.
func TestChangeOfKeysIsKilled(t *testing.T) {
	t.Parallel()
	forEachDatabase(t, func(t *testing.T, o souktest.Options) {
		t.Parallel()
		o.Tags = "crashpoints"
		binary, err := souktest.Binary(o.Tags)
		must(t, err)
		server := souktest.Start(t, o)
		var accounts []souktest.Account
		for i := range 3 {
			accounts = append(accounts, server.Account(t, fmt.Sprint("account ", i), ""))
		}
		must(t, server.Stop())
		deaths := 0
		for at := 1; ; at++ {
			died := false
			for _, side := range []string{"before", "after"} {
				old, _ := keyIDs(t, server)
				added := strings.TrimSpace(server.Must(t, "keyring", "add"))
				use := exec.Command(binary, "keyring", "use", added, "--yes", "--data", server.Dir)
				if o.Database != "" {
					use.Args = append(use.Args, "--database", o.Database)
				}
				use.Env = append(os.Environ(), fmt.Sprintf("SOUK_CRASH_AT=%d:%s", at, side))
				out, err := use.CombinedOutput()
				var exit *exec.ExitError
				if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signaled() {
					died = true
					deaths++
				} else if err != nil {
					t.Fatalf("write %d, %s: %v\n%s", at, side, err, out)
				}
				_, err = server.Command("doctor")
				if err != nil && !strings.Contains(err.Error(), "run `souk keyring use "+added+"` to the end") {
					t.Fatalf("write %d, %s: souk doctor: %v", at, side, err)
				}
				server.Must(t, "keyring", "use", added, "--yes")
				if out := server.Must(t, "doctor"); !strings.Contains(out, "nothing is wrong") {
					t.Fatalf("write %d, %s: souk doctor: %s", at, side, out)
				}
				server.Must(t, "keyring", "drop", "--force", old)
			}
			if !died {
				break
			}
		}
		if deaths < 6 {
			t.Errorf("%d deaths: the fault doesn't come", deaths)
		}
		must(t, server.Run())
		for _, a := range accounts {
			if _, err := a.Seller(server).Account(t.Context()); err != nil {
				t.Errorf("account %s in the end: %v", a.ID, err)
			}
		}
	})
}

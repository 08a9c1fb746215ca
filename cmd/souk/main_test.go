package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"souk/artifact/chart"
	"souk/server"
)

func TestMain(m *testing.M) {
	server.Child() // and as machines
	chart.Child()  // the servers of the scripts start this program to render charts
	testscript.Main(m, map[string]func(){"souk": main})
}

// TestScript runs the command line as a person does: testdata/script.
func TestScript(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			at, err := debianBase()
			e.Setenv("SOUK_DEBIAN_BASE", at)
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"await": await, "export": export},
	})
}

// debianBase is where make setup has put a root file system of Debian.
func debianBase() (string, error) {
	if at := os.Getenv("SOUK_DEBIAN_BASE"); at != "" {
		return at, nil
	}
	cache, err := os.UserCacheDir()
	return filepath.Join(cache, "souk-test", "debian-minbase.tar"), err
}

// await waits until a file is there: await data/souk.sock waits for a server.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: await FILE")
	}
	patience := time.NewTimer(2 * time.Minute)
	defer patience.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := os.Stat(ts.MkAbs(args[0]))
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-patience.C:
			ts.Fatalf("%s did not come", args[0])
		}
	}
}

// export takes the lines of souk env, which were printed last, into the
// environment of the script; export VARIABLE keeps all that was printed in one.
func export(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: export [VARIABLE]")
	}
	out := ts.ReadFile("stdout")
	if len(args) == 1 { // all that was printed
		ts.Setenv(args[0], strings.TrimSpace(out))
		return
	}
	for line := range strings.Lines(out) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "unset "); ok {
			ts.Setenv(name, "")
			continue
		}
		name, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		if !ok {
			ts.Fatalf("%q is no line of souk env", line)
		}
		ts.Setenv(name, value)
	}
}

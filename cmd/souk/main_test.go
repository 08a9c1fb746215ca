package main

import (
	"os"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"souk/artifact/chart"
)

func TestMain(m *testing.M) {
	chart.Child() // the servers of the scripts start this program to render charts
	testscript.Main(m, map[string]func(){"souk": main})
}

// TestScript runs the command line as a person does: testdata/script.
func TestScript(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:  "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"await": await},
	})
}

// await waits until a file is there: await data/souk.sock waits for a server.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: await FILE")
	}
	patience := time.NewTimer(30 * time.Second)
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

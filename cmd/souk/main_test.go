package main

import (
	"testing"

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
	testscript.Run(t, testscript.Params{Dir: "testdata/script"})
}

package conformance

import (
	"strings"
	"testing"

	"souk/conformance/souktest"
)

// TestConformanceCommand runs souk conformance as a user does: against a server
// with its quotas on, with the keys of its data folder.
func TestConformanceCommand(t *testing.T) {
	t.Parallel()
	server := souktest.Start(t, souktest.Options{Quotas: true})
	out, err := server.Program("conformance", server.URL, "--data", server.Dir)
	if err != nil {
		t.Fatalf("souk conformance: %v", err)
	}
	for _, c := range Checks() {
		if !strings.Contains(out, "ok   "+c.Name) {
			t.Errorf("the output lacks a line that says that %s is ok:\n%s", c.Name, out)
		}
	}
	out, err = server.Program("conformance", server.URL, "--data", server.Dir, "--only", "no such check")
	if err == nil {
		t.Errorf("souk conformance of no check: no error:\n%s", out)
	}
}

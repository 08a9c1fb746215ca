package sandbox

import (
	"os"
	"path/filepath"
	"testing"
)

// A server that was killed left its groups; the next one ends before it makes any
// machine.
func TestGroupsOfAKilledServerAreGoneWithoutAnyMachine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var groups []string
	t.Run("killed", func(t *testing.T) {
		groups = open(t, dir, nil).cgroups.folders()
		for _, group := range groups {
			if err := os.MkdirAll(filepath.Join(group, "m"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("next", func(t *testing.T) { open(t, dir, nil) })
	for _, group := range groups {
		if _, err := os.Stat(group); err == nil {
			t.Errorf("%s is left", group)
		}
	}
}

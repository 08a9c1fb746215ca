package main

import "testing"

// TestWhatAnInstallerWritesCommandsNoTerminal: the log of a build is shown to
// somebody else than who wrote the installer.
func TestWhatAnInstallerWritesCommandsNoTerminal(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"one\n\ttwo\r\n":                "one\n\ttwo\r\n",
		"\x1b]0;mine\a\x1b[2Jred":       "]0;mine[2Jred",
		"a\u009b31mb \u00fc \U0001f600": "a31mb \u00fc \U0001f600",
		"x\b\b\x00\x7fy":                "xy",
	} {
		if got := string(harmless([]byte(given))); got != want {
			t.Errorf("%q is shown as %q, want %q", given, got, want)
		}
	}
}

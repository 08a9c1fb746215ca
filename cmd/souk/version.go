package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// VersionCommand prints the version.
type VersionCommand struct{}

// Run prints one line: the version of the module or the commit that was built.
func (*VersionCommand) Run(app *App) error {
	_, err := fmt.Fprintf(app.Out, "souk %s (%s %s/%s)\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// version is the module's version, else the commit, else "devel".
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return "devel-" + s.Value[:min(12, len(s.Value))]
		}
	}
	return "devel"
}

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"

	"souk/server/control"
)

// AdvisoriesCommand loads the security advisories that scans compare packages with.
type AdvisoriesCommand struct {
	Place PlaceFlags `embed:""`

	Import AdvisoriesImportCommand `cmd:"" help:"Load OSV files: a folder of them, or a ZIP archive such as https://osv-vulnerabilities.storage.googleapis.com/Debian:12/all.zip."`
	List   AdvisoriesListCommand   `cmd:"" help:"Show what is loaded, and of which day."`
	Remove AdvisoriesRemoveCommand `cmd:"" help:"Forget the advisories of an ecosystem."`
}

// withAdvisories does one thing with the advisories of a market.
func withAdvisories(app *App, place *PlaceFlags, do func(ctx context.Context, a control.Advisories) error) error {
	caller, done, err := reach(app, place)
	if err != nil {
		return err
	}
	return done(do(app.Ctx, control.Advisories{Caller: caller}))
}

// AdvisoriesImportCommand loads advisories.
type AdvisoriesImportCommand struct {
	Source string `arg:"" placeholder:"DIR|ZIP" help:"Folder or ZIP archive of OSV files (*.json)."`
}

// Run loads them and prints a line for each ecosystem.
func (c *AdvisoriesImportCommand) Run(app *App, parent *AdvisoriesCommand) error {
	source, err := filepath.Abs(c.Source) // a server has a folder of its own
	if err != nil {
		return fmt.Errorf("finding %s: %w", c.Source, err)
	}
	return withAdvisories(app, &parent.Place, func(ctx context.Context, a control.Advisories) error {
		done, err := a.Import(ctx, source)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(app.Out, "%d files, %d advisories of packages, %d of them withdrawn\n", done.Files, done.Records, done.Withdrawn)
		if err != nil {
			return err
		}
		if done.Skipped > 0 {
			app.hint("%d packages are of ecosystems that no scan looks at, and were left out.", done.Skipped)
		}
		for _, e := range done.Ecosystems {
			if _, err := fmt.Fprintln(app.Out, e); err != nil {
				return err
			}
		}
		return nil
	})
}

// AdvisoriesListCommand shows what is loaded.
type AdvisoriesListCommand struct{}

// Run prints a line for each ecosystem. That there is none is told aside, as the
// list is empty for programs too.
func (c *AdvisoriesListCommand) Run(app *App, parent *AdvisoriesCommand) error {
	return withAdvisories(app, &parent.Place, func(ctx context.Context, a control.Advisories) error {
		list, err := a.List(ctx)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			_, err := fmt.Fprintln(app.Err, "none loaded: the packages of images are not scanned. Next: souk advisories import DIR|ZIP, with OSV files such as https://osv-vulnerabilities.storage.googleapis.com/Debian:12/all.zip")
			return err
		}
		var rows [][]string
		for _, e := range list {
			rows = append(rows, []string{e.Name, strconv.Itoa(e.Packages), strconv.Itoa(e.Advisories), date(e.Modified), date(e.Imported)})
		}
		return app.table([]string{"ECOSYSTEM", "PACKAGES", "ADVISORIES", "NEWEST", "IMPORTED"}, rows)
	})
}

// AdvisoriesRemoveCommand forgets an ecosystem.
type AdvisoriesRemoveCommand struct {
	Ecosystem string `arg:"" help:"As souk advisories list shows it, such as Debian:12."`
}

// Run forgets it and prints nothing.
func (c *AdvisoriesRemoveCommand) Run(app *App, parent *AdvisoriesCommand) error {
	return withAdvisories(app, &parent.Place, func(ctx context.Context, a control.Advisories) error {
		there, err := a.Remove(ctx, c.Ecosystem)
		if err != nil {
			return err
		}
		if !there {
			return fmt.Errorf("no advisories of %s are loaded: `souk advisories list` shows those that are", c.Ecosystem)
		}
		return nil
	})
}

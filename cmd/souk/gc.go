package main

import (
	"fmt"
)

// GcCommand sweeps what nothing refers to.
type GcCommand struct {
	PlaceFlags `embed:""`
}

// Run sweeps and says how much was freed.
func (g *GcCommand) Run(app *App) error {
	caller, done, err := reach(app, &g.PlaceFlags)
	if err != nil {
		return err
	}
	var freed int64
	err = done(caller.Call(app.Ctx, "gc", struct{}{}, &freed))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(app.Out, "%d bytes freed\n", freed)
	return err
}

package main

import (
	"fmt"
)

// DoctorCommand checks every invariant of a market.
type DoctorCommand struct {
	PlaceFlags `embed:""`
}

// Run prints a line for each finding. Status 0: there is none; 1: there are, or
// the market could not be looked at.
func (d *DoctorCommand) Run(app *App) error {
	caller, done, err := reach(app, &d.PlaceFlags)
	if err != nil {
		return err
	}
	var findings []string
	err = done(caller.Call(app.Ctx, "doctor", struct{}{}, &findings))
	if err != nil {
		return err
	}
	for _, f := range findings {
		fmt.Fprintln(app.Out, f)
	}
	if len(findings) > 0 {
		return errFindings
	}
	_, err = fmt.Fprintln(app.Out, "nothing is wrong")
	return err
}

package main

import (
	"errors"

	"souk/server"
	"souk/server/control"
)

// PlaceFlags say where a market is; every command that looks into one has them.
type PlaceFlags struct {
	server.Place `embed:""`
	Config       string `name:"config" placeholder:"FILE" help:"YAML file with the settings of the server."`
}

// Reach finds the market: through its server if one runs, else by opening it.
// Call done at the end; it joins err with what closing says.
func (p *PlaceFlags) Reach(app *App) (caller control.Caller, done func(err error) error, err error) {
	caller, closer, err := server.Reach(app.Ctx, p.Place)
	if err != nil {
		return nil, nil, asUsage(err)
	}
	return caller, func(err error) error { return errors.Join(err, closer()) }, nil
}

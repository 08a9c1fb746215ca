package main

import (
	"errors"
	"fmt"

	"souk/artifact/appstream/session"
)

// ConnectCommand opens a terminal in an image builder.
type ConnectCommand struct {
	MarketFlags `embed:""`
	Name        string `arg:"" help:"The image builder's name. It must be RUNNING."`
	User        string `short:"u" placeholder:"NAME" env:"-" help:"User of the machine whose shell runs: NAME, UID or UID:GID (default root)."`
}

// Help says what the line of help can't.
func (c *ConnectCommand) Help() string {
	return `The shell is the user's own, from the machine's /etc/passwd, or /bin/sh. It is no
login shell: bash -l reads /etc/profile. The terminal ends with the shell; "~." at the
beginning of a line leaves at once, also where nothing answers. What runs in the
terminal ends with it.

Type image-assistant to see how an image is made of the machine. Where sudo does not
find it, or su has been there before: /run/souk/bin/image-assistant.

The exit status is the shell's, or 125 where there was no terminal to be had.

It needs appstream:CreateImageBuilderStreamingURL on the image builder.`
}

// Run hands this terminal to the machine's until either ends.
func (c *ConnectCommand) Run(app *App) error {
	m, err := c.market()
	if err != nil {
		return err
	}
	t := app.terminal()
	if t == nil {
		return usagef("a terminal is needed for souk connect: scripts use `souk exec %s -- COMMAND`", c.Name)
	}
	conn, err := m.session(app.Ctx, openSession{Name: c.Name, Kind: session.Terminal, User: c.User})
	if err != nil {
		return &statusError{exitRefused, err}
	}
	e, err := app.interactive(conn, t, session.Start{})
	if errors.Is(err, errEscaped) {
		fmt.Fprintf(app.Err, "\nleft image builder %s: what ran in the terminal was ended\n", c.Name)
		return nil
	}
	if err != nil {
		return &statusError{exitRefused, sessionWords(err)}
	}
	return app.told(e)
}

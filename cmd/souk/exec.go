package main

import (
	"context"
	"errors"
	"fmt"

	"souk/artifact/appstream/session"
)

// ExecCommand runs a program in an image builder.
type ExecCommand struct {
	MarketFlags `embed:""`
	Name        string   `arg:"" help:"The image builder's name. It must be RUNNING."`
	Command     []string `arg:"" passthrough:"" help:"The program and its arguments, behind --."`
	User        string   `short:"u" placeholder:"NAME" env:"-" help:"User of the machine as whom it runs: NAME, UID or UID:GID (default root)."`
	Env         []string `short:"e" sep:"none" placeholder:"NAME=VALUE" env:"-" help:"Variable of its environment; may be given several times."`
	Dir         string   `short:"w" placeholder:"PATH" env:"-" help:"Folder of the machine in which it runs (default /)."`
	TTY         bool     `name:"tty" short:"t" env:"-" help:"Give it a terminal; then its two outputs are one."`
	NoInput     bool     `name:"no-input" short:"n" env:"-" help:"Give it no input: in a loop of the shell it would take the loop's."`
}

// Help says what the line of help can't.
func (c *ExecCommand) Help() string {
	return `For example:

    souk exec NAME -- apt-get install --yes nginx
    tar c site | souk exec NAME -- tar x -C /srv

Input and outputs go through as they are. A shell is there only if you name one:
souk exec NAME -- sh -c 'echo $HOME'. Ctrl-C ends the program, and so does the loss
of the connection.

The exit status is the program's; 128 and the number of the signal that ended it;
127 if there is no such program, 126 if it can't be run; 125 where souk itself could
not run it: no such image builder, not RUNNING, not allowed, connection lost.

It needs appstream:CreateImageBuilderStreamingURL on the image builder. The record of
the call in the trail names the program, never its arguments.`
}

// Run runs the program to its end, and ends as it does.
func (c *ExecCommand) Run(app *App) error {
	err := c.run(app)
	var ended *statusError
	if err == nil || errors.As(err, &ended) {
		return err
	}
	return &statusError{exitRefused, sessionWords(err)}
}

func (c *ExecCommand) run(app *App) error {
	command := c.Command
	if len(command) > 0 && command[0] == "--" {
		command = command[1:]
	}
	if len(command) == 0 || command[0] == "" {
		return fmt.Errorf("there is no program to run: souk exec %s -- COMMAND", c.Name)
	}
	m, err := c.market()
	if err != nil {
		return err
	}
	conn, err := m.session(app.Ctx, openSession{Name: c.Name, Kind: session.Command, Program: command[0], User: c.User})
	if err != nil {
		return err
	}
	start := session.Start{Args: command, Env: c.Env, Dir: c.Dir}
	t := app.terminal()
	if c.TTY && t != nil && !c.NoInput {
		e, err := app.interactive(conn, t, start)
		if err != nil && !errors.Is(err, errEscaped) {
			return err
		}
		return app.told(e)
	}
	if c.TTY {
		start.Terminal, start.Term, start.Size = true, localTerm(), session.Size{Rows: 24, Columns: 80}
	}
	in := app.In
	if c.NoInput {
		in = nil
	}
	// app.Ctx ends with the first signal, and that is the program's.
	e, err := app.run(context.WithoutCancel(app.Ctx), conn, start, session.Streams{In: in, Out: app.Out, Err: app.Err})
	if err != nil {
		return err
	}
	return app.told(e)
}

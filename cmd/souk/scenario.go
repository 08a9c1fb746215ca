package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"souk/catalog/scenario"
	"souk/server/control"
)

// ScenarioCommand decides what happens to change sets and calls, for tests of
// pipelines: docs/operating.md, "Scenarios".
type ScenarioCommand struct {
	Place PlaceFlags `embed:""`

	Apply   ScenarioApplyCommand   `cmd:"" help:"Put the rules of a file in force, in the place of those that were."`
	Show    ScenarioShowCommand    `cmd:"" help:"Show the rules in force, and how often each has acted."`
	Release ScenarioReleaseCommand `cmd:"" help:"Let change sets go on that a rule keeps under review."`
	Off     ScenarioOffCommand     `cmd:"" help:"End all rules."`
}

// ScenarioApplyCommand puts rules in force.
type ScenarioApplyCommand struct {
	File  string `arg:"" type:"existingfile" help:"YAML file with rules."`
	Force bool   `env:"-" help:"Also where others reach the server."`
}

// Run says what is in force now.
func (c *ScenarioApplyCommand) Run(app *App, parent *ScenarioCommand) error {
	text, err := os.ReadFile(c.File)
	if err != nil {
		return fmt.Errorf("reading the scenario: %w", err)
	}
	if _, err := scenario.Parse(text); err != nil {
		return usagef("%s: %v", c.File, err)
	}
	return parent.call(app, "scenario/apply", control.Scenario{Text: string(text), Force: c.Force})
}

// ScenarioShowCommand shows the rules.
type ScenarioShowCommand struct{}

// Run prints a line for each rule.
func (c *ScenarioShowCommand) Run(app *App, parent *ScenarioCommand) error {
	return parent.call(app, "scenario/show", struct{}{})
}

// call asks for the state and prints it.
func (c *ScenarioCommand) call(app *App, name string, in any) error {
	caller, done, err := reach(app, &c.Place)
	if err != nil {
		return err
	}
	var state *scenario.State
	if err := done(caller.Call(app.Ctx, name, in, &state)); err != nil {
		return err
	}
	if state == nil {
		_, err := fmt.Fprintln(app.Out, "no scenario is on")
		return err
	}
	var rows [][]string
	for i, r := range state.Rules {
		times := "always"
		if r.Times > 0 {
			times = strconv.Itoa(r.Times)
		}
		rows = append(rows, []string{r.Name, about(r.Match), does(r), times, strconv.Itoa(state.Used[i])})
	}
	return app.table([]string{"RULE", "OF", "DOES", "TIMES", "ACTED"}, rows)
}

// about says in words what a rule fits.
func about(m scenario.Match) string {
	var all []string
	for _, field := range []struct{ name, value string }{
		{"action", m.Action}, {"account", m.Account}, {"changeSetName", m.ChangeSetName},
		{"entityType", m.EntityType}, {"changeType", m.ChangeType}, {"title", m.Title},
	} {
		if field.value != "" {
			all = append(all, field.name+" "+field.value)
		}
	}
	if len(all) == 0 {
		return "all that start a change set"
	}
	return strings.Join(all, ", ")
}

// does says in words what a rule does.
func does(r scenario.Rule) string {
	var all []string
	add := func(yes bool, words string) {
		if yes {
			all = append(all, words)
		}
	}
	add(r.HoldPreparing > 0, "holds PREPARING for "+time.Duration(r.HoldPreparing).String())
	add(r.HoldApplying > 0, "holds APPLYING for "+time.Duration(r.HoldApplying).String())
	add(r.Review, "keeps it under review")
	if r.Fail != nil {
		add(true, "fails with "+r.Fail.Code)
	}
	add(r.ServerFault, "fails with SERVER_FAULT")
	add(r.Delay > 0, "answers after "+time.Duration(r.Delay).String())
	add(r.Throttle, "throttles")
	add(r.Drop, "drops the connection after the commit")
	return strings.Join(all, ", ")
}

// ScenarioReleaseCommand ends reviews.
type ScenarioReleaseCommand struct {
	ChangeSets []string `arg:"" name:"change-set" help:"Ids of change sets."`
}

// Run releases one after the other.
func (c *ScenarioReleaseCommand) Run(app *App, parent *ScenarioCommand) error {
	caller, done, err := reach(app, &parent.Place)
	if err != nil {
		return err
	}
	for _, id := range c.ChangeSets {
		if err := caller.Call(app.Ctx, "scenario/release", id, nil); err != nil {
			return done(err)
		}
	}
	return done(nil)
}

// ScenarioOffCommand ends all rules.
type ScenarioOffCommand struct{}

// Run ends them.
func (c *ScenarioOffCommand) Run(app *App, parent *ScenarioCommand) error {
	caller, done, err := reach(app, &parent.Place)
	if err != nil {
		return err
	}
	return done(caller.Call(app.Ctx, "scenario/off", struct{}{}, nil))
}

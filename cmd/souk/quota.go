package main

import (
	"maps"
	"slices"
	"strconv"

	"souk/access/quota"
	"souk/server/control"
)

// QuotaCommand changes request rates and limits while servers run.
type QuotaCommand struct {
	Place PlaceFlags `embed:""`

	List  QuotaListCommand  `cmd:"" help:"List the rates and limits: AWS's, and those that were changed."`
	Set   QuotaSetCommand   `cmd:"" help:"Change a rate or a limit of one account, or of all."`
	Reset QuotaResetCommand `cmd:"" help:"Go back to what all accounts have, or to AWS's."`
}

// QuotaListCommand lists the rates and limits.
type QuotaListCommand struct{}

// Run prints a line for each.
func (c *QuotaListCommand) Run(app *App, parent *QuotaCommand) error {
	var q control.Quotas
	if err := parent.call(app, "quota/list", struct{}{}, &q); err != nil {
		return err
	}
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(q.Defaults)) {
		rows = append(rows, []string{name, "default", amount(name, q.Defaults[name])})
	}
	rows = append(rows, []string{quota.OpenChangeSets, "default", "250, or --open-change-sets"}, []string{quota.OpenBuilds, "default", "5, or --open-builds"}, []string{quota.ImageBuilders, "default", "10, or --image-builders"}, []string{quota.AppStreamImages, "default", "50, or --appstream-images"})
	for _, s := range q.Changed {
		whose := s.Account
		if whose == quota.AllAccounts {
			whose = "all"
		}
		rows = append(rows, []string{s.Name, whose, amount(s.Name, s.Value)})
	}
	slices.SortStableFunc(rows, func(a, b []string) int { return slices.Compare(a[:1], b[:1]) })
	return app.table([]string{"QUOTA", "ACCOUNT", "VALUE"}, rows)
}

// amount is a rate or a limit as people read it.
func amount(name string, v float64) string {
	text := strconv.FormatFloat(v, 'g', -1, 64)
	switch {
	case v == quota.Unlimited:
		return "unlimited"
	case quota.IsLimit(name):
		return text
	}
	return text + " per second"
}

// whose says which accounts a change is for.
type whose struct {
	Account string `placeholder:"ID" env:"-" help:"The account. Without it: all that have no value of their own."`
}

func (w whose) account() string {
	if w.Account == "" {
		return quota.AllAccounts
	}
	return w.Account
}

// QuotaSetCommand changes a rate or a limit.
type QuotaSetCommand struct {
	whose `embed:""`
	Name  string `arg:"" help:"Operation, such as marketplacecatalog.StartChangeSet, marketplacecatalog.OpenChangeSets or marketplaceimagebuild.OpenBuilds."`
	Value string `arg:"" help:"Requests per second, or how many; unlimited lifts it."`
}

// Run changes it, on all servers of the market within seconds.
func (c *QuotaSetCommand) Run(app *App, parent *QuotaCommand) error {
	v := float64(quota.Unlimited)
	if c.Value != "unlimited" {
		var err error
		v, err = strconv.ParseFloat(c.Value, 64)
		if err != nil || v <= 0 {
			return usagef("%q is no quota: give a number above 0, or unlimited", c.Value)
		}
	}
	return parent.call(app, "quota/set", quota.Setting{Account: c.account(), Name: c.Name, Value: v}, nil)
}

// QuotaResetCommand ends a change.
type QuotaResetCommand struct {
	whose `embed:""`
	Name  string `arg:"" help:"As souk quota list shows it."`
}

// Run ends it, on all servers of the market within seconds.
func (c *QuotaResetCommand) Run(app *App, parent *QuotaCommand) error {
	return parent.call(app, "quota/reset", quota.Setting{Account: c.account(), Name: c.Name}, nil)
}

func (c *QuotaCommand) call(app *App, name string, in, out any) error {
	caller, done, err := reach(app, &c.Place)
	if err != nil {
		return err
	}
	return done(caller.Call(app.Ctx, name, in, out))
}

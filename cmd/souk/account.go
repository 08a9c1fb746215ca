package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"souk/access/organization"
	"souk/server/control"
)

// AccountCommand makes and shows the accounts of the organisation.
type AccountCommand struct {
	Place PlaceFlags `embed:""`

	Create AccountCreateCommand `cmd:"" help:"Make an account; prints its id."`
	List   AccountListCommand   `cmd:"" help:"List the accounts."`
	Show   AccountShowCommand   `cmd:"" help:"Show an account."`
	Reopen AccountReopenCommand `cmd:"" help:"Make an account that was closed (aws organizations close-account) what it was."`
}

// AccountCreateCommand makes an account.
type AccountCreateCommand struct {
	Name      string    `required:"" env:"-" help:"Name of the account, for people."`
	Email     string    `placeholder:"ADDRESS" env:"-" help:"Its e-mail address, which no other account has (default: one that no mail reaches)."`
	Namespace string    `placeholder:"NS" env:"-" help:"First part of its repositories' names (default seller-ID); fixed from then on."`
	ID        accountID `name:"id" placeholder:"ID" env:"-" help:"12 digits (default: a free one)."`
}

// Run prints the new account's id.
func (c *AccountCreateCommand) Run(app *App, parent *AccountCommand) error {
	return withDirectory(app, &parent.Place, func(ctx context.Context, d control.Directory) error {
		a, err := d.CreateAccount(ctx, organization.NewAccount{Name: c.Name, Email: c.Email, Namespace: c.Namespace, ID: string(c.ID)})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(app.Out, a.ID)
		app.hint("Its repositories lie below %s/. Its first access key: souk key create --account %s", a.Namespace, a.ID)
		return err
	})
}

// AccountListCommand lists the accounts.
type AccountListCommand struct{}

// Run prints a line for each account.
func (c *AccountListCommand) Run(app *App, parent *AccountCommand) error {
	return withDirectory(app, &parent.Place, func(ctx context.Context, d control.Directory) error {
		list, err := d.Accounts(ctx)
		if err != nil {
			return err
		}
		var rows [][]string
		for _, a := range list {
			rows = append(rows, []string{a.ID, a.Name, a.Namespace, role(a), date(a.Created)})
		}
		return app.table([]string{"ACCOUNT", "NAME", "NAMESPACE", "ROLE", "CREATED"}, rows)
	})
}

func role(a organization.Account) string {
	switch {
	case a.Management:
		return "management"
	case !a.Closed.IsZero():
		return "closed"
	}
	return "member"
}

// AccountReopenCommand ends the closing of an account.
type AccountReopenCommand struct {
	ID accountID `arg:"" help:"12 digits."`
}

// Run ends it: the account's keys are good again.
func (c *AccountReopenCommand) Run(app *App, parent *AccountCommand) error {
	return withDirectory(app, &parent.Place, func(ctx context.Context, d control.Directory) error {
		return d.ReopenAccount(ctx, string(c.ID))
	})
}

// AccountShowCommand shows an account.
type AccountShowCommand struct {
	ID accountID `arg:"" help:"12 digits."`
}

// Run prints a line for each property.
func (c *AccountShowCommand) Run(app *App, parent *AccountCommand) error {
	return withDirectory(app, &parent.Place, func(ctx context.Context, d control.Directory) error {
		a, err := d.Account(ctx, string(c.ID))
		if err != nil {
			return err
		}
		path, err := d.Path(ctx, a.ID)
		if err != nil {
			return err
		}
		slices.Reverse(path)
		return app.table([]string{"PROPERTY", "VALUE"}, [][]string{
			{"account", a.ID}, {"name", a.Name}, {"e-mail", a.Address()}, {"path", strings.Join(path, "/")}, {"namespace", a.Namespace}, {"role", role(a)},
			{"root user", a.RootARN()}, {"created", date(a.Created)},
		})
	})
}

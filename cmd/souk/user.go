package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"souk/server/control"
)

// UserCommand makes, shows and deletes the users of an account.
type UserCommand struct {
	accountFlags `embed:""`

	Create UserCreateCommand `cmd:"" help:"Make a user; prints its ARN."`
	List   UserListCommand   `cmd:"" help:"List the users of an account."`
	Delete UserDeleteCommand `cmd:"" help:"Delete a user."`
}

// UserCreateCommand makes a user, who may do nothing yet.
type UserCreateCommand struct {
	Name string `arg:"" help:"Name of the user."`
}

// Run prints the new user's ARN.
func (c *UserCreateCommand) Run(app *App, parent *UserCommand) error {
	return parent.within(app, func(ctx context.Context, d control.Directory, account string) error {
		u, err := d.CreateUser(ctx, account, c.Name)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(app.Out, u.ARN())
		app.hint("It may do nothing yet. Next: souk policy put and souk key create, with --account %s --user %s", u.Account, u.Name)
		return err
	})
}

// UserListCommand lists the users of an account.
type UserListCommand struct{}

// Run prints a line for each user.
func (c *UserListCommand) Run(app *App, parent *UserCommand) error {
	return parent.within(app, func(ctx context.Context, d control.Directory, account string) error {
		list, err := d.Users(ctx, account)
		if err != nil {
			return err
		}
		var rows [][]string
		for _, u := range list {
			policies := strings.Join(u.Policies, ",")
			if policies == "" {
				policies = "-"
			}
			rows = append(rows, []string{u.Name, u.ID, policies, strconv.Itoa(len(u.Keys)), date(u.Created)})
		}
		return app.table([]string{"USER", "ID", "POLICIES", "KEYS", "CREATED"}, rows)
	})
}

// UserDeleteCommand deletes a user.
type UserDeleteCommand struct {
	Name  string `arg:"" help:"Name of the user."`
	Force bool   `env:"-" help:"Delete its access keys and policies with it."`
}

// Run deletes the user and prints nothing.
func (c *UserDeleteCommand) Run(app *App, parent *UserCommand) error {
	return parent.within(app, func(ctx context.Context, d control.Directory, account string) error {
		return d.DeleteUser(ctx, account, c.Name, c.Force)
	})
}

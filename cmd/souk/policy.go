package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"souk/access/iam"
	"souk/access/organization"
	"souk/server/control"
)

// PolicyCommand says what users may do, in AWS's JSON policy language.
type PolicyCommand struct {
	Put    PolicyPutCommand    `cmd:"" help:"Attach a policy to a user, in the place of one of that name."`
	List   PolicyListCommand   `cmd:"" help:"List the policies of a user."`
	Show   PolicyShowCommand   `cmd:"" help:"Print a policy of a user."`
	Delete PolicyDeleteCommand `cmd:"" help:"Take a policy from a user."`
	Check  PolicyCheckCommand  `cmd:"" help:"Say what a policy document does, or what is wrong with it; asks no server."`
}

// policyUser names the user whose policies are meant.
type policyUser struct {
	accountFlags `embed:""`
	User         string `required:"" placeholder:"NAME" env:"-" help:"The user."`
}

// PolicyPutCommand attaches a policy.
type PolicyPutCommand struct {
	policyUser `embed:""`
	PolicyName string `required:"" placeholder:"NAME" env:"-" help:"Name of the policy."`
	File       string `arg:"" help:"The policy document; - reads standard input."`
}

// Run attaches the policy and prints nothing.
func (c *PolicyPutCommand) Run(app *App) error {
	text, err := readDocument(app, c.File)
	if err != nil {
		return err
	}
	return c.within(app, func(ctx context.Context, d control.Directory, account string) error {
		return d.PutPolicy(ctx, account, c.User, organization.Policy{Name: c.PolicyName, Document: text})
	})
}

// PolicyListCommand lists policies.
type PolicyListCommand struct {
	policyUser `embed:""`
}

// Run prints a line for each policy.
func (c *PolicyListCommand) Run(app *App) error {
	return c.within(app, func(ctx context.Context, d control.Directory, account string) error {
		list, err := d.Policies(ctx, account, c.User)
		if err != nil {
			return err
		}
		var rows [][]string
		for _, p := range list {
			statements := "-"
			if parsed, err := iam.ParsePolicy([]byte(p.Document)); err == nil {
				statements = fmt.Sprint(len(parsed.Statements))
			}
			rows = append(rows, []string{p.Name, statements})
		}
		return app.table([]string{"POLICY", "STATEMENTS"}, rows)
	})
}

// PolicyShowCommand prints a policy.
type PolicyShowCommand struct {
	policyUser `embed:""`
	PolicyName string `required:"" placeholder:"NAME" env:"-" help:"Name of the policy."`
}

// Run prints the document as it was put.
func (c *PolicyShowCommand) Run(app *App) error {
	return c.within(app, func(ctx context.Context, d control.Directory, account string) error {
		p, err := d.Policy(ctx, account, c.User, c.PolicyName)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(app.Out, strings.TrimRight(p.Document, "\n"))
		return err
	})
}

// PolicyDeleteCommand takes a policy from a user.
type PolicyDeleteCommand struct {
	policyUser `embed:""`
	PolicyName string `required:"" placeholder:"NAME" env:"-" help:"Name of the policy."`
}

// Run deletes the policy and prints nothing.
func (c *PolicyDeleteCommand) Run(app *App) error {
	return c.within(app, func(ctx context.Context, d control.Directory, account string) error {
		return d.DeletePolicy(ctx, account, c.User, c.PolicyName)
	})
}

// PolicyCheckCommand parses a policy document and explains it.
type PolicyCheckCommand struct {
	File string `arg:"" help:"The policy document; - reads standard input."`
}

// Run prints a paragraph for each statement, and to standard error a warning for
// each word that means nothing. Status 0 also with warnings: AWS takes such a
// policy, too.
func (c *PolicyCheckCommand) Run(app *App) error {
	text, err := readDocument(app, c.File)
	if err != nil {
		return err
	}
	p, err := iam.ParsePolicy([]byte(text))
	var refused *iam.DocumentError
	if errors.As(err, &refused) {
		return fmt.Errorf("%s: %s", c.File, refused.Message)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	for _, text := range misspelt(p) {
		fmt.Fprintln(app.Err, "warning: "+text)
	}
	_, err = fmt.Fprintln(app.Out, strings.Join(p.Explain(), "\n\n"))
	return err
}

// readDocument reads a policy document from a file, or from standard input.
func readDocument(app *App, file string) (string, error) {
	in := app.In
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", fmt.Errorf("opening the policy document: %w", err)
		}
		defer f.Close()
		in = f
	}
	const most = 256 << 10 // more than any policy: its own limit has the better text
	text, err := io.ReadAll(io.LimitReader(in, most))
	if err != nil {
		return "", fmt.Errorf("reading the policy document %s: %w", file, err)
	}
	return string(text), nil
}

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"souk/server/control"
)

// KeyCommand makes, shows and revokes access keys.
type KeyCommand struct {
	accountFlags `embed:""`

	Create     KeyCreateCommand     `cmd:"" help:"Make an access key; its secret is shown this once."`
	List       KeyListCommand       `cmd:"" help:"List the access keys of an account."`
	Deactivate KeyDeactivateCommand `cmd:"" aliases:"disable" help:"Make an access key invalid; activate makes it valid again."`
	Activate   KeyActivateCommand   `cmd:"" aliases:"enable" help:"Make a deactivated access key valid again."`
	Delete     KeyDeleteCommand     `cmd:"" help:"Delete an access key."`
}

// KeyCreateCommand makes an access key of a user, or of the root user.
type KeyCreateCommand struct {
	User string `placeholder:"NAME" env:"-" help:"The user (default: the account's root user)."`
	JSON bool   `name:"json" xor:"form" env:"-" help:"Print JSON, in the form of a credential_process."`
	Env  bool   `name:"env" xor:"form" env:"-" help:"Print export lines for a shell."`
}

// Run prints the key.
func (c *KeyCreateCommand) Run(app *App, parent *KeyCommand) error {
	return parent.within(app, func(ctx context.Context, d control.Directory, account string) error {
		k, err := d.CreateKey(ctx, account, c.User)
		if err != nil {
			return err
		}
		switch {
		case c.JSON:
			// AWS CLI User Guide, "Sourcing credentials with an external process".
			text, err := json.Marshal(struct {
				Version         int
				AccessKeyId     string
				SecretAccessKey string
			}{1, k.ID, k.Secret}, jsontext.WithIndent("  "))
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(app.Out, "%s\n", text)
			return err
		case c.Env:
			_, err := fmt.Fprintf(app.Out, "export AWS_ACCESS_KEY_ID=%s\nexport AWS_SECRET_ACCESS_KEY=%s\n%s\n", shellWord(k.ID), shellWord(k.Secret), noSession)
			return err
		}
		if !app.Terminal { // for `read id secret`
			_, err := fmt.Fprintf(app.Out, "%s\t%s\n", k.ID, k.Secret)
			return err
		}
		_, err = fmt.Fprintf(app.Out, "AccessKeyId      %s\nSecretAccessKey  %s\n", k.ID, k.Secret)
		app.hint("Keep the secret: it is not shown again.")
		return err
	})
}

// KeyListCommand lists access keys.
type KeyListCommand struct {
	User string `placeholder:"NAME" env:"-" help:"Only those of this user (default: of the whole account)."`
}

// Run prints a line for each access key.
func (c *KeyListCommand) Run(app *App, parent *KeyCommand) error {
	return parent.within(app, func(ctx context.Context, d control.Directory, account string) error {
		list, err := d.Keys(ctx, account, c.User)
		if err != nil {
			return err
		}
		var rows [][]string
		for _, k := range list {
			user, status := k.User, "Active"
			if user == "" {
				user = "<root>" // no user has this name
			}
			if !k.Active {
				status = "Inactive"
			}
			rows = append(rows, []string{k.ID, user, status, date(k.Created)})
		}
		return app.table([]string{"ACCESS KEY ID", "USER", "STATUS", "CREATED"}, rows)
	})
}

// KeyDeactivateCommand makes an access key invalid, or all of the root user.
type KeyDeactivateCommand struct {
	Key  string `arg:"" optional:"" help:"The access key id."`
	Root bool   `env:"-" help:"All access keys of the account's root user, instead of one."`
}

// Validate refuses a command that does not say which keys it means.
func (c *KeyDeactivateCommand) Validate() error {
	if (c.Key != "") == c.Root {
		return errors.New("give an access key id, or --root")
	}
	return nil
}

// Run deactivates the key and prints nothing.
func (c *KeyDeactivateCommand) Run(app *App, parent *KeyCommand) error {
	return parent.within(app, func(ctx context.Context, d control.Directory, account string) error {
		if !c.Root {
			return d.SetKeyActive(ctx, account, c.Key, false)
		}
		keys, err := d.Keys(ctx, account, "")
		if err != nil {
			return err
		}
		for _, k := range keys {
			if k.User != "" {
				continue
			}
			if err := d.SetKeyActive(ctx, account, k.ID, false); err != nil {
				return err
			}
		}
		app.hint("Whoever may read the data folder makes one valid again: souk key activate, also when no key is valid.")
		return nil
	})
}

// KeyActivateCommand makes an access key valid again.
type KeyActivateCommand struct {
	Key string `arg:"" help:"The access key id."`
}

// Run activates the key and prints nothing.
func (c *KeyActivateCommand) Run(app *App, parent *KeyCommand) error {
	return parent.within(app, func(ctx context.Context, d control.Directory, account string) error {
		return d.SetKeyActive(ctx, account, c.Key, true)
	})
}

// KeyDeleteCommand deletes an access key.
type KeyDeleteCommand struct {
	Key string `arg:"" help:"The access key id."`
}

// Run deletes the key and prints nothing.
func (c *KeyDeleteCommand) Run(app *App, parent *KeyCommand) error {
	return parent.within(app, func(ctx context.Context, d control.Directory, account string) error {
		return d.DeleteKey(ctx, account, c.Key)
	})
}

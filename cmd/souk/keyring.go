package main

import (
	"fmt"
	"strconv"
	"time"

	"souk/access/keyring"
	"souk/server/control"
)

// KeyringCommand changes the keys of the market: those that seal its secrets.
type KeyringCommand struct {
	Place PlaceFlags `embed:""`

	List KeyringListCommand `cmd:"" help:"List the keys of the key file, which one seals, and how many documents need each."`
	Add  KeyringAddCommand  `cmd:"" help:"Make a new key in the key file. It opens only, until it is used."`
	Use  KeyringUseCommand  `cmd:"" help:"Seal with a key from now on, and seal anew what lies in the database. May be repeated after an interruption."`
	Drop KeyringDropCommand `cmd:"" help:"Remove a key from the key file. Refused while something needs it."`
}

// call asks the market once.
func (c *KeyringCommand) call(app *App, name string, in, out any) error {
	caller, done, err := reach(app, &c.Place)
	if err != nil {
		return err
	}
	return done(caller.Call(app.Ctx, name, in, out))
}

// KeyringListCommand lists the keys.
type KeyringListCommand struct{}

// Run prints a line for each.
func (c *KeyringListCommand) Run(app *App, parent *KeyringCommand) error {
	var k control.Keyring
	err := parent.call(app, "keyring/list", struct{}{}, &k)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, n := range k.Keys {
		state := "opens"
		if n.Seals {
			state = "seals"
		}
		rows = append(rows, []string{n.ID, day(n.Created), state, strconv.Itoa(n.Documents), day(n.Retired)})
	}
	err = app.table([]string{"KEY", "MADE", "STATE", "DOCUMENTS", "SEALED UNTIL"}, rows)
	if err == nil && k.Broken > 0 {
		_, err = fmt.Fprintf(app.Out, "%d documents are opened by none of them: see souk doctor\n", k.Broken)
	}
	return err
}

// day is a time as people read it, to the second.
func day(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02T15:04:05Z")
}

// KeyringAddCommand makes a key.
type KeyringAddCommand struct{}

// Run prints the id of the new key alone, for scripts, and what comes next to
// standard error.
func (c *KeyringAddCommand) Run(app *App, parent *KeyringCommand) error {
	var k keyring.Key
	err := parent.call(app, "keyring/add", struct{}{}, &k)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(app.Out, k.ID)
	fmt.Fprintf(app.Err, "Nodes with a copy of the key file need the new one now; then run: souk keyring use %s (on PostgreSQL with --yes)\n", k.ID)
	return err
}

// KeyringUseCommand changes the key that seals.
type KeyringUseCommand struct {
	ID  string `arg:"" help:"Key, as souk keyring list shows it."`
	Yes bool   `env:"-" help:"On PostgreSQL: every node has the key in its key file. Those that lack it fail from then on."`
}

// Run makes the key the one that seals and seals all documents anew, in steps.
func (c *KeyringUseCommand) Run(app *App, parent *KeyringCommand) error {
	caller, done, err := reach(app, &parent.Place)
	if err != nil {
		return err
	}
	return done(c.use(app, caller))
}

func (c *KeyringUseCommand) use(app *App, caller control.Caller) error {
	var k keyring.Key
	err := caller.Call(app.Ctx, "keyring/use", control.UseKey{ID: c.ID, Yes: c.Yes}, &k)
	if err != nil {
		return err
	}
	var sum keyring.Progress
	for !sum.Done {
		var step keyring.Progress
		err = caller.Call(app.Ctx, "keyring/reseal", sum.Next, &step)
		if err != nil {
			return fmt.Errorf("%w; run the command again to go on", err)
		}
		sum.Looked, sum.Sealed, sum.Broken = sum.Looked+step.Looked, sum.Sealed+step.Sealed, sum.Broken+step.Broken
		sum.Next, sum.Done = step.Next, step.Done
		if app.Terminal {
			fmt.Fprintf(app.Err, "\r%d documents looked at, %d sealed anew", sum.Looked, sum.Sealed)
		}
	}
	if app.Terminal {
		fmt.Fprintln(app.Err)
	}
	if sum.Broken > 0 {
		return fmt.Errorf("key %s seals, but %d documents could not be opened: see souk doctor", k.ID, sum.Broken)
	}
	_, err = fmt.Fprintf(app.Out, "key %s seals; %d of %d documents were sealed anew\n", k.ID, sum.Sealed, sum.Looked)
	return err
}

// KeyringDropCommand removes a key.
type KeyringDropCommand struct {
	ID    string `arg:"" help:"Key, as souk keyring list shows it."`
	Force bool   `env:"-" help:"Also while log-ins, sessions or signed addresses that it sealed may be valid."`
}

// Run removes it and says what became invalid.
func (c *KeyringDropCommand) Run(app *App, parent *KeyringCommand) error {
	var lost string
	err := parent.call(app, "keyring/drop", control.DropKey{ID: c.ID, Force: c.Force}, &lost)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(app.Out, "key %s left the key file; nodes with a copy need the new one\n", c.ID)
	if err == nil && lost != "" {
		_, err = fmt.Fprintln(app.Out, "invalid now: "+lost)
	}
	return err
}

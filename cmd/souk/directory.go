package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"souk/gateway/apierror"
	"souk/server"
	"souk/server/control"
)

// This file has what account, user, key and policy share: the way to a market,
// tables, and errors that say what to do next.

// accountID is the account that a command is about.
type accountID string

// Validate is called by kong.
func (a accountID) Validate() error {
	if a != "" && (len(a) != 12 || strings.Trim(string(a), "0123456789") != "") {
		return fmt.Errorf("%q is no account id: it has 12 digits", string(a))
	}
	return nil
}

// reach finds a market. A server that starts, or another command, has the
// folder for a moment without a socket: that is waited for.
func reach(app *App, place *PlaceFlags) (control.Caller, func(error) error, error) {
	patience, cancel := context.WithTimeout(app.Ctx, 5*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		caller, done, err := place.Reach(app)
		var inUse *server.InUseError
		if !errors.As(err, &inUse) {
			return caller, done, err
		}
		select {
		case <-tick.C:
		case <-patience.Done():
			return nil, nil, err
		}
	}
}

// withDirectory does one thing with the accounts and users of a market.
func withDirectory(app *App, place *PlaceFlags, do func(ctx context.Context, d control.Directory) error) error {
	caller, done, err := reach(app, place)
	if err != nil {
		return err
	}
	return done(advised(do(app.Ctx, control.Directory{Caller: caller})))
}

// accountFlags say which account a command is about, and where its market is.
type accountFlags struct {
	Place   PlaceFlags `embed:""`
	Account accountID  `required:"" placeholder:"ID" env:"-" help:"The account, 12 digits."`
}

// within does one thing with the account.
func (f *accountFlags) within(app *App, do func(ctx context.Context, d control.Directory, account string) error) error {
	return withDirectory(app, &f.Place, func(ctx context.Context, d control.Directory) error {
		return do(ctx, d, string(f.Account))
	})
}

// advised says the next step after an error that has one.
func advised(err error) error {
	var e *apierror.Error
	if !errors.As(err, &e) {
		return err
	}
	for _, a := range []struct{ code, begins, next string }{
		{"NoSuchEntity", "The account", "`souk account list` shows the accounts"},
		{"NoSuchEntity", "The user with", "`souk user list --account ID` shows the users of an account"},
		{"NoSuchEntity", "The user policy", "`souk policy list --account ID --user NAME` shows the policies of a user"},
		{"NoSuchEntity", "The Access Key", "`souk key list --account ID` shows the access keys of an account"},
		{"EntityAlreadyExists", "Account", "Give another --id, or none"},
		{"EntityAlreadyExists", "Namespace", "Give another --namespace"},
		{"LimitExceeded", "Cannot exceed quota for AccessKeysPerUser", "`souk key list --account ID` shows the keys, `souk key delete --account ID KEY` makes room"},
		{"LimitExceeded", "Cannot exceed quota for PoliciesPerUser", "`souk policy delete` makes room"},
		{"DeleteConflict", "", "--force deletes its access keys and policies with it"},
	} {
		if e.Code == a.code && strings.HasPrefix(e.Message, a.begins) {
			return fmt.Errorf("%s. %s", strings.TrimSuffix(e.Message, "."), a.next)
		}
	}
	return errors.New(e.Message)
}

// table prints rows: aligned under headings for people, bare and separated by
// tabs for pipes.
func (a *App) table(headings []string, rows [][]string) error {
	var out io.Writer = a.Out
	if !a.Terminal {
		for _, row := range rows {
			if _, err := fmt.Fprintln(out, strings.Join(row, "\t")); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	for _, row := range append([][]string{headings}, rows...) {
		fmt.Fprintln(w, strings.Join(row, "\t")) // Flush has the error
	}
	return w.Flush()
}

// hint says something to people that scripts do not want to read.
func (a *App) hint(format string, args ...any) {
	if a.Terminal {
		fmt.Fprintf(a.Err, format+"\n", args...)
	}
}

// date is how lists show a time.
func date(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

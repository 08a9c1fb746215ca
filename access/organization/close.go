package organization

import (
	"context"
	"errors"
	"time"

	"souk/gateway/apierror"
	"souk/storage/store"
)

// Errors of CloseAccount, to be tested with errors.Is.
var (
	ErrManagement = errors.New("the management account can't be closed")
	ErrClosed     = errors.New("the account is closed already")
)

// CloseAccount closes an account: from now on, on other nodes within three
// seconds, none of its access keys and sessions is good for anything, and nobody
// assumes a role of it. All that is its own stays, also what it sells: buyers keep
// what they obtained, and others obtain it as before.
//
// AWS Organizations API Reference, "CloseAccount".
func (o *Organization) CloseAccount(ctx context.Context, id string) error {
	return o.setClosed(ctx, id, func(a *accountDocument) error {
		switch {
		case a.Management:
			return ErrManagement
		case !a.Closed.IsZero():
			return ErrClosed
		}
		a.Closed = o.moment()
		return nil
	})
}

// ReopenAccount makes a closed account what it was, within a second; one that is
// open stays so. At AWS that is done by AWS Support, within 90 days.
func (o *Organization) ReopenAccount(ctx context.Context, id string) error {
	return o.setClosed(ctx, id, func(a *accountDocument) error {
		a.Closed = time.Time{}
		return nil
	})
}

func (o *Organization) setClosed(ctx context.Context, id string, change func(*accountDocument) error) error {
	return retry(func() error {
		a, revision, err := o.account(ctx, id)
		if apierror.Is(err, "NoSuchEntity") || apierror.Is(err, "ValidationError") {
			return noAccount()
		}
		if err == nil {
			err = change(&a)
		}
		if err != nil {
			return err
		}
		return o.commitAll(ctx, store.Batch{Put: []store.Write{a.write(revision)}}, "closing or reopening account "+id)
	})
}

func noAccount() error {
	return apierror.New("AccountNotFoundException", "You specified an account that doesn't exist.")
}

// opened reads an account for a principal of it, and counts it among the
// sources. One that is closed has nobody: it is told as store.ErrNotFound.
func (o *Organization) opened(ctx context.Context, id string, from *sources) (accountDocument, error) {
	var a accountDocument
	err := o.read(ctx, accountKey(id), &a, from)
	if err == nil && !a.Closed.IsZero() {
		err = store.ErrNotFound
	}
	return a, err
}

package organization

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"time"

	"souk/gateway/apierror"
	"souk/storage/store"
	"souk/storage/work"
)

// Creation is a request to make an account, and what came of it.
type Creation struct {
	ID        string // car- and 32 letters and digits
	Name      string // of the account
	State     string // InProgress, Succeeded or Failed
	Requested time.Time
	Completed time.Time `json:",omitzero"`
	Account   string    `json:",omitzero"` // once it has succeeded
	Reason    string    `json:",omitzero"` // why it failed, such as EMAIL_ALREADY_EXISTS
}

// The states of a Creation. AWS Organizations API Reference, "CreateAccountStatus".
const (
	InProgress = "IN_PROGRESS"
	Succeeded  = "SUCCEEDED"
	Failed     = "FAILED"
)

// creationDocument is what is stored of a request to make an account. While it
// is in progress it is work that is due.
type creationDocument struct {
	Creation
	Want NewAccount
}

var creationIDs = regexp.MustCompile(`^car-[a-z0-9]{8,32}$`)

func creationKey(id string) store.Key { return store.Key{Kind: kindCreation, ID: id} }

func (c *creationDocument) write(was int64, due time.Time) store.Write {
	// By the time of the request, the newest last.
	d := document(creationKey(c.ID), c.Creation, c, store.Entry{
		Index: indexAll, Sort: c.Requested.UTC().Format("2006-01-02T15:04:05.000Z"), Cover: []byte(c.State),
	})
	d.Due = due
	return store.Write{Was: was, Document: d}
}

// RequestAccount asks for an account to be made, which Run does: also if this
// node dies, since what is asked for is stored when RequestAccount returns.
func (o *Organization) RequestAccount(ctx context.Context, want NewAccount) (Creation, error) {
	if err := want.check(); err != nil {
		return Creation{}, err
	}
	now := o.now().UTC().Truncate(time.Millisecond)
	c := creationDocument{
		Creation: Creation{ID: "car-" + o.random(lowerAlphabet, 32), Name: want.Name, State: InProgress, Requested: now},
		Want:     want,
	}
	due, err := o.store.Now(ctx)
	if err != nil {
		return Creation{}, fmt.Errorf("reading the database's clock: %w", err)
	}
	err = o.store.Commit(ctx, store.Batch{Put: []store.Write{c.write(0, due)}})
	if err != nil {
		return Creation{}, fmt.Errorf("asking for an account: %w", err)
	}
	if r := o.runner.Load(); r != nil {
		r.Wake()
	}
	return c.Creation, nil
}

// Creation returns a request to make an account, or
// CreateAccountStatusNotFoundException.
func (o *Organization) Creation(ctx context.Context, id string) (Creation, error) {
	var c creationDocument
	missing := apierror.New("CreateAccountStatusNotFoundException", "You specified a create account request that doesn't exist.")
	if !creationIDs.MatchString(id) {
		return Creation{}, missing
	}
	_, err := o.get(ctx, creationKey(id), &c)
	if errors.Is(err, store.ErrNotFound) {
		return Creation{}, missing
	}
	if err != nil {
		return Creation{}, fmt.Errorf("reading account request %s: %w", id, err)
	}
	return c.Creation, nil
}

// Creations returns a page of the requests to make accounts that are in one of
// the states, the newest first; no states means all.
func (o *Organization) Creations(ctx context.Context, states []string, p Portion) (page []Creation, next string, err error) {
	q := store.Query{Kind: kindCreation, Index: indexAll, Backward: true}
	if len(states) > 0 {
		q.Match = func(_, _ string, state []byte) bool { return slices.Contains(states, string(state)) }
	}
	return portion[Creation](ctx, o, q, p)
}

// Run makes the accounts that were asked for, on whichever node, until ctx
// ends. node names this run of this node.
func (o *Organization) Run(ctx context.Context, node string, log *slog.Logger) error {
	r := work.New(work.Config{
		Store: o.store, Kind: kindCreation, Owner: node, Slots: 8, Poll: time.Second, Log: log,
		Do: func(ctx context.Context, t *work.Task) {
			if err := o.finish(ctx, t.Document); err != nil && ctx.Err() == nil {
				log.ErrorContext(ctx, "making an account that was asked for failed; it is tried again", "request", t.ID, "error", err)
			}
		},
	})
	o.runner.Store(r)
	defer o.runner.Store(nil)
	return r.Run(ctx)
}

// finish ends a request: the account and the request's end are one commit.
func (o *Organization) finish(ctx context.Context, d store.Document) error {
	var c creationDocument
	if err := decode(d, &c); err != nil {
		return err
	}
	if c.State != InProgress {
		return nil
	}
	c.Completed = o.now().UTC().Truncate(time.Millisecond)
	_, err := o.makeAccount(ctx, c.Want, func(a Account) []store.Write {
		done := c
		done.State, done.Account = Succeeded, a.ID
		return []store.Write{done.write(d.Revision, time.Time{})}
	})
	var refused *apierror.Error
	if errors.As(err, &refused) {
		c.State, c.Reason = Failed, "INTERNAL_FAILURE"
		if refused.Code == "EntityAlreadyExists" { // id and namespace are free ones
			c.Reason = "EMAIL_ALREADY_EXISTS"
		}
		err = o.store.Commit(ctx, store.Batch{Put: []store.Write{c.write(d.Revision, time.Time{})}})
	}
	if errors.Is(err, store.ErrConflict) {
		return nil // another node has ended it
	}
	return err
}

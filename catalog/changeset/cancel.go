package changeset

import (
	"context"
	"errors"
	"fmt"

	"souk/gateway/apierror"
	"souk/storage/store"
)

// Cancel ends a change set that is PREPARING, also while its probes run.
// APPLYING: ResourceInUseException. Ended already: ValidationException. Not
// the account's: ResourceNotFoundException.
func (e *Engine) Cancel(ctx context.Context, account, id string) error {
	for range maxRounds {
		d, s, err := e.readSet(ctx, account, id, false)
		if err != nil {
			return err
		}
		switch {
		case s.Status == Applying:
			return apierror.New("ResourceInUseException", "Change set '%s' can't be cancelled because its changes are being applied.", id)
		case s.Status.Ended():
			return invalid("Change set '%s' can't be cancelled because its status is %s.", id, s.Status)
		}
		held, err := e.readLocks(ctx, s)
		if err != nil {
			return err
		}
		puts, err := held.release(id, s)
		if err != nil {
			return err
		}
		s.Status, s.Ended = Cancelled, e.now()
		if s.Ended.Before(s.Started) {
			s.Ended = s.Started
		}
		if puts, err = e.announce(id, s, puts); err != nil {
			return err
		}
		w, err := s.write(id, d.Revision)
		if err != nil {
			return err
		}
		w.Due = e.runner.Now().Add(e.cfg.History)
		switch err := e.cancel(ctx, w, puts); {
		case err == nil:
			e.observe(id, Ended, Cancelled)
			e.runner.Interrupt(id) // a probe of this node need not find out by itself
			return nil
		case !errors.Is(err, store.ErrConflict):
			return err
		}
	}
	return fmt.Errorf("cancelling change set %s: it changes too often", id)
}

func (e *Engine) cancel(ctx context.Context, w store.Write, puts []store.Write) error {
	ctx, done := durable(ctx)
	defer done()
	err := e.store.Commit(ctx, store.Batch{Put: append([]store.Write{w}, puts...)})
	if err == nil || errors.Is(err, store.ErrConflict) {
		return err
	}
	// Written or not? Nobody but a cancellation makes it CANCELLED.
	d, read := e.store.Get(ctx, w.Key)
	if read == nil {
		if s, read := decodeSet(d); read == nil && s.Status == Cancelled {
			return nil
		}
	}
	return fmt.Errorf("cancelling change set %s: %w", w.ID, err)
}

// readSet reads a change set of an account, or one that only reads may have of
// others: a change of what all accounts share.
func (e *Engine) readSet(ctx context.Context, account, id string, reads bool) (store.Document, *setBody, error) {
	d, err := e.store.Get(ctx, store.Key{Kind: kindSet, ID: id})
	if errors.Is(err, store.ErrNotFound) {
		return d, nil, noSet(id)
	}
	if err != nil {
		return d, nil, fmt.Errorf("reading change set %s: %w", id, err)
	}
	s, err := decodeSet(d)
	if err != nil {
		return d, nil, err
	}
	if s.Account != account && !(s.Shared && reads) {
		return d, nil, noSet(id)
	}
	return d, s, nil
}

func noSet(id string) error {
	return apierror.New("ResourceNotFoundException", "Change set '%s' can't be found.", id)
}

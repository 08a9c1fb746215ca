package changeset

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"souk/catalog/change"
	"souk/gateway/apierror"
	"souk/storage/store"
)

// Director decides what happens to change sets beside what their changes do:
// the scenarios of those who test their pipelines (catalog/scenario).
type Director interface {
	// Idle says that there is nothing to direct: it is not asked then.
	Idle() bool
	// Direct is asked once for each set that is started, before it is stored.
	// Nil: nothing happens to it. The writes are committed together with the
	// set; if they conflict, it is asked again.
	Direct(ctx context.Context, s Starting) (*Direction, []store.Write, error)
}

// Starting is a set that is about to be stored.
type Starting struct {
	Account string
	Name    string // ChangeSetName
	Changes []StartingChange
}

// StartingChange is one change of it.
type StartingChange struct {
	ChangeType string
	EntityType string // without version
	EntityID   string
	Title      string // that its details give the entity, or the one that it has; "" if neither
}

// Direction is what happens to a set. It is stored with it, so that it holds
// on whatever node, also after a restart.
type Direction struct {
	Rule     string       // who said so, for people
	Prepares Milliseconds `json:",omitzero"` // PREPARING takes as much longer
	Applies  Milliseconds `json:",omitzero"` // APPLYING takes as much longer
	// Review: it stays PREPARING until Release, as a request that is pending
	// with the AWS Marketplace Seller Operations team does.
	Review bool `json:",omitzero"`
	// Refuse, if set, fails the set with this error of one of its changes.
	Refuse *change.Refusal `json:",omitempty"`
	Change int             `json:",omitzero"` // index of that change
	// Fault fails the set as a fault of the service.
	Fault bool `json:",omitzero"`
}

// Milliseconds is a time as documents have it.
type Milliseconds int64

func (m Milliseconds) duration() time.Duration { return time.Duration(m) * time.Millisecond }

// direct asks the director about a set. Nothing is asked where there is none.
func (e *Engine) direct(ctx context.Context, s *setBody) ([]store.Write, error) {
	if e.cfg.Director == nil || e.cfg.Director.Idle() {
		return nil, nil
	}
	starting := Starting{Account: s.Account, Name: s.Name, Changes: make([]StartingChange, len(s.Changes))}
	for i := range s.Changes {
		r := &s.Changes[i]
		title, err := e.title(ctx, s, r)
		if err != nil {
			return nil, err
		}
		starting.Changes[i] = StartingChange{ChangeType: r.ChangeType, EntityType: e.types[r.EntityType].Name, EntityID: r.EntityID, Title: title}
	}
	d, writes, err := e.cfg.Director.Direct(ctx, starting)
	if err != nil {
		return nil, fmt.Errorf("directing a change set: %w", err)
	}
	s.Direction = d
	return writes, nil
}

// title is the title that a change gives its entity, or that the entity has.
func (e *Engine) title(ctx context.Context, s *setBody, r *record) (string, error) {
	if title := TitleIn(r.details()); title != "" {
		return title, nil
	}
	if s.creates(r.EntityID) {
		return "", nil
	}
	d, err := e.store.Get(ctx, store.Key{Kind: kindEntity, ID: r.EntityID})
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading entity %s: %w", r.EntityID, err)
	}
	summary, err := decodeEntitySummary(d.Summary)
	return summary.name, err
}

// TitleIn is the title that a details document gives its entity, "" if none.
func TitleIn(details []byte) string {
	var given struct{ ProductTitle, Name string }
	// What has other types is refused elsewhere.
	if json.Unmarshal(details, &given) != nil {
		return ""
	}
	return cmp.Or(given.ProductTitle, given.Name)
}

// directed does what was directed for PREPARING. False: the set goes on as
// always. Held sets are left: another claim comes when their time is over.
func (w *working) directed(ctx context.Context) (bool, error) {
	d := w.set.Direction
	switch {
	case d == nil:
		return false, nil
	case d.Review:
		return true, w.leave(ctx, w.set.clone(), w.e.runner.Now().Add(forever))
	case d.Prepares > 0 && w.set.Until.IsZero():
		next := w.set.clone()
		next.Until = w.e.runner.Now().Add(d.Prepares.duration())
		return true, w.leave(ctx, next, next.Until)
	case d.Prepares > 0 && w.e.runner.Now().Before(w.set.Until): // claimed early, after a restart
		return true, w.leave(ctx, w.set.clone(), w.set.Until)
	case d.Fault:
		return true, w.fault(ctx)
	case d.Refuse != nil:
		next := w.set.clone()
		next.Changes[min(max(d.Change, 0), len(next.Changes)-1)].Errors = []change.Refusal{*d.Refuse}
		return true, w.fail(ctx, next)
	}
	return false, nil
}

// forever is how long a set waits for Release, if it is not cancelled.
const forever = 100 * 365 * 24 * time.Hour

// Release lets a set go on that is under review. Of another set it is a
// ValidationException, of none a ResourceNotFoundException.
func (e *Engine) Release(ctx context.Context, id string) error {
	for range maxRounds {
		d, err := e.store.Get(ctx, store.Key{Kind: kindSet, ID: id})
		if errors.Is(err, store.ErrNotFound) {
			return noSet(id)
		}
		if err != nil {
			return fmt.Errorf("reading change set %s: %w", id, err)
		}
		s, err := decodeSet(d)
		if err != nil {
			return err
		}
		if s.Status != Preparing || s.Direction == nil || !s.Direction.Review {
			return apierror.New("ValidationException", "Change set '%s' is not under review: it is %s.", id, s.Status)
		}
		direction := *s.Direction
		direction.Review = false
		s.Direction = &direction
		w, err := s.write(id, d.Revision)
		if err != nil {
			return err
		}
		w.Due = e.runner.Now()
		err = e.store.Commit(ctx, store.Batch{Put: []store.Write{w}})
		switch {
		case err == nil:
			e.runner.Wake()
			return nil
		case !errors.Is(err, store.ErrConflict):
			return fmt.Errorf("releasing change set %s: %w", id, err)
		}
	}
	return fmt.Errorf("releasing change set %s: it changes too often", id)
}

package changeset

import (
	"fmt"
	"time"

	"souk/storage/store"
)

// Ending is a change set that ends, as it is announced.
type Ending struct {
	Account     string
	ID          string
	Name        string
	Status      Status // SUCCEEDED, FAILED or CANCELLED
	Start, End  time.Time
	FailureCode string // "" if it didn't fail
}

// Announcer makes the writes by which a set's end is announced. They are
// committed with the end, so none is announced that has not happened, and none
// that has is forgotten. It is asked at each end, and must be quick; its writes
// must conflict with nothing (store.Any), and be the same for the same set.
type Announcer func(Ending) ([]store.Write, error)

// announce adds what announces the end of a set to a batch.
func (e *Engine) announce(id string, s *setBody, puts []store.Write) ([]store.Write, error) {
	if e.cfg.Announce == nil {
		return puts, nil
	}
	writes, err := e.cfg.Announce(Ending{
		Account: s.Account, ID: id, Name: s.Name, Status: s.Status, Start: s.Started, End: s.Ended, FailureCode: s.Failure,
	})
	if err != nil {
		return nil, fmt.Errorf("announcing the end of change set %s: %w", id, err)
	}
	return append(puts, writes...), nil
}

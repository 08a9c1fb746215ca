package notify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"souk/storage/store"
	"souk/storage/work"
)

// indexDead has the dead letters of an account, by the time of their death.
const indexDead = "account"

// DeadLetter is a delivery that was given up.
type DeadLetter struct {
	ID           string
	Topic        string
	Subscription string
	Endpoint     string // "" if it was not looked at
	Type         string // Notification, or what was to be confirmed
	MessageID    string
	Published    time.Time
	Died         time.Time
	Tries        int
	Status       int    // of the last answer; 0 if there was none
	Reason       string // why it was given up
}

// deadBody is its document.
type deadBody struct {
	DeadLetter
	Delivery delivery
}

func (d *deadBody) write(was int64) (store.Write, error) {
	body, err := json.Marshal(d)
	if err != nil {
		return store.Write{}, fmt.Errorf("encoding dead letter %s: %w", d.ID, err)
	}
	summary, err := json.Marshal(d.DeadLetter)
	if err != nil {
		return store.Write{}, fmt.Errorf("encoding dead letter %s: %w", d.ID, err)
	}
	_, account, _ := Place(d.Topic)
	return store.Write{Was: was, Document: store.Document{
		Key: store.Key{Kind: kindDeadLetter, ID: d.ID}, Summary: summary, Body: body, Due: d.Died.Add(deadTime),
		Index: []store.Entry{{Index: indexDead, Partition: account, Sort: timestamp(d.Died)}},
	}}, nil
}

func decodeDead(d store.Document) (*deadBody, error) {
	b := &deadBody{}
	if err := json.Unmarshal(d.Body, b); err != nil {
		return nil, fmt.Errorf("decoding dead letter %s: %w", d.ID, err)
	}
	return b, nil
}

// bury makes a delivery a dead letter, by a commit that finish completes and
// does. Where the account has too many of them, the message is lost, and the
// log says so.
func (n *Notify) bury(ctx context.Context, d *delivery, s *Subscription, reason string, status int, finish func(store.Batch) error) error {
	l := &deadBody{Delivery: *d, DeadLetter: DeadLetter{
		ID: d.id(), Topic: d.Topic, Subscription: d.Subscription, Type: d.Kind, MessageID: d.Message,
		Published: d.Published, Died: n.now(), Tries: d.Tries, Status: status, Reason: reason,
	}}
	if s != nil {
		l.Endpoint = s.Endpoint
	}
	w, err := l.write(store.Any)
	if err != nil {
		return err
	}
	_, account, _ := Place(d.Topic)
	err = finish(store.Batch{Put: []store.Write{w}, Bounds: []store.Bound{{Kind: kindDeadLetter, Index: indexDead, Partition: account, Most: n.cfg.DeadLetters}}})
	lost := errors.Is(err, store.ErrLimit)
	if lost {
		err = finish(store.Batch{})
	}
	if err == nil {
		n.cfg.Log.WarnContext(ctx, "a message could not be delivered", "id", l.ID, "topic", d.Topic, "subscription", d.Subscription, "tries", d.Tries, "reason", reason, "lost", lost)
	}
	return err
}

// forget deletes a dead letter whose time is over.
func (n *Notify) forget(ctx context.Context, t *work.Task) {
	err := n.commit(ctx, store.Batch{Delete: []store.Removal{{Key: t.Key, Was: t.Revision}}})
	if err != nil && !errors.Is(err, store.ErrConflict) {
		n.cfg.Log.Warn("forgetting a dead letter failed", "id", t.ID, "error", err)
	}
}

// Selection says which dead letters are meant: all of an account, or those of a
// topic, a subscription, an id.
type Selection struct {
	Account      string // required
	Topic        string `json:",omitzero"`
	Subscription string `json:",omitzero"`
	ID           string `json:",omitzero"`
}

func (s Selection) has(l *DeadLetter) bool {
	return (s.Topic == "" || s.Topic == l.Topic) && (s.Subscription == "" || s.Subscription == l.Subscription) && (s.ID == "" || s.ID == l.ID)
}

// DeadLetters lists the dead letters that are selected, the oldest first.
func (n *Notify) DeadLetters(ctx context.Context, which Selection) ([]DeadLetter, error) {
	all := []DeadLetter{}
	q := store.Query{Kind: kindDeadLetter, Index: indexDead, Partition: which.Account, Limit: 1000}
	for more := true; more; {
		page, err := n.store.List(ctx, q)
		if err != nil {
			return nil, fmt.Errorf("listing the dead letters of %s: %w", which.Account, err)
		}
		for _, d := range page.Documents {
			var l DeadLetter
			if err := json.Unmarshal(d.Summary, &l); err != nil {
				return nil, fmt.Errorf("decoding dead letter %s: %w", d.ID, err)
			}
			if which.has(&l) {
				all = append(all, l)
			}
		}
		q.After, more = page.Next, page.More
	}
	return all, nil
}

// Redrive sends the dead letters that are selected once more, with all their
// retries. Those whose subscription is gone are deleted, and so is a
// confirmation that nobody waits for any more. It returns how many are sent.
func (n *Notify) Redrive(ctx context.Context, which Selection) (int, error) {
	letters, err := n.DeadLetters(ctx, which)
	if err != nil {
		return 0, err
	}
	sent := 0
	for i := range letters {
		err := n.redrive(ctx, letters[i].ID)
		switch {
		case err == nil:
			sent++
		case errors.Is(err, store.ErrLimit):
			return sent, fmt.Errorf("redriving %s: %d messages wait for its subscription already", letters[i].ID, n.cfg.Waiting)
		case !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrNotFound): // else another was quicker
			return sent, err
		}
	}
	n.deliveries.Wake()
	return sent, nil
}

func (n *Notify) redrive(ctx context.Context, id string) error {
	doc, err := n.store.Get(ctx, store.Key{Kind: kindDeadLetter, ID: id})
	if err != nil {
		return fmt.Errorf("reading dead letter %s: %w", id, err)
	}
	l, err := decodeDead(doc)
	if err != nil {
		return err
	}
	l.Delivery.Tries = 0
	w, err := l.Delivery.write(store.Any, "", n.deliveries.Now())
	if err != nil {
		return err
	}
	return n.store.Commit(ctx, store.Batch{
		Put: []store.Write{w}, Delete: []store.Removal{{Key: doc.Key, Was: doc.Revision}}, Bounds: []store.Bound{n.waiting(l.Subscription)},
	})
}

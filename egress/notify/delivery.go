package notify

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"souk/egress/fetch"
	"souk/gateway/apierror"
	"souk/storage/store"
	"souk/storage/work"
)

// indexWaiting has the deliveries that wait: subscription's ARN; by time.
const indexWaiting = "waiting"

// delivery is a message for one subscription.
type delivery struct {
	Kind         string // SubscriptionConfirmation, Notification or UnsubscribeConfirmation
	Topic        string
	Subscription string
	Message      string // id
	Published    time.Time

	Subject    string               `json:",omitzero"`
	Text       string               `json:",omitzero"`
	Attributes map[string]Attribute `json:",omitempty"`

	Tries int `json:",omitzero"` // that failed
}

// id is the same for the same message and subscription.
func (d *delivery) id() string {
	return d.Message + "/" + d.Subscription[strings.LastIndexByte(d.Subscription, ':')+1:]
}

func (d *delivery) write(was int64, owner string, due time.Time) (store.Write, error) {
	body, err := json.Marshal(d)
	if err != nil {
		return store.Write{}, fmt.Errorf("encoding delivery %s: %w", d.id(), err)
	}
	return store.Write{Was: was, Document: store.Document{
		Key: store.Key{Kind: kindDelivery, ID: d.id()}, Body: body, Owner: owner, Due: due,
		Index: []store.Entry{{Index: indexWaiting, Partition: d.Subscription, Sort: timestamp(d.Published)}},
	}}, nil
}

func decodeDelivery(doc store.Document) (*delivery, error) {
	d := &delivery{}
	if err := json.Unmarshal(doc.Body, d); err != nil {
		return nil, fmt.Errorf("decoding delivery %s: %w", doc.ID, err)
	}
	return d, nil
}

// waiting bounds the deliveries of a subscription.
func (n *Notify) waiting(subscription string) store.Bound {
	return store.Bound{Kind: kindDelivery, Index: indexWaiting, Partition: subscription, Most: n.cfg.Waiting}
}

// deliver sends a delivery that is due.
func (n *Notify) deliver(ctx context.Context, t *work.Task) {
	err := n.tryDelivery(ctx, t)
	if err != nil && !errors.Is(err, store.ErrConflict) && !errors.Is(err, work.ErrLost) && ctx.Err() == nil {
		n.cfg.Log.Error("a delivery failed by our fault", "id", t.ID, "error", err) // its lease runs out and it is tried again
	}
}

func (n *Notify) tryDelivery(ctx context.Context, t *work.Task) error {
	d, err := decodeDelivery(t.Document)
	if err != nil {
		return err
	}
	drop := func() error {
		return n.commit(ctx, store.Batch{Delete: []store.Removal{{Key: t.Key, Was: t.Revision}}})
	}
	topic, _, err := n.topic(ctx, d.Topic)
	if apierror.Is(err, "NotFound") {
		return drop()
	}
	if err != nil {
		return err
	}
	s, _, err := n.subscription(ctx, d.Subscription)
	if apierror.Is(err, "NotFound") {
		return drop()
	}
	if err != nil {
		return err
	}
	wanted := map[string]State{SubscriptionConfirmation: Pending, Notification: Confirmed, UnsubscribeConfirmation: Ended}
	if s.State != wanted[d.Kind] {
		return drop()
	}
	release, wait := n.hosts.take(hostOf(s.Endpoint))
	if release == nil {
		w, err := d.write(t.Revision, "", n.deliveries.Now().Add(wait))
		if err != nil {
			return err
		}
		return n.commit(ctx, store.Batch{Put: []store.Write{w}})
	}
	defer release()
	status := 0
	err = t.Hold(ctx, func() (store.Write, error) { return d.write(0, "", time.Time{}) }, func(ctx context.Context) error {
		key, err := n.sign(ctx)
		if err != nil {
			return err
		}
		header, body, err := n.request(d, topic, s, key)
		if err != nil {
			return err
		}
		status, err = n.cfg.Poster.Post(ctx, s.Endpoint, header, body, n.cfg.Timeout)
		if err != nil {
			return &unanswered{err}
		}
		return nil
	})
	var silent *unanswered
	switch {
	case err != nil && !errors.As(err, &silent):
		return err
	case silent != nil && ctx.Err() != nil: // we are stopping: another node, or the next start, goes on
		return nil
	case silent == nil && status >= 200 && status < 300:
		return drop()
	}
	return n.failed(ctx, t, d, topic, s, silent, status)
}

// unanswered is the error of a Post.
type unanswered struct{ error }

func (u *unanswered) Unwrap() error { return u.error }

// failed plans the next try, or gives the delivery up. An answer of 4xx but 429,
// and a redirect, won't be another at the next try.
func (n *Notify) failed(ctx context.Context, t *work.Task, d *delivery, topic *Topic, s *Subscription, silent *unanswered, status int) error {
	d.Tries++
	reason, permanent := "the endpoint answered with status "+strconv.Itoa(status), status < 500 && status != 429
	if silent != nil {
		var refused *fetch.Refused
		reason, permanent = silent.Error(), errors.Is(silent, fetch.ErrRefused)
		if errors.As(silent, &refused) {
			reason = refused.Reason
		}
	}
	p, err := effective(topic, s)
	if err != nil {
		return err
	}
	if pause, again := p.next(d.Tries); again && !permanent {
		n.cfg.Log.Debug("a delivery will be tried again", "id", t.ID, "endpoint", hostOf(s.Endpoint), "tries", d.Tries, "reason", reason, "pause", pause.String())
		w, err := d.write(t.Revision, "", n.deliveries.Now().Add(pause))
		if err != nil {
			return err
		}
		return n.commit(ctx, store.Batch{Put: []store.Write{w}})
	}
	return n.bury(ctx, d, s, reason, status, func(b store.Batch) error {
		b.Delete = append(b.Delete, store.Removal{Key: t.Key, Was: t.Revision})
		return n.commit(ctx, b)
	})
}

// commit commits what became of a delivery, also when the node is stopping.
func (n *Notify) commit(ctx context.Context, b store.Batch) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	return n.store.Commit(ctx, b)
}

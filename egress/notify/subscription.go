package notify

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
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

// State of a subscription.
type State string

// The states of a subscription.
const (
	Pending   State = "pending"   // its endpoint has not confirmed it
	Confirmed State = "confirmed" // it gets messages
	// Ended by the link in a message: for two days the endpoint may take that back.
	Ended State = "ended"
)

// Subscription is an endpoint of a topic.
type Subscription struct {
	ARN      string
	Topic    string
	Account  string // of who subscribed it: the topic's own
	Protocol string // http or https
	Endpoint string
	State    State
	Asked    time.Time // when its confirmation was last asked for
	Secret   string    `json:",omitzero"` // that its endpoint was told to confirm it with

	Raw            bool   `json:",omitzero"`
	DeliveryPolicy string `json:",omitzero"` // as it was given
	// Authenticated: the confirmation was signed.
	Authenticated bool `json:",omitzero"`
	// Closed: it ends by a signed request only.
	Closed bool `json:",omitzero"`
}

// claim makes the endpoint unique in its topic.
func (s *Subscription) claim() store.Key {
	sum := sha256.Sum256([]byte(s.Topic + "\x00" + s.Protocol + "\x00" + s.Endpoint))
	return store.Key{Kind: kindEndpoint, ID: hex.EncodeToString(sum[:])}
}

// listed is what lists show of a subscription: its summary.
type listed struct {
	Topic, Protocol, Endpoint, Account string
	State                              State
}

func (s *Subscription) write(was int64) (store.Write, error) {
	body, err := json.Marshal(s)
	if err != nil {
		return store.Write{}, fmt.Errorf("encoding subscription %s: %w", s.ARN, err)
	}
	summary, err := json.Marshal(listed{s.Topic, s.Protocol, s.Endpoint, s.Account, s.State})
	if err != nil {
		return store.Write{}, fmt.Errorf("encoding subscription %s: %w", s.ARN, err)
	}
	w := store.Write{Was: was, Document: store.Document{
		Key: store.Key{Kind: kindSubscription, ID: s.ARN}, Summary: summary, Body: body,
		Index: []store.Entry{{Index: indexEvery, Partition: s.Topic, Sort: s.ARN}},
	}}
	if s.State != Ended {
		_, region, account, _ := TopicOf(s.ARN)
		w.Index = append(w.Index,
			store.Entry{Index: indexTopic, Partition: s.Topic, Sort: s.ARN},
			store.Entry{Index: indexAccount, Partition: account + "/" + region, Sort: s.ARN})
	}
	if s.State == Confirmed {
		w.Index = append(w.Index, store.Entry{Index: indexConfirmed, Partition: s.Topic, Sort: s.ARN})
	} else {
		w.Due = s.Asked.Add(confirmTime)
	}
	return w, nil
}

func decodeSubscription(d store.Document) (*Subscription, error) {
	s := &Subscription{}
	if err := json.Unmarshal(d.Body, s); err != nil {
		return nil, fmt.Errorf("decoding subscription %s: %w", d.ID, err)
	}
	return s, nil
}

// decodeListed reads what a list shows of a subscription.
func decodeListed(d store.Document) (*Subscription, error) {
	var l listed
	if err := json.Unmarshal(d.Summary, &l); err != nil {
		return nil, fmt.Errorf("decoding subscription %s: %w", d.ID, err)
	}
	return &Subscription{ARN: d.ID, Topic: l.Topic, Protocol: l.Protocol, Endpoint: l.Endpoint, Account: l.Account, State: l.State}, nil
}

func (n *Notify) subscription(ctx context.Context, arn string) (*Subscription, int64, error) {
	d, err := n.store.Get(ctx, store.Key{Kind: kindSubscription, ID: arn})
	if errors.Is(err, store.ErrNotFound) {
		return nil, 0, apierror.New("NotFound", "Subscription does not exist")
	}
	if err != nil {
		return nil, 0, fmt.Errorf("reading subscription %s: %w", arn, err)
	}
	s, err := decodeSubscription(d)
	return s, d.Revision, err
}

// set sets an attribute.
func (s *Subscription) set(name, value string) error {
	switch name {
	case "RawMessageDelivery":
		if !strings.EqualFold(value, "true") && !strings.EqualFold(value, "false") {
			return invalid("RawMessageDelivery Reason: it is true or false")
		}
		s.Raw = strings.EqualFold(value, "true")
	case DeliveryPolicy:
		if value != "" {
			if _, err := parseSubscriptionPolicy(value); err != nil {
				return err
			}
		}
		s.DeliveryPolicy = value
	case "RedrivePolicy":
		return invalid("RedrivePolicy Reason: there are no queues here: messages that can't be delivered are kept as dead letters (souk topic dead-letters)")
	default:
		return invalid("Attributes Reason: %s is not offered", shortened(name))
	}
	return nil
}

// checkEndpoint says what is wrong with a protocol and an endpoint.
func checkEndpoint(protocol, endpoint string) error {
	switch protocol {
	case "http", "https":
	case "email", "email-json", "sms", "sqs", "application", "lambda", "firehose":
		return invalid("Protocol Reason: %s is not offered, http and https are", protocol)
	default:
		return invalid("Amazon SNS does not support this protocol string: %s", shortened(protocol))
	}
	if !strings.HasPrefix(strings.ToLower(endpoint), protocol+"://") {
		return invalid("Endpoint must match the specified protocol")
	}
	var refused *fetch.Refused
	if err := fetch.Check(endpoint); errors.As(err, &refused) {
		return invalid("Endpoint Reason: %s", refused.Reason)
	}
	return nil
}

// Subscribe subscribes an endpoint to a topic and asks it to confirm that; also
// again where it has not yet. One that has confirmed is returned as it is.
func (n *Notify) Subscribe(ctx context.Context, topic, protocol, endpoint string, attributes map[string]string) (*Subscription, error) {
	if err := checkEndpoint(protocol, endpoint); err != nil {
		return nil, err
	}
	var made *Subscription
	err := rounds("subscribing to "+topic, func() error {
		t, topicRevision, err := n.topic(ctx, topic)
		if err != nil {
			return err
		}
		s := &Subscription{ARN: topic + ":" + NewID(), Topic: topic, Account: t.Account, Protocol: protocol, Endpoint: endpoint}
		var was int64
		var b store.Batch
		d, err := n.store.Get(ctx, s.claim())
		switch {
		case err == nil:
			if s, was, err = n.subscription(ctx, string(d.Body)); apierror.Is(err, "NotFound") {
				return store.ErrConflict // it went meanwhile
			}
			if err != nil {
				return err
			}
		case errors.Is(err, store.ErrNotFound):
			b.Put = append(b.Put, store.Write{Document: store.Document{Key: s.claim(), Body: []byte(s.ARN)}})
		default:
			return fmt.Errorf("reading an endpoint of %s: %w", topic, err)
		}
		old := *s
		for name, value := range attributes {
			if err := s.set(name, value); err != nil {
				return err
			}
		}
		made = s
		switch s.State {
		case Confirmed:
			if old != *s {
				return invalid("Attributes Reason: Subscription already exists with different attributes")
			}
			return nil
		case Ended:
			t.Deleted--
			t.Pending++
		case "":
			if t.Pending+t.Confirmed >= n.cfg.Subscriptions {
				return apierror.New("SubscriptionLimitExceeded", "The topic has %d subscriptions already.", n.cfg.Subscriptions)
			}
			t.Pending++
		}
		s.State, s.Asked, s.Secret = Pending, n.now(), newSecret()
		return n.ask(ctx, b, t, topicRevision, s, was, SubscriptionConfirmation)
	})
	return made, err
}

// ask commits a subscription that waits for its endpoint, with the message that
// asks for the confirmation.
func (n *Notify) ask(ctx context.Context, b store.Batch, t *Topic, topicRevision int64, s *Subscription, was int64, kind string) error {
	topic, err := t.write(topicRevision)
	if err != nil {
		return err
	}
	subscription, err := s.write(was)
	if err != nil {
		return err
	}
	id := NewID()
	d := &delivery{Kind: kind, Topic: t.ARN, Subscription: s.ARN, Message: id, Published: n.now()}
	owner, due := n.deliveries.Lease()
	write, err := d.write(0, owner, due)
	if err != nil {
		return err
	}
	b.Put = append(b.Put, topic, subscription, write)
	b.Bounds = append(b.Bounds, n.waiting(s.ARN))
	err = n.store.Commit(ctx, b)
	if errors.Is(err, store.ErrLimit) {
		return apierror.New("SubscriptionLimitExceeded", "Too many messages wait for this endpoint already.")
	}
	if err == nil {
		n.hand(n.deliveries, write)
	}
	return err
}

// token is what confirms a subscription: only its endpoint is told.
func (s *Subscription) token() string {
	id := s.ARN[strings.LastIndexByte(s.ARN, ':')+1:]
	return strings.ReplaceAll(id, "-", "") + s.Secret
}

// newSecret makes 32 random bytes, as hexadecimal digits.
func newSecret() string {
	var b [secretSize]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

const secretSize = 32

// Confirm confirms a subscription by the token that its endpoint was sent.
// authenticated: the request was signed by the topic's account; closed: the
// subscription ends by signed requests only.
func (n *Notify) Confirm(ctx context.Context, topic, token string, authenticated, closed bool) (arn string, err error) {
	if _, ok := parseTopic(topic); !ok {
		return "", invalid("TopicArn")
	}
	raw, err := hex.DecodeString(token)
	if err != nil || len(raw) != 16+secretSize {
		return "", invalid("Token")
	}
	id := token[:32]
	arn = topic + ":" + id[:8] + "-" + id[8:12] + "-" + id[12:16] + "-" + id[16:20] + "-" + id[20:]
	return arn, rounds("confirming subscription "+arn, func() error {
		t, topicRevision, err := n.topic(ctx, topic)
		if err != nil {
			return err
		}
		s, was, err := n.subscription(ctx, arn)
		if apierror.Is(err, "NotFound") {
			return invalid("Token")
		}
		if err != nil {
			return err
		}
		if subtle.ConstantTimeCompare([]byte(s.token()), []byte(token)) == 0 || n.now().After(s.Asked.Add(confirmTime)) {
			return invalid("Token")
		}
		switch s.State {
		case Confirmed:
			return nil
		case Pending:
			t.Pending--
		case Ended:
			t.Deleted--
		}
		t.Confirmed++
		s.State, s.Authenticated, s.Closed = Confirmed, authenticated, authenticated && closed
		return n.change(ctx, t, topicRevision, s, was)
	})
}

// change commits a subscription with its topic's counts.
func (n *Notify) change(ctx context.Context, t *Topic, topicRevision int64, s *Subscription, was int64) error {
	topic, err := t.write(topicRevision)
	if err != nil {
		return err
	}
	subscription, err := s.write(was)
	if err != nil {
		return err
	}
	return n.store.Commit(ctx, store.Batch{Put: []store.Write{topic, subscription}})
}

// Unsubscribe ends a subscription by its account's word.
func (n *Notify) Unsubscribe(ctx context.Context, arn string) error {
	return rounds("ending subscription "+arn, func() error {
		s, was, err := n.subscription(ctx, arn)
		if err != nil {
			return err
		}
		return n.remove(ctx, s, was)
	})
}

// remove deletes a subscription of a revision.
func (n *Notify) remove(ctx context.Context, s *Subscription, was int64) error {
	t, topicRevision, err := n.topic(ctx, s.Topic)
	if err != nil {
		return err
	}
	switch s.State {
	case Pending:
		t.Pending--
	case Confirmed:
		t.Confirmed--
	case Ended:
		t.Deleted--
	}
	w, err := t.write(topicRevision)
	if err != nil {
		return err
	}
	return n.store.Commit(ctx, store.Batch{Put: []store.Write{w}, Delete: []store.Removal{
		{Key: store.Key{Kind: kindSubscription, ID: s.ARN}, Was: was}, {Key: s.claim(), Was: store.Any},
	}})
}

// UnsubscribeByLink ends a subscription by the link in its messages. The
// endpoint is told, and may take it back for two days.
func (n *Notify) UnsubscribeByLink(ctx context.Context, arn string) error {
	return rounds("ending subscription "+arn, func() error {
		s, was, err := n.subscription(ctx, arn)
		switch {
		case err != nil:
			return err
		case s.State == Ended:
			return nil
		case s.State == Pending:
			return invalid("SubscriptionArn Reason: the subscription is not confirmed")
		case s.Closed:
			return apierror.New("AuthorizationError", "This subscription ends by a signed request only.")
		}
		t, topicRevision, err := n.topic(ctx, s.Topic)
		if err != nil {
			return err
		}
		t.Confirmed--
		t.Deleted++
		s.State, s.Asked, s.Secret = Ended, n.now(), newSecret()
		return n.ask(ctx, store.Batch{}, t, topicRevision, s, was, UnsubscribeConfirmation)
	})
}

// expire deletes a subscription that nobody confirmed in time.
func (n *Notify) expire(ctx context.Context, t *work.Task) {
	s, err := decodeSubscription(t.Document)
	if err == nil && s.State != Confirmed {
		err = n.remove(ctx, s, t.Revision)
	}
	if err != nil && !errors.Is(err, store.ErrConflict) { // it comes again when the lease has run out
		n.cfg.Log.Warn("ending an unconfirmed subscription failed", "id", t.ID, "error", err)
	}
}

// SetSubscriptionAttribute sets an attribute of a subscription.
func (n *Notify) SetSubscriptionAttribute(ctx context.Context, arn, name, value string) error {
	return rounds("setting an attribute of subscription "+arn, func() error {
		s, was, err := n.subscription(ctx, arn)
		if err != nil {
			return err
		}
		if err := s.set(name, value); err != nil {
			return err
		}
		w, err := s.write(was)
		if err != nil {
			return err
		}
		return n.store.Commit(ctx, store.Batch{Put: []store.Write{w}})
	})
}

// SubscriptionAttributes returns the attributes of a subscription, as
// GetSubscriptionAttributes shows them.
func (n *Notify) SubscriptionAttributes(ctx context.Context, arn string) (map[string]string, error) {
	s, _, err := n.subscription(ctx, arn)
	if err == nil && s.State == Ended {
		err = apierror.New("NotFound", "Subscription does not exist")
	}
	if err != nil {
		return nil, err
	}
	t, _, err := n.topic(ctx, s.Topic)
	if err != nil {
		return nil, err
	}
	policy, err := effective(t, s)
	if err != nil {
		return nil, err
	}
	a := map[string]string{
		"SubscriptionArn": s.ARN, "TopicArn": s.Topic, "Owner": s.Account, "Protocol": s.Protocol, "Endpoint": s.Endpoint,
		"PendingConfirmation": strconv.FormatBool(s.State == Pending), "ConfirmationWasAuthenticated": strconv.FormatBool(s.Authenticated),
		"RawMessageDelivery": strconv.FormatBool(s.Raw), "EffectiveDeliveryPolicy": policy.ofSubscription(),
	}
	if s.DeliveryPolicy != "" {
		a[DeliveryPolicy] = s.DeliveryPolicy
	}
	return a, nil
}

// Subscriptions lists an account's subscriptions in a region, a page at a time.
func (n *Notify) Subscriptions(ctx context.Context, account, region, token string) ([]*Subscription, string, error) {
	return n.subscriptions(ctx, indexAccount, account+"/"+region, token)
}

// SubscriptionsByTopic lists the subscriptions of a topic, a page at a time.
func (n *Notify) SubscriptionsByTopic(ctx context.Context, topic, token string) ([]*Subscription, string, error) {
	if _, _, err := n.topic(ctx, topic); err != nil {
		return nil, "", err
	}
	return n.subscriptions(ctx, indexTopic, topic, token)
}

func (n *Notify) subscriptions(ctx context.Context, index, partition, token string) (all []*Subscription, next string, err error) {
	page, next, err := n.list(ctx, kindSubscription, index, partition, token)
	if err != nil {
		return nil, "", err
	}
	for _, d := range page.Documents {
		s, err := decodeListed(d)
		if err != nil {
			return nil, "", err
		}
		all = append(all, s)
	}
	return all, next, nil
}

package notify

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"souk/gateway/apierror"
	"souk/storage/store"
)

// topicName is the form of a topic's name: "only uppercase and lowercase ASCII
// letters, numbers, underscores, and hyphens, and must be between 1 and 256
// characters long".
var topicName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`) })

// Indexes of topics and subscriptions.
const (
	indexAccount   = "account"   // account/region; topics by name, subscriptions by ARN
	indexTopic     = "topic"     // topic's ARN; subscriptions that are listed, by ARN
	indexConfirmed = "confirmed" // topic's ARN; subscriptions that get messages, by ARN
	indexEvery     = "every"     // topic's ARN; all its subscriptions, by ARN
)

// Topic is a topic of an account in a region.
type Topic struct {
	ARN     string
	Account string
	Region  string
	Name    string
	Created time.Time

	DisplayName      string `json:",omitzero"`
	SignatureVersion string `json:",omitzero"` // "2"; "" is 1
	DeliveryPolicy   string `json:",omitzero"` // as it was given

	// The counts of its subscriptions: those to be confirmed, those that get
	// messages, those that ended by their link and may come back.
	Pending   int
	Confirmed int
	Deleted   int
}

func (t *Topic) write(was int64) (store.Write, error) {
	body, err := json.Marshal(t)
	if err != nil {
		return store.Write{}, fmt.Errorf("encoding topic %s: %w", t.ARN, err)
	}
	return store.Write{Was: was, Document: store.Document{
		Key: store.Key{Kind: kindTopic, ID: t.ARN}, Body: body,
		Index: []store.Entry{{Index: indexAccount, Partition: t.Account + "/" + t.Region, Sort: t.Name}},
	}}, nil
}

func decodeTopic(d store.Document) (*Topic, error) {
	t := &Topic{}
	if err := json.Unmarshal(d.Body, t); err != nil {
		return nil, fmt.Errorf("decoding topic %s: %w", d.ID, err)
	}
	return t, nil
}

// topic reads a topic. NotFound if there is none.
func (n *Notify) topic(ctx context.Context, arn string) (*Topic, int64, error) {
	if _, ok := parseTopic(arn); !ok {
		return nil, 0, invalid("TopicArn")
	}
	d, err := n.store.Get(ctx, store.Key{Kind: kindTopic, ID: arn})
	if errors.Is(err, store.ErrNotFound) {
		return nil, 0, apierror.New("NotFound", "Topic does not exist")
	}
	if err != nil {
		return nil, 0, fmt.Errorf("reading topic %s: %w", arn, err)
	}
	t, err := decodeTopic(d)
	return t, d.Revision, err
}

// Attributes of topics that can be set.
const (
	DisplayName      = "DisplayName"
	SignatureVersion = "SignatureVersion"
	DeliveryPolicy   = "DeliveryPolicy"
	// ChangeSetEvents is Souk's own: "true" makes the topic the one to which the
	// ends of its account's change sets are published.
	ChangeSetEvents = "ChangeSetEvents"
)

// set sets an attribute but ChangeSetEvents, which is no part of the topic.
func (t *Topic) set(name, value string) error {
	switch name {
	case DisplayName:
		if utf8.RuneCountInString(value) > 100 {
			return invalid("DisplayName")
		}
		t.DisplayName = value
	case SignatureVersion:
		if value != "1" && value != "2" {
			return invalid("SignatureVersion")
		}
		t.SignatureVersion = value
	case DeliveryPolicy:
		if value != "" {
			if _, err := parseTopicPolicy(value); err != nil {
				return err
			}
		}
		t.DeliveryPolicy = value
	case ChangeSetEvents:
		if value != "true" && value != "false" {
			return invalid("%s Reason: it is true or false", ChangeSetEvents)
		}
	case "FifoTopic":
		if value != "false" {
			return invalid("FifoTopic Reason: FIFO topics are not offered")
		}
	case "TracingConfig":
		if value != "PassThrough" {
			return invalid("TracingConfig Reason: tracing is not offered")
		}
	case "Policy":
		return invalid("Policy Reason: policies of topics are not offered: a topic is its account's, by the policies of its users and roles")
	default:
		return invalid("AttributeName Reason: %s is not offered", shortened(name))
	}
	return nil
}

// CreateTopic makes a topic and returns its ARN; also where it is there already
// with the attributes that are given.
func (n *Notify) CreateTopic(ctx context.Context, account, region, name string, attributes map[string]string) (string, error) {
	if len(name) > 5 && name[len(name)-5:] == ".fifo" {
		return "", invalid("Topic Name Reason: FIFO topics are not offered")
	}
	if !topicName().MatchString(name) {
		return "", invalid("Topic Name")
	}
	id := arn{region, account, name}.String()
	err := rounds("creating topic "+id, func() error {
		t := &Topic{ARN: id, Account: account, Region: region, Name: name, Created: n.now()}
		old, _, err := n.topic(ctx, id)
		switch {
		case err == nil:
			same := *old
			t = &same
		case !apierror.Is(err, "NotFound"):
			return err
		}
		for name, value := range attributes {
			if err := t.set(name, value); err != nil {
				return err
			}
		}
		chosen, err := n.chosen(ctx, account)
		if err != nil {
			return err
		}
		choose := attributes[ChangeSetEvents] == "true"
		if old != nil {
			if _, given := attributes[ChangeSetEvents]; *old != *t || given && choose != (chosen.topic == id) {
				return invalid("Attributes Reason: Topic already exists with different attributes")
			}
			return nil
		}
		w, err := t.write(0)
		if err != nil {
			return err
		}
		b := store.Batch{Put: []store.Write{w}, Bounds: []store.Bound{{Kind: kindTopic, Index: indexAccount, Partition: account + "/" + region, Most: n.cfg.Topics}}}
		if choose {
			b.Put = append(b.Put, choice(account, id, chosen.revision))
		}
		if err := n.store.Commit(ctx, b); err != nil {
			return err
		}
		if choose {
			n.chose(account, id)
		}
		return nil
	})
	if errors.Is(err, store.ErrLimit) {
		return "", apierror.New("TopicLimitExceeded", "The account has %d topics in this region already.", n.cfg.Topics)
	}
	return id, err
}

// SetTopicAttribute sets an attribute of a topic.
func (n *Notify) SetTopicAttribute(ctx context.Context, arn, name, value string) error {
	return rounds("setting an attribute of topic "+arn, func() error {
		t, revision, err := n.topic(ctx, arn)
		if err != nil {
			return err
		}
		if err := t.set(name, value); err != nil {
			return err
		}
		if name == ChangeSetEvents {
			return n.choose(ctx, t, revision, value == "true")
		}
		w, err := t.write(revision)
		if err != nil {
			return err
		}
		return n.store.Commit(ctx, store.Batch{Put: []store.Write{w}})
	})
}

// TopicAttributes returns the attributes of a topic, as GetTopicAttributes shows them.
func (n *Notify) TopicAttributes(ctx context.Context, arn string) (map[string]string, error) {
	t, _, err := n.topic(ctx, arn)
	if err != nil {
		return nil, err
	}
	chosen, err := n.chosen(ctx, t.Account)
	if err != nil {
		return nil, err
	}
	policy, err := effective(t, nil)
	if err != nil {
		return nil, err
	}
	a := map[string]string{
		"TopicArn": t.ARN, "Owner": t.Account, DisplayName: t.DisplayName, SignatureVersion: t.version(),
		"SubscriptionsConfirmed": strconv.Itoa(t.Confirmed), "SubscriptionsPending": strconv.Itoa(t.Pending), "SubscriptionsDeleted": strconv.Itoa(t.Deleted),
		"EffectiveDeliveryPolicy": policy.ofTopic(), "TracingConfig": "PassThrough",
		ChangeSetEvents: strconv.FormatBool(chosen.topic == t.ARN),
	}
	if t.DeliveryPolicy != "" {
		a[DeliveryPolicy] = t.DeliveryPolicy
	}
	return a, nil
}

func (t *Topic) version() string {
	if t.SignatureVersion == "2" {
		return "2"
	}
	return "1"
}

// Topics lists the ARNs of an account's topics in a region, a page at a time.
func (n *Notify) Topics(ctx context.Context, account, region, token string) (arns []string, next string, err error) {
	page, next, err := n.list(ctx, kindTopic, indexAccount, account+"/"+region, token)
	for _, d := range page.Documents {
		arns = append(arns, d.ID)
	}
	return arns, next, err
}

// DeleteTopic deletes a topic with its subscriptions; what is not there is
// deleted. Messages on their way are dropped.
func (n *Notify) DeleteTopic(ctx context.Context, arn string) error {
	return rounds("deleting topic "+arn, func() error {
		t, revision, err := n.topic(ctx, arn)
		if apierror.Is(err, "NotFound") {
			return nil
		}
		if err != nil {
			return err
		}
		// Each new subscription writes the topic too, so none is missed.
		b := store.Batch{Delete: []store.Removal{{Key: store.Key{Kind: kindTopic, ID: arn}, Was: revision}}}
		q := store.Query{Kind: kindSubscription, Index: indexEvery, Partition: arn, Limit: pageSize}
		for more := true; more; {
			page, err := n.store.List(ctx, q)
			if err != nil {
				return fmt.Errorf("listing the subscriptions of %s: %w", arn, err)
			}
			for _, d := range page.Documents {
				s, err := decodeListed(d)
				if err != nil {
					return err
				}
				b.Delete = append(b.Delete, store.Removal{Key: d.Key, Was: store.Any}, store.Removal{Key: s.claim(), Was: store.Any})
			}
			q.After, more = page.Next, page.More
		}
		chosen, err := n.chosen(ctx, t.Account)
		if err != nil {
			return err
		}
		if chosen.topic == arn {
			b.Delete = append(b.Delete, store.Removal{Key: choiceKey(t.Account), Was: chosen.revision})
		}
		if err := n.store.Commit(ctx, b); err != nil {
			return err
		}
		if chosen.topic == arn {
			n.chose(t.Account, "")
		}
		return nil
	})
}

// shortened is a text of a client in a message.
func shortened(s string) string {
	if len(s) > 64 {
		s = s[:64] + "..."
	}
	return s
}

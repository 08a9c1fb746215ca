package notify

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"souk/gateway/apierror"
	"souk/storage/store"
	"souk/storage/work"
)

// MaxMessage is the size of a message with its attributes: "at most 256 KB in
// size (262,144 bytes, not 262,144 characters)".
const MaxMessage = 262_144

// Publication is what is published to a topic.
type Publication struct {
	ID         string // NewID's, or "" for a new one
	Topic      string // its ARN
	Message    string
	Subject    string // "" if none
	Structure  string // json: Message has one text for each protocol; "": it is the text
	Attributes map[string]Attribute
}

// message is a publication whose deliveries are still to be written.
type message struct {
	Topic      string
	Subject    string               `json:",omitzero"`
	Text       string               // for the protocols that Texts doesn't have
	Texts      map[string]string    `json:",omitempty"` // by protocol
	Attributes map[string]Attribute `json:",omitempty"`
	Published  time.Time
	After      store.Position `json:",omitzero"` // the subscription that was written last
}

func (m *message) write(id string, was int64, owner string, due time.Time) (store.Write, error) {
	body, err := json.Marshal(m)
	if err != nil {
		return store.Write{}, fmt.Errorf("encoding message %s: %w", id, err)
	}
	return store.Write{Was: was, Document: store.Document{Key: store.Key{Kind: kindMessage, ID: id}, Body: body, Owner: owner, Due: due}}, nil
}

// Publish stores a message for all confirmed subscriptions of its topic and
// returns its id. From then on it is not lost.
func (n *Notify) Publish(ctx context.Context, p Publication) (id string, err error) {
	m, err := p.message()
	if err != nil {
		return "", err
	}
	if _, _, err := n.topic(ctx, p.Topic); err != nil {
		return "", err
	}
	if id = p.ID; id == "" {
		id = NewID()
	}
	m.Published = n.now()
	owner, due := n.messages.Lease()
	w, err := m.write(id, 0, owner, due)
	if err != nil {
		return "", err
	}
	if err := n.store.Commit(ctx, store.Batch{Put: []store.Write{w}}); err != nil {
		return "", fmt.Errorf("storing a message for %s: %w", p.Topic, err)
	}
	n.hand(n.messages, w)
	return id, nil
}

// Outgoing is the write that publishes a text, for those who publish in a
// commit of their own. What made the message names it: the same name is the
// same message, whose id is returned.
func (n *Notify) Outgoing(topic, subject, text, name string, at time.Time) (store.Write, error) {
	m := &message{Topic: topic, Subject: subject, Text: text, Published: at.UTC().Truncate(time.Millisecond)}
	return m.write(NameID(name), store.Any, "", n.messages.Now())
}

// NameID is the id of what a name stands for: always the same UUID.
func NameID(name string) string {
	sum := sha256.Sum256([]byte(name))
	return uuid([16]byte(sum[:16]))
}

// hand gives work to this node that was written with its lease.
func (n *Notify) hand(r *work.Runner, w store.Write) {
	d := w.Document
	d.Revision = w.Was + 1
	r.Hand(d, nil)
}

// message checks a publication.
func (p *Publication) message() (*message, error) {
	m := &message{Topic: p.Topic, Subject: p.Subject, Text: p.Message, Attributes: p.Attributes}
	if p.Message == "" {
		return nil, invalid("Empty message")
	}
	size := len(p.Message)
	for name, a := range p.Attributes {
		if err := a.check(name); err != nil {
			return nil, err
		}
		value := len(a.Value)
		if a.Type == "Binary" {
			value = base64.StdEncoding.DecodedLen(value)
		}
		size += len(name) + len(a.Type) + value
	}
	if size > MaxMessage {
		return nil, invalid("Message too long")
	}
	control := strings.ContainsFunc(p.Subject, func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' })
	if control || utf8.RuneCountInString(p.Subject) > 100 || strings.HasPrefix(p.Subject, " ") {
		return nil, invalid("Subject")
	}
	switch p.Structure {
	case "":
		return m, nil
	case "json":
		return m, m.structured(p.Message)
	}
	return nil, invalid("MessageStructure")
}

// structured reads a message that has one text for each protocol. "Non-string
// values will cause the key to be ignored"; keys that are no protocols are.
func (m *message) structured(text string) error {
	var all map[string]jsontext.Value
	if err := json.Unmarshal([]byte(text), &all); err != nil || all == nil {
		return invalid("Message Structure - JSON message body failed to parse")
	}
	texts := map[string]string{}
	for _, protocol := range []string{"default", "http", "https"} {
		var value string
		if v := all[protocol]; v.Kind() == '"' && json.Unmarshal(v, &value) == nil {
			texts[protocol] = value
		}
	}
	whole, ok := texts["default"]
	if !ok {
		return invalid("Message Structure - No default entry in JSON message body")
	}
	delete(texts, "default")
	m.Text, m.Texts = whole, texts
	return nil
}

var (
	attributeName = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)
	number        = regexp.MustCompile(`^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$`)
)

// check refuses an attribute of another form than documented: Amazon SNS
// Developer Guide, "Message attributes".
func (a Attribute) check(name string) error {
	refuse := func(format string, args ...any) error {
		return apierror.New("ParameterValueInvalid", "The message attribute '%s' %s", shortened(name), fmt.Sprintf(format, args...))
	}
	kind, _, _ := strings.Cut(a.Type, ".")
	switch {
	case len(name) > 256 || !attributeName.MatchString(name):
		return refuse("has a name that is not of letters, numbers, underscores, hyphens and periods between them.")
	case kind != "String" && kind != "Number" && kind != "Binary":
		return refuse("has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String.")
	case a.Value == "":
		return refuse("must contain non-empty message attribute value for message attribute type '%s'.", shortened(a.Type))
	case kind == "Number" && !number.MatchString(a.Value):
		return refuse("has a value that is no number.")
	case a.Type == "String.Array" && !jsontext.Value(a.Value).IsValid():
		return refuse("has a value that is no JSON array.")
	case kind == "Binary":
		if _, err := base64.StdEncoding.DecodeString(a.Value); err != nil {
			return refuse("has a value that is not base64.")
		}
	}
	return nil
}

// spreadBytes bounds what one commit of deliveries holds, in bytes of messages.
const spreadBytes = 4 << 20

// spread writes the deliveries of a message, a page of subscriptions at a time;
// where it has got to is in the same commit.
func (n *Notify) spread(ctx context.Context, t *work.Task) {
	m := &message{}
	err := json.Unmarshal(t.Body, m)
	for page := 0; err == nil; {
		var done bool
		done, err = n.spreadPage(ctx, t, m, page)
		if done {
			return
		}
		page = 0
		if errors.Is(err, store.ErrLimit) { // one of the subscriptions has too many: which?
			page, err = 1, nil
		}
	}
	if err != nil && !errors.Is(err, store.ErrConflict) && ctx.Err() == nil { // its lease runs out and it is tried again
		n.cfg.Log.Error("sending a message to its subscriptions failed", "id", t.ID, "topic", m.Topic, "error", err)
	}
}

// spreadPage writes the next deliveries, most of them if most is not 0.
func (n *Notify) spreadPage(ctx context.Context, t *work.Task, m *message, most int) (done bool, err error) {
	single := most == 1
	if most == 0 {
		most = max(1, min(pageSize, spreadBytes/(len(t.Body)+1)))
	}
	page, err := n.store.List(ctx, store.Query{Kind: kindSubscription, Index: indexConfirmed, Partition: m.Topic, After: m.After, Limit: most})
	if err != nil {
		return false, fmt.Errorf("listing the subscriptions of %s: %w", m.Topic, err)
	}
	var b store.Batch
	var made []store.Write
	for _, doc := range page.Documents {
		s, err := decodeListed(doc)
		if err != nil {
			return false, err
		}
		d := m.delivery(t.ID, s)
		owner, due := n.deliveries.Lease()
		w, err := d.write(0, owner, due)
		if err != nil {
			return false, err
		}
		made = append(made, w)
		b.Bounds = append(b.Bounds, n.waiting(s.ARN))
	}
	b.Put = append(b.Put, made...)
	next := *m
	next.After = page.Next
	finish := func(b store.Batch) error {
		if !page.More {
			b.Delete = append(b.Delete, store.Removal{Key: t.Key, Was: t.Revision})
		} else {
			w, err := next.write(t.ID, t.Revision, n.cfg.Owner, t.Lease())
			if err != nil {
				return err
			}
			b.Put = append(b.Put, w)
		}
		return n.store.Commit(ctx, b)
	}
	err = finish(b)
	if errors.Is(err, store.ErrLimit) && single {
		made, err = nil, n.bury(ctx, m.delivery(t.ID, decoded(page.Documents[0])), nil, "too many messages wait for this subscription", 0, finish)
	}
	if err != nil {
		return false, err
	}
	for _, w := range made {
		n.hand(n.deliveries, w)
	}
	t.Revision++
	m.After = next.After
	return !page.More, nil
}

// decoded is what a list shows of a subscription that was read before.
func decoded(d store.Document) *Subscription {
	s, err := decodeListed(d)
	if err != nil {
		return &Subscription{ARN: d.ID}
	}
	return s
}

// delivery is the message for one subscription.
func (m *message) delivery(id string, s *Subscription) *delivery {
	text := m.Text
	if of, ok := m.Texts[s.Protocol]; ok {
		text = of
	}
	return &delivery{
		Kind: Notification, Topic: m.Topic, Subscription: s.ARN, Message: id, Published: m.Published,
		Subject: m.Subject, Text: text, Attributes: m.Attributes,
	}
}

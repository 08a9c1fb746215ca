package notify

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// The types of messages.
//
// Amazon SNS Developer Guide, "Parsing Amazon SNS message formats".
const (
	SubscriptionConfirmation = "SubscriptionConfirmation"
	Notification             = "Notification"
	UnsubscribeConfirmation  = "UnsubscribeConfirmation"
)

// Attribute is a message attribute.
type Attribute struct {
	Type  string `json:"Type"`  // String, String.Array, Number or Binary
	Value string `json:"Value"` // of Binary: base64
}

// wire is a message as it goes to an endpoint.
type wire struct {
	Type              string
	MessageId         string
	Token             string `json:",omitzero"`
	TopicArn          string
	Subject           string `json:",omitzero"`
	Message           string
	SubscribeURL      string `json:",omitzero"`
	Timestamp         string
	SignatureVersion  string
	Signature         string
	SigningCertURL    string
	UnsubscribeURL    string               `json:",omitzero"`
	MessageAttributes map[string]Attribute `json:",omitempty"`
}

// stringToSign is what a message's signature is of.
//
// Amazon SNS Developer Guide, "Verifying the signatures of Amazon SNS
// messages": the names and values, in this order, each with a line end.
func (m *wire) stringToSign() string {
	var b strings.Builder
	line := func(name, value string) { b.WriteString(name + "\n" + value + "\n") }
	line("Message", m.Message)
	line("MessageId", m.MessageId)
	if m.Type == Notification {
		if m.Subject != "" {
			line("Subject", m.Subject)
		}
	} else {
		line("SubscribeURL", m.SubscribeURL)
	}
	line("Timestamp", m.Timestamp)
	if m.Type != Notification {
		line("Token", m.Token)
	}
	line("TopicArn", m.TopicArn)
	line("Type", m.Type)
	return b.String()
}

// timestamp is a time as messages have it.
func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// request makes the header and the body with which a delivery goes out.
func (n *Notify) request(d *delivery, t *Topic, s *Subscription, key *signer) (http.Header, []byte, error) {
	h := http.Header{
		"X-Amz-Sns-Message-Type": {d.Kind},
		"X-Amz-Sns-Message-Id":   {d.Message},
		"X-Amz-Sns-Topic-Arn":    {d.Topic},
		"Content-Type":           {"text/plain; charset=UTF-8"},
		"User-Agent":             {"Amazon Simple Notification Service Agent"},
	}
	if d.Kind != SubscriptionConfirmation {
		h["X-Amz-Sns-Subscription-Arn"] = []string{d.Subscription}
	}
	if d.Kind == Notification && s.Raw {
		h["X-Amz-Sns-Rawdelivery"] = []string{"true"}
		return h, []byte(d.Text), nil
	}
	m := &wire{
		Type: d.Kind, MessageId: d.Message, TopicArn: d.Topic, Subject: d.Subject, Message: d.Text,
		Timestamp: timestamp(d.Published), SignatureVersion: t.version(), SigningCertURL: n.cfg.URL + CertificatePath + key.name + ".pem",
	}
	switch d.Kind {
	case Notification:
		m.MessageAttributes = d.Attributes
		m.UnsubscribeURL = n.link(url.Values{"Action": {"Unsubscribe"}, "SubscriptionArn": {d.Subscription}})
	case SubscriptionConfirmation:
		m.Message = "You have chosen to subscribe to the topic " + d.Topic + ".\nTo confirm the subscription, visit the SubscribeURL included in this message."
	case UnsubscribeConfirmation:
		m.Message = "You have chosen to deactivate subscription " + d.Subscription + ".\nTo cancel this operation and restore the subscription, visit the SubscribeURL included in this message."
	}
	if d.Kind != Notification {
		m.Token = s.token()
		m.SubscribeURL = n.link(url.Values{"Action": {"ConfirmSubscription"}, "TopicArn": {d.Topic}, "Token": {m.Token}})
	}
	var err error
	if m.Signature, err = key.signature(m.SignatureVersion, m.stringToSign()); err != nil {
		return nil, nil, err
	}
	body, err := json.Marshal(m, jsontext.WithIndent("  "), json.Deterministic(true))
	return h, body, err
}

// link is an address of the market that does an action without a signature.
func (n *Notify) link(values url.Values) string { return n.cfg.URL + "/?" + values.Encode() }

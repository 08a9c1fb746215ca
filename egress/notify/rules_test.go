package notify

import (
	"strings"
	"testing"
	"time"

	"souk/gateway/apierror"
	"souk/storage/store/sqlite/sqlitetest"
)

func TestRefusals(t *testing.T) {
	t.Parallel()
	n := newNotify(t, sqlitetest.Open(t), nil)
	ctx := t.Context()
	topic := must[string](t)(n.CreateTopic(ctx, account, region, "t", map[string]string{DisplayName: "T"}))
	create := func(name string, a map[string]string) error {
		_, err := n.CreateTopic(ctx, account, region, name, a)
		return err
	}
	subscribe := func(protocol, endpoint string, a map[string]string) error {
		_, err := n.Subscribe(ctx, topic, protocol, endpoint, a)
		return err
	}
	publish := func(p Publication) error {
		if p.Topic == "" {
			p.Topic = topic
		}
		_, err := n.Publish(ctx, p)
		return err
	}
	confirm := func(topic, token string) error {
		_, err := n.Confirm(ctx, topic, token, false, false)
		return err
	}
	long := strings.Repeat("x", MaxMessage)
	for _, c := range []struct {
		name, code string
		err        error
	}{
		{"topic without a name", "InvalidParameter", create("", nil)},
		{"topic with a space", "InvalidParameter", create("a b", nil)},
		{"topic with a long name", "InvalidParameter", create(strings.Repeat("x", 257), nil)},
		{"FIFO topic", "InvalidParameter", create("a.fifo", nil)},
		{"FIFO topic by attribute", "InvalidParameter", create("a", map[string]string{"FifoTopic": "true"})},
		{"topic with a policy", "InvalidParameter", create("a", map[string]string{"Policy": "{}"})},
		{"topic with an unknown attribute", "InvalidParameter", create("a", map[string]string{"KmsMasterKeyId": "x"})},
		{"signature version 3", "InvalidParameter", create("a", map[string]string{SignatureVersion: "3"})},
		{"the topic with other attributes", "InvalidParameter", create("t", map[string]string{DisplayName: "U"})},
		{"protocol sqs", "InvalidParameter", subscribe("sqs", "arn:aws:sqs:us-east-1:1:x", nil)},
		{"unknown protocol", "InvalidParameter", subscribe("ftp", "ftp://x", nil)},
		{"endpoint of another protocol", "InvalidParameter", subscribe("https", "http://e.example", nil)},
		{"endpoint with credentials", "InvalidParameter", subscribe("http", "http://u:p@e.example", nil)},
		{"endpoint without a host", "InvalidParameter", subscribe("http", "http:///x", nil)},
		{"filter policy", "InvalidParameter", subscribe("http", "http://e.example", map[string]string{"FilterPolicy": "{}"})},
		{"redrive policy", "InvalidParameter", subscribe("http", "http://e.example", map[string]string{"RedrivePolicy": "{}"})},
		{"delivery policy that is none", "InvalidParameter", subscribe("http", "http://e.example", map[string]string{DeliveryPolicy: `{"x":1}`})},
		{"delivery policy of more than an hour", "InvalidParameter", subscribe("http", "http://e.example", map[string]string{DeliveryPolicy: `{"healthyRetryPolicy":{"numRetries":100,"minDelayTarget":60,"maxDelayTarget":60}}`})},
		{"empty message", "InvalidParameter", publish(Publication{})},
		{"message too long", "InvalidParameter", publish(Publication{Message: long + "x"})},
		{"message too long with its attributes", "InvalidParameter", publish(Publication{Message: long, Attributes: map[string]Attribute{"a": {"String", "b"}}})},
		{"subject with a line end", "InvalidParameter", publish(Publication{Message: "m", Subject: "a\nb"})},
		{"subject of 101 characters", "InvalidParameter", publish(Publication{Message: "m", Subject: strings.Repeat("ü", 101)})},
		{"unknown structure", "InvalidParameter", publish(Publication{Message: "m", Structure: "xml"})},
		{"structure that is no JSON", "InvalidParameter", publish(Publication{Message: "m", Structure: "json"})},
		{"structure without default", "InvalidParameter", publish(Publication{Message: `{"http":"x"}`, Structure: "json"})},
		{"structure whose default is no text", "InvalidParameter", publish(Publication{Message: `{"default":1}`, Structure: "json"})},
		{"structure with a key twice", "InvalidParameter", publish(Publication{Message: `{"default":"1","default":"2"}`, Structure: "json"})},
		{"attribute of an unknown type", "ParameterValueInvalid", publish(Publication{Message: "m", Attributes: map[string]Attribute{"a": {"Bool", "b"}}})},
		{"attribute without a value", "ParameterValueInvalid", publish(Publication{Message: "m", Attributes: map[string]Attribute{"a": {"String", ""}}})},
		{"number that is none", "ParameterValueInvalid", publish(Publication{Message: "m", Attributes: map[string]Attribute{"a": {"Number", "b"}}})},
		{"binary that is not base64", "ParameterValueInvalid", publish(Publication{Message: "m", Attributes: map[string]Attribute{"a": {"Binary", "!"}}})},
		{"attribute with a name of dots", "ParameterValueInvalid", publish(Publication{Message: "m", Attributes: map[string]Attribute{"a..b": {"String", "b"}}})},
		{"topic that is not there", "NotFound", publish(Publication{Topic: topic + "x", Message: "m"})},
		{"ARN that is none", "InvalidParameter", publish(Publication{Topic: "x", Message: "m"})},
		{"token that is none", "InvalidParameter", confirm(topic, "x")},
		{"token of nothing", "InvalidParameter", confirm(topic, strings.Repeat("0", 96))},
		{"token of a topic that is not there", "NotFound", confirm(topic+"x", strings.Repeat("0", 96))},
		{"subscription that is not there", "NotFound", n.Unsubscribe(ctx, topic+":"+NewID())},
		{"link of a subscription that is not there", "NotFound", n.UnsubscribeByLink(ctx, topic+":"+NewID())},
		{"attribute of a topic that is not there", "NotFound", n.SetTopicAttribute(ctx, topic+"x", DisplayName, "x")},
	} {
		if !apierror.Is(c.err, c.code) {
			t.Errorf("%s: %v, want %s", c.name, c.err, c.code)
		}
	}
	if err := publish(Publication{Message: long, Subject: strings.Repeat("ü", 100)}); err != nil {
		t.Errorf("the longest message: %v", err)
	}
}

// A subscription whose confirmation was signed, and asked for it, ends by a
// signed request only.
func TestAuthenticateOnUnsubscribe(t *testing.T) {
	t.Parallel()
	n := newNotify(t, sqlitetest.Open(t), nil)
	topic := must[string](t)(n.CreateTopic(t.Context(), account, region, "t", nil))
	s := must[*Subscription](t)(n.Subscribe(t.Context(), topic, "https", "https://e.example", nil))
	if err := n.UnsubscribeByLink(t.Context(), s.ARN); !apierror.Is(err, "InvalidParameter") {
		t.Errorf("before it is confirmed: %v", err)
	}
	must[string](t)(n.Confirm(t.Context(), topic, s.token(), true, true))
	if err := n.UnsubscribeByLink(t.Context(), s.ARN); !apierror.Is(err, "AuthorizationError") {
		t.Errorf("by the link: %v", err)
	}
	if err := n.Unsubscribe(t.Context(), s.ARN); err != nil {
		t.Error(err)
	}
}

// TestDeliveryPolicies: the standard one is the documentation's, "up to three
// retries with a delay between failed attempts set at 20 seconds".
func TestDeliveryPolicies(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]float64{
		`{}`: {20, 20, 20},
		`{"healthyRetryPolicy":{"numRetries":0}}`:                                         {},
		`{"healthyRetryPolicy":{"numRetries":3,"minDelayTarget":10,"maxDelayTarget":30}}`: {10, 20, 30},
		`{"healthyRetryPolicy":{"numRetries":6,"numNoDelayRetries":1,"numMinDelayRetries":1,"numMaxDelayRetries":1,"minDelayTarget":1,"maxDelayTarget":100,"backoffFunction":"exponential"}}`: {0, 1, 1, 10, 100, 100},
		`{"healthyRetryPolicy":{"numRetries":3,"minDelayTarget":4,"maxDelayTarget":64,"backoffFunction":"geometric"}}`:                                                                        {4, 8, 64},
		`{"healthyRetryPolicy":{"numRetries":3,"minDelayTarget":10,"maxDelayTarget":50,"backoffFunction":"arithmetic"}}`:                                                                      {10, 25, 50},
	} {
		p, err := effective(&Topic{}, &Subscription{DeliveryPolicy: text})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		for i := range max(len(want), p.NumRetries) {
			pause, again := p.next(i + 1)
			if !again || i >= len(want) {
				t.Errorf("%s: retry %d: %v", text, i, again)
				break
			}
			least := time.Duration(want[i] * float64(time.Second))
			if pause < least-time.Millisecond || pause > least+least/10+time.Millisecond {
				t.Errorf("%s: retry %d after %v, want %v and up to a tenth", text, i, pause, least)
			}
		}
		if _, again := p.next(len(want) + 1); again {
			t.Errorf("%s: there are more than %d retries", text, len(want))
		}
	}
	// A topic's policy holds for its subscriptions, which may have their own or not.
	topic := &Topic{DeliveryPolicy: `{"http":{"defaultHealthyRetryPolicy":{"numRetries":7},"disableSubscriptionOverrides":true}}`}
	if p, err := effective(topic, &Subscription{DeliveryPolicy: `{"healthyRetryPolicy":{"numRetries":1}}`}); err != nil || p.NumRetries != 7 {
		t.Errorf("got %+v, %v", p, err)
	}
}

func FuzzParseDeliveryPolicy(f *testing.F) {
	for _, s := range []string{`{}`, `{"healthyRetryPolicy":{"numRetries":3,"minDelayTarget":10,"maxDelayTarget":30}}`, `{"healthyRetryPolicy":null}`, `{"http":{"defaultHealthyRetryPolicy":{"numRetries":7}}}`, `[`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		parsed, err := parseSubscriptionPolicy(s)
		if p := parsed.HealthyRetryPolicy; err == nil && p != nil {
			total := time.Duration(0)
			for i := range p.NumRetries {
				d := p.delay(i)
				if d < 0 || d > longestRetry*time.Second {
					t.Fatalf("%s: retry %d after %v", s, i, d)
				}
				total += d
			}
			if total > longestRetry*time.Second {
				t.Fatalf("%s: retries of %v", s, total)
			}
		}
		_, _ = parseTopicPolicy(s)
	})
}

func FuzzStructured(f *testing.F) {
	for _, s := range []string{`{"default":"x"}`, `{"default":"x","http":"y"}`, `{"http":1}`, `null`, `[]`, `{"default":"\ud800"}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m := &message{}
		if err := m.structured(s); err == nil && len(m.Text) > len(s) {
			t.Errorf("%q became %q", s, m.Text)
		}
	})
}

func FuzzParseTopic(f *testing.F) {
	for _, s := range []string{"arn:aws:sns:us-east-1:123456789012:t", "arn:aws:sns:us-east-1:123456789012:t:" + NewID(), "::::::", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if a, ok := parseTopic(s); ok && a.String() != s {
			t.Errorf("%q was read as %q", s, a)
		}
		if topic, _, _, ok := TopicOf(s); ok && !strings.HasPrefix(s, topic+":") {
			t.Errorf("%q has the topic %q", s, topic)
		}
	})
}

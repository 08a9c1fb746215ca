package sns

import (
	"context"
	"encoding/xml"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"souk/access/iam"
	"souk/access/keyring"
	"souk/egress/notify"
	"souk/gateway"
	"souk/gateway/apierror"
	"souk/storage/store/sqlite/sqlitetest"
)

const topic = "arn:aws:sns:us-east-1:111122223333:t"

func newTopics(t *testing.T) *notify.Notify {
	t.Helper()
	n, err := notify.New(notify.Config{Store: sqlitetest.Open(t), Keys: keyring.New([32]byte{1}), URL: "http://souk.example", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// caller is the root user of an account.
func caller(account string) *gateway.Caller {
	return &gateway.Caller{Principal: &iam.Principal{Account: account, Root: true, ARN: "arn:aws:iam::" + account + ":root"}, Region: "us-east-1"}
}

// operation finds an operation by its name.
func operation(t *testing.T, s *gateway.Service, name string) *gateway.Operation {
	t.Helper()
	i := slices.IndexFunc(s.Operations, func(op gateway.Operation) bool { return op.Name == name })
	if i < 0 {
		t.Fatalf("there is no operation %s", name)
	}
	return &s.Operations[i]
}

func TestQuestions(t *testing.T) {
	t.Parallel()
	service, err := Service(newTopics(t))
	if err != nil {
		t.Fatal(err)
	}
	subscription := topic + ":01234567-89ab-cdef-0123-456789abcdef"
	for _, c := range []struct {
		name     string
		input    any
		resource string // "" if it is refused
	}{
		{"CreateTopic", &CreateTopicInput{Name: "t"}, topic},
		{"DeleteTopic", &TopicInput{TopicArn: topic}, topic},
		{"GetTopicAttributes", &TopicInput{TopicArn: topic}, topic},
		{"SetTopicAttributes", &SetTopicAttributesInput{TopicArn: topic}, topic},
		{"ListTopics", &PageInput{}, "*"},
		{"ListSubscriptions", &PageInput{}, "*"},
		{"ListSubscriptionsByTopic", &ListSubscriptionsByTopicInput{TopicArn: topic}, topic},
		{"Subscribe", &SubscribeInput{TopicArn: topic}, topic},
		{"ConfirmSubscription", &ConfirmSubscriptionInput{TopicArn: topic}, topic},
		{"GetSubscriptionAttributes", &SubscriptionInput{SubscriptionArn: subscription}, topic},
		{"SetSubscriptionAttributes", &SetSubscriptionAttributesInput{SubscriptionArn: subscription}, topic},
		{"Unsubscribe", &SubscriptionInput{SubscriptionArn: subscription}, topic},
		{"Publish", &PublishInput{TopicArn: topic}, topic},
		{"Publish", &PublishInput{TargetArn: topic}, topic},
		{"Publish", &PublishInput{}, ""},
		{"Publish", &PublishInput{TopicArn: topic, TargetArn: topic}, ""},
		{"Publish", &PublishInput{PhoneNumber: "1"}, ""},
		{"Publish", &PublishInput{TopicArn: strings.Replace(topic, "us-east-1", "eu-west-1", 1)}, ""},
		{"Unsubscribe", &SubscriptionInput{SubscriptionArn: topic}, ""},
		{"DeleteTopic", &TopicInput{TopicArn: subscription}, ""},
	} {
		questions, err := operation(t, service, c.name).Authorize(context.Background(), caller("999999999999"), c.input)
		switch {
		case c.resource == "":
			if !apierror.Is(err, "InvalidParameter") {
				t.Errorf("%s of %+v: %v, want InvalidParameter", c.name, c.input, err)
			}
		case err != nil || len(questions) != 1 || questions[0].Action != "sns:"+c.name:
			t.Errorf("%s: %+v, %v", c.name, questions, err)
		case c.name == "CreateTopic": // it is made in the caller's account
			if want := "arn:aws:sns:us-east-1:999999999999:t"; questions[0].Resource != want {
				t.Errorf("%s: %s, want %s", c.name, questions[0].Resource, want)
			}
		case questions[0].Resource != c.resource || c.resource != "*" && questions[0].Owner != "111122223333":
			t.Errorf("%s: %+v, want %s", c.name, questions[0], c.resource)
		}
	}
}

func TestPublishInputsThatAreRefused(t *testing.T) {
	t.Parallel()
	topics := newTopics(t)
	service, err := Service(topics)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := topics.CreateTopic(t.Context(), "111122223333", "us-east-1", "t", nil); err != nil {
		t.Fatal(err)
	}
	attribute := func(name, s, b string) MessageAttribute {
		return MessageAttribute{Name: name, Value: MessageAttributeValue{DataType: "String", StringValue: s, BinaryValue: b}}
	}
	for name, c := range map[string]struct {
		input PublishInput
		code  string
	}{
		"an attribute twice":            {PublishInput{MessageAttributes: MessageAttributes{[]MessageAttribute{attribute("a", "b", ""), attribute("a", "c", "")}}}, "ParameterValueInvalid"},
		"an attribute with two values":  {PublishInput{MessageAttributes: MessageAttributes{[]MessageAttribute{attribute("a", "b", "YQ==")}}}, "ParameterValueInvalid"},
		"an id of FIFO topics":          {PublishInput{MessageDeduplicationId: "x"}, "InvalidParameter"},
		"an attribute without a value":  {PublishInput{MessageAttributes: MessageAttributes{[]MessageAttribute{attribute("a", "", "")}}}, "ParameterValueInvalid"},
		"a structure that is not known": {PublishInput{MessageStructure: "xml"}, "InvalidParameter"},
	} {
		c.input.TopicArn, c.input.Message = topic, "m"
		_, err := operation(t, service, "Publish").Call(t.Context(), caller("111122223333"), &c.input)
		if !apierror.Is(err, c.code) {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
}

// TestErrorsAreTheModels compares the codes and their statuses with those of
// the service's model, testdata/errors.tsv.
func TestErrorsAreTheModels(t *testing.T) {
	t.Parallel()
	service, err := Service(newTopics(t))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("testdata/errors.tsv")
	if err != nil {
		t.Fatal(err)
	}
	for code, status := range service.Errors {
		if !regexp.MustCompile(`(?m)^` + code + `\t` + http.StatusText(status) + `$`).Match(text) {
			t.Errorf("%s with status %d is not in the model", code, status)
		}
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	topics := newTopics(t)
	if _, err := topics.CreateTopic(t.Context(), "111122223333", "us-east-1", "t", nil); err != nil {
		t.Fatal(err)
	}
	l, err := NewLinks(topics, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	get := func(target string) *http.Request { return httptest.NewRequest(http.MethodGet, target, nil) }
	signed := get("/?Action=Unsubscribe")
	signed.Header.Set("Authorization", "AWS4-HMAC-SHA256 x")
	for _, r := range []*http.Request{
		signed, get("/"), get("/?Action=Publish"), get("/?Action=DeleteTopic&TopicArn=" + topic), get("/x?Action=Unsubscribe"),
		get("/?Action=Unsubscribe&X-Amz-Algorithm=x&X-Amz-Signature=y"), httptest.NewRequest(http.MethodPost, "/?Action=Unsubscribe", nil),
	} {
		if l.Serves(r) {
			t.Errorf("%s %s is taken for a link", r.Method, r.URL)
		}
	}
	for target, want := range map[string]int{
		"/SimpleNotificationService-x.pem": http.StatusNotFound,
		"/?Action=Unsubscribe":             http.StatusBadRequest,
		"/?Action=Unsubscribe&SubscriptionArn=" + topic + ":" + notify.NewID():                                                       http.StatusNotFound,
		"/?Action=ConfirmSubscription&TopicArn=" + topic + "&Token=x":                                                                http.StatusBadRequest,
		"/?Action=ConfirmSubscription&TopicArn=x&Token=x&AuthenticateOnUnsubscribe=true":                                             http.StatusForbidden,
		"/?" + url.Values{"Action": {"ConfirmSubscription"}, "TopicArn": {topic + "x"}, "Token": {strings.Repeat("0", 96)}}.Encode(): http.StatusNotFound,
	} {
		r, w := get(target), httptest.NewRecorder()
		if !l.Serves(r) {
			t.Errorf("%s is not taken for a link", target)
			continue
		}
		l.ServeHTTP(w, r)
		var answer struct {
			XMLName xml.Name `xml:"ErrorResponse"`
			Code    string   `xml:"Error>Code"`
		}
		if err := xml.Unmarshal(w.Body.Bytes(), &answer); w.Code != want || err != nil || answer.Code == "" {
			t.Errorf("%s: %d %s, %v, want %d", target, w.Code, w.Body, err, want)
		}
	}
}

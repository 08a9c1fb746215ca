package sns

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"souk/access/iam"
	"souk/access/trail"
	"souk/egress/notify"
	"souk/gateway"
	"souk/gateway/apierror"
	"souk/gateway/awsquery"
)

// Links serves what messages lead to, for whoever has them, without a
// signature: the SubscribeURL, the UnsubscribeURL and the SigningCertURL.
//
// Amazon SNS Developer Guide, "Parsing Amazon SNS message formats".
type Links struct {
	topics  *notify.Notify
	service *gateway.Service
	codecs  map[string]gateway.Codec // by action
	trail   *trail.Trail             // nil: nothing is recorded
	log     *slog.Logger
}

// NewLinks returns what serves the links of a market's messages. What is done
// by a link is recorded with the topic's account.
func NewLinks(topics *notify.Notify, records *trail.Trail, log *slog.Logger) (*Links, error) {
	service, err := Service(topics)
	if err != nil {
		return nil, err
	}
	l := &Links{topics: topics, service: service, codecs: map[string]gateway.Codec{}, trail: records, log: log}
	for i := range service.Operations {
		op := &service.Operations[i]
		if op.Name != "ConfirmSubscription" && op.Name != "Unsubscribe" {
			continue
		}
		codec, err := awsquery.Protocol{}.Bind(service, op)
		if err != nil {
			return nil, fmt.Errorf("serving links of messages: %w", err)
		}
		l.codecs[op.Name] = codec
	}
	return l, nil
}

// Serves says whether a request is for a link, and not for the gateway.
func (l *Links) Serves(r *http.Request) bool {
	if r.Method != http.MethodGet {
		return false
	}
	if strings.HasPrefix(r.URL.Path, notify.CertificatePath) {
		return true
	}
	if r.URL.Path != "/" || !strings.Contains(r.URL.RawQuery, "Action=") || r.Header.Get("Authorization") != "" {
		return false
	}
	q := r.URL.Query()
	return l.codecs[q.Get("Action")] != nil && !q.Has("X-Amz-Signature") && !q.Has("X-Amz-Algorithm")
}

// ServeHTTP implements http.Handler.
func (l *Links) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := notify.NewID()
	w.Header().Set("X-Amzn-Requestid", id)
	w.Header().Set("Cache-Control", "no-store")
	if strings.HasPrefix(r.URL.Path, notify.CertificatePath) {
		l.certificate(w, r, id)
		return
	}
	q := r.URL.Query()
	action := q.Get("Action")
	output, err := l.do(r, id, action, q)
	if err == nil {
		err = l.codecs[action].Encode(w, id, output)
	}
	if err != nil {
		l.fail(w, r, id, err)
		return
	}
	l.log.Info("a link of a message was followed", "request", id, "action", action, "from", r.RemoteAddr)
}

// do does what a link says, and records it. Who follows a link that says
// nothing is not worth a record: anybody can.
func (l *Links) do(r *http.Request, id, action string, q url.Values) (output any, err error) {
	var input any
	topic := q.Get("TopicArn")
	call := func(ctx context.Context) (any, error) {
		arn, err := l.topics.Confirm(ctx, topic, q.Get("Token"), false, false)
		return &SubscriptionArnOutput{arn}, err
	}
	switch {
	case action == "Unsubscribe":
		subscription, ok := q.Get("SubscriptionArn"), false
		if topic, _, _, ok = notify.TopicOf(subscription); !ok {
			return nil, wrong("SubscriptionArn")
		}
		input = &SubscriptionInput{subscription}
		call = func(ctx context.Context) (any, error) {
			return &nothing{}, l.topics.UnsubscribeByLink(ctx, subscription)
		}
	case strings.EqualFold(q.Get("AuthenticateOnUnsubscribe"), "true"):
		return nil, apierror.New("AuthorizationError", "AuthenticateOnUnsubscribe needs a signed request.")
	default:
		input = &ConfirmSubscriptionInput{TopicArn: topic, Token: q.Get("Token")}
	}
	region, account, ok := notify.Place(topic)
	if !ok {
		return nil, wrong("TopicArn")
	}
	ctx := r.Context()
	if l.trail == nil {
		return call(ctx)
	}
	described := trail.Call{
		Principal: &iam.Principal{Account: account}, Region: region, RequestID: id,
		Time: time.Now().UTC(), Source: l.service.EventSource, Name: action, Input: input, Resources: []string{topic},
	}
	described.Came(r)
	record := l.trail.Begin(described)
	output, err = call(record.Context(ctx))
	if err == nil {
		err = record.End(ctx, trail.Outcome{Output: output})
	}
	return output, err
}

func (l *Links) certificate(w http.ResponseWriter, r *http.Request, id string) {
	pem, err := l.topics.Certificate(r.Context(), r.URL.Path)
	if err == nil && pem == nil {
		err = apierror.New("NotFound", "There is no such certificate.")
	}
	if err != nil {
		l.fail(w, r, id, err)
		return
	}
	w.Header().Set("Content-Type", "application/x-pem-file")
	w.Header().Set("Cache-Control", "public, max-age=86400")
	w.Write(pem) // a client that has gone is no concern of ours
}

// fail writes an error in the form of the service.
func (l *Links) fail(w http.ResponseWriter, r *http.Request, id string, err error) {
	var e *apierror.Error
	if !errors.As(err, &e) {
		l.log.ErrorContext(r.Context(), "a link of a message failed", "request", id, "error", err)
		e = &apierror.Error{Code: l.service.Internal, Fault: apierror.Server, Message: "The request processing has failed because of an unknown error, exception or failure. Request id: " + id}
	}
	shown := *e
	if shown.Status == 0 {
		shown.Status = l.service.Errors[e.Code]
	}
	if shown.Status == 0 {
		shown.Status = http.StatusBadRequest
	}
	l.service.Protocol.Error(l.service, w, id, &shown)
}

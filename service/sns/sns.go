// Package sns is Amazon Simple Notification Service for HTTP and HTTPS
// endpoints: topics, subscriptions that are confirmed, and messages. Each
// action is a thin caller of egress/notify, which keeps and delivers them.
//
// It offers no queues, functions, e-mail, SMS, mobile push or FIFO topics, and
// no policies of topics: a topic is its account's.
package sns

import (
	"context"
	"errors"
	"net/http"

	"souk/access/iam"
	"souk/egress/notify"
	"souk/gateway"
	"souk/gateway/apierror"
	"souk/gateway/awsquery"
)

// service is what the operations share.
type service struct{ topics *notify.Notify }

// Service returns the service for the gateway.
//
// Amazon SNS API Reference, version 2010-03-31.
func Service(topics *notify.Notify) (*gateway.Service, error) {
	if topics == nil {
		return nil, errors.New("service sns: topics are needed")
	}
	s := &service{topics}
	return &gateway.Service{
		Name:         "sns",
		SigningNames: []string{"sns"},
		Protocol:     awsquery.Protocol{},
		APIVersion:   "2010-03-31",
		Namespace:    "http://sns.amazonaws.com/doc/2010-03-31/",
		EventSource:  "sns.amazonaws.com",
		Errors: map[string]int{
			"AuthorizationError":        http.StatusForbidden,
			"InternalError":             http.StatusInternalServerError,
			"InvalidParameter":          http.StatusBadRequest,
			"NotFound":                  http.StatusNotFound,
			"ParameterValueInvalid":     http.StatusBadRequest,
			"SubscriptionLimitExceeded": http.StatusForbidden,
			"Throttled":                 http.StatusTooManyRequests,
			"TopicLimitExceeded":        http.StatusForbidden,
		},
		Internal:   "InternalError",
		Validation: "InvalidParameter",
		Denied:     "AuthorizationError",
		Throttled:  "Throttled",
		Operations: []gateway.Operation{
			s.confirmSubscription(),
			s.createTopic(),
			s.deleteTopic(),
			s.getSubscriptionAttributes(),
			s.getTopicAttributes(),
			s.listSubscriptions(),
			s.listSubscriptionsByTopic(),
			s.listTopics(),
			s.publish(),
			s.setSubscriptionAttributes(),
			s.setTopicAttributes(),
			s.subscribe(),
			s.unsubscribe(),
		},
	}, nil
}

// onTopic asks for an action on a topic, which must be of the caller's region.
func onTopic[In any](action string, topic func(*In) string) func(context.Context, *gateway.Caller, *In) ([]iam.Question, error) {
	return func(_ context.Context, c *gateway.Caller, in *In) ([]iam.Question, error) {
		return question(c, action, topic(in), "TopicArn")
	}
}

// onSubscription asks for an action on the topic of a subscription.
func onSubscription[In any](action string, subscription func(*In) string) func(context.Context, *gateway.Caller, *In) ([]iam.Question, error) {
	return func(_ context.Context, c *gateway.Caller, in *In) ([]iam.Question, error) {
		topic, _, _, ok := notify.TopicOf(subscription(in))
		if !ok {
			return nil, wrong("SubscriptionArn")
		}
		return question(c, action, topic, "SubscriptionArn")
	}
}

// onAll asks for an action that is about no topic.
func onAll[In any](action string) func(context.Context, *gateway.Caller, *In) ([]iam.Question, error) {
	return func(context.Context, *gateway.Caller, *In) ([]iam.Question, error) {
		return []iam.Question{{Action: "sns:" + action, Resource: "*"}}, nil
	}
}

func question(c *gateway.Caller, action, topic, parameter string) ([]iam.Question, error) {
	region, account, ok := notify.Place(topic)
	if !ok || region != c.Region {
		return nil, wrong(parameter)
	}
	return []iam.Question{{Action: "sns:" + action, Resource: topic, Owner: account}}, nil
}

// wrong refuses a parameter.
func wrong(parameter string) error {
	return apierror.New("InvalidParameter", "Invalid parameter: %s", parameter)
}

// nothing is the answer of what answers nothing.
type nothing struct{}

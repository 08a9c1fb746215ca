package sns

import (
	"context"

	"souk/gateway"
)

// ListSubscriptionsByTopicInput asks for a page of a topic's subscriptions.
type ListSubscriptionsByTopicInput struct {
	TopicArn  string `required:""`
	NextToken string
}

// listSubscriptionsByTopic lists the subscriptions of a topic, 100 at a time.
//
// Amazon SNS API Reference, "ListSubscriptionsByTopic".
func (s *service) listSubscriptionsByTopic() gateway.Operation {
	return gateway.Op(gateway.Def[ListSubscriptionsByTopicInput, *ListSubscriptionsOutput]{
		Name: "ListSubscriptionsByTopic", ReadOnly: true,
		Authorize: onTopic("ListSubscriptionsByTopic", func(in *ListSubscriptionsByTopicInput) string { return in.TopicArn }),
		Call: func(ctx context.Context, _ *gateway.Caller, in *ListSubscriptionsByTopicInput) (*ListSubscriptionsOutput, error) {
			all, next, err := s.topics.SubscriptionsByTopic(ctx, in.TopicArn, in.NextToken)
			if err != nil {
				return nil, err
			}
			return shownSubscriptions(all, next), nil
		},
	})
}

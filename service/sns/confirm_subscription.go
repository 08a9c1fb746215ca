package sns

import (
	"context"
	"strings"

	"souk/gateway"
)

// ConfirmSubscriptionInput is what an endpoint was sent to confirm its subscription.
type ConfirmSubscriptionInput struct {
	TopicArn                  string `required:""`
	Token                     string `required:""`
	AuthenticateOnUnsubscribe string
}

// confirmSubscription confirms a subscription: "This call requires an AWS
// signature only when the AuthenticateOnUnsubscribe flag is set to "true"."
// Links serves what is not signed.
//
// Amazon SNS API Reference, "ConfirmSubscription".
func (s *service) confirmSubscription() gateway.Operation {
	return gateway.Op(gateway.Def[ConfirmSubscriptionInput, *SubscriptionArnOutput]{
		Name:      "ConfirmSubscription",
		Authorize: onTopic("ConfirmSubscription", func(in *ConfirmSubscriptionInput) string { return in.TopicArn }),
		Call: func(ctx context.Context, _ *gateway.Caller, in *ConfirmSubscriptionInput) (*SubscriptionArnOutput, error) {
			arn, err := s.topics.Confirm(ctx, in.TopicArn, in.Token, true, strings.EqualFold(in.AuthenticateOnUnsubscribe, "true"))
			if err != nil {
				return nil, err
			}
			return &SubscriptionArnOutput{arn}, nil
		},
	})
}

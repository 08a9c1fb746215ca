package sns

import (
	"context"

	"souk/gateway"
)

// SubscriptionInput names a subscription.
type SubscriptionInput struct {
	SubscriptionArn string `required:""`
}

func (in *SubscriptionInput) subscription() string { return in.SubscriptionArn }

// getSubscriptionAttributes shows a subscription.
//
// Amazon SNS API Reference, "GetSubscriptionAttributes".
func (s *service) getSubscriptionAttributes() gateway.Operation {
	return gateway.Op(gateway.Def[SubscriptionInput, *AttributesOutput]{
		Name: "GetSubscriptionAttributes", ReadOnly: true,
		Authorize: onSubscription("GetSubscriptionAttributes", (*SubscriptionInput).subscription),
		Call: func(ctx context.Context, _ *gateway.Caller, in *SubscriptionInput) (*AttributesOutput, error) {
			all, err := s.topics.SubscriptionAttributes(ctx, in.SubscriptionArn)
			if err != nil {
				return nil, err
			}
			return shownAttributes(all), nil
		},
	})
}

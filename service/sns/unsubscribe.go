package sns

import (
	"context"

	"souk/gateway"
)

// unsubscribe ends a subscription by its owner's word. The link in messages,
// which Links serves, does so without a signature.
//
// Amazon SNS API Reference, "Unsubscribe".
func (s *service) unsubscribe() gateway.Operation {
	return gateway.Op(gateway.Def[SubscriptionInput, *nothing]{
		Name:      "Unsubscribe",
		Authorize: onSubscription("Unsubscribe", (*SubscriptionInput).subscription),
		Call: func(ctx context.Context, _ *gateway.Caller, in *SubscriptionInput) (*nothing, error) {
			return &nothing{}, s.topics.Unsubscribe(ctx, in.SubscriptionArn)
		},
	})
}

package sns

import (
	"context"

	"souk/gateway"
)

// SetSubscriptionAttributesInput is one attribute of a subscription.
type SetSubscriptionAttributesInput struct {
	SubscriptionArn string `required:""`
	AttributeName   string `required:""`
	AttributeValue  string
}

// setSubscriptionAttributes sets an attribute of a subscription.
//
// Amazon SNS API Reference, "SetSubscriptionAttributes".
func (s *service) setSubscriptionAttributes() gateway.Operation {
	return gateway.Op(gateway.Def[SetSubscriptionAttributesInput, *nothing]{
		Name:      "SetSubscriptionAttributes",
		Authorize: onSubscription("SetSubscriptionAttributes", func(in *SetSubscriptionAttributesInput) string { return in.SubscriptionArn }),
		Call: func(ctx context.Context, _ *gateway.Caller, in *SetSubscriptionAttributesInput) (*nothing, error) {
			return &nothing{}, s.topics.SetSubscriptionAttribute(ctx, in.SubscriptionArn, in.AttributeName, in.AttributeValue)
		},
	})
}

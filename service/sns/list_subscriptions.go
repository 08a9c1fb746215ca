package sns

import (
	"context"

	"souk/gateway"
)

// listSubscriptions lists the account's subscriptions in the region of the
// request, 100 at a time.
//
// Amazon SNS API Reference, "ListSubscriptions".
func (s *service) listSubscriptions() gateway.Operation {
	return gateway.Op(gateway.Def[PageInput, *ListSubscriptionsOutput]{
		Name: "ListSubscriptions", ReadOnly: true,
		Authorize: onAll[PageInput]("ListSubscriptions"),
		Call: func(ctx context.Context, c *gateway.Caller, in *PageInput) (*ListSubscriptionsOutput, error) {
			all, next, err := s.topics.Subscriptions(ctx, c.Principal.Account, c.Region, in.NextToken)
			if err != nil {
				return nil, err
			}
			return shownSubscriptions(all, next), nil
		},
	})
}

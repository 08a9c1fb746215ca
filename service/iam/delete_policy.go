package iam

import (
	"context"

	"souk/gateway"
)

// DeletePolicyInput names a managed policy.
type DeletePolicyInput struct {
	PolicyArn string `required:"" len:"20,2048"`
}

// deletePolicy deletes a managed policy that nobody has, and that has its default version alone.
//
// IAM API Reference, "DeletePolicy".
func (s *service) deletePolicy() gateway.Operation {
	return gateway.Op(gateway.Def[DeletePolicyInput, gateway.Raw]{
		Name:      "DeletePolicy",
		Authorize: ask("DeletePolicy", func(_ string, in *DeletePolicyInput) string { return in.PolicyArn }),
		Call: func(ctx context.Context, c *gateway.Caller, in *DeletePolicyInput) (gateway.Raw, error) {
			return nil, s.organization.DeleteManagedPolicy(ctx, c.Principal.Account, in.PolicyArn)
		},
	})
}

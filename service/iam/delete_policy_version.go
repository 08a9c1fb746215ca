package iam

import (
	"context"

	"souk/gateway"
)

// DeletePolicyVersionInput names a version of a managed policy.
type DeletePolicyVersionInput struct {
	PolicyArn string `required:"" len:"20,2048"`
	VersionId string `required:"" pattern:"v[1-9][0-9]*(\\.[A-Za-z0-9-]*)?"`
}

// deletePolicyVersion deletes a version of a managed policy that is not its default.
//
// IAM API Reference, "DeletePolicyVersion".
func (s *service) deletePolicyVersion() gateway.Operation {
	return gateway.Op(gateway.Def[DeletePolicyVersionInput, gateway.Raw]{
		Name:      "DeletePolicyVersion",
		Authorize: ask("DeletePolicyVersion", func(_ string, in *DeletePolicyVersionInput) string { return in.PolicyArn }),
		Call: func(ctx context.Context, c *gateway.Caller, in *DeletePolicyVersionInput) (gateway.Raw, error) {
			return nil, s.organization.DeletePolicyVersion(ctx, c.Principal.Account, in.PolicyArn, in.VersionId)
		},
	})
}

package iam

import (
	"context"

	"souk/gateway"
)

// SetDefaultPolicyVersionInput names a version of a managed policy.
type SetDefaultPolicyVersionInput struct {
	PolicyArn string `required:"" len:"20,2048"`
	VersionId string `required:"" pattern:"v[1-9][0-9]*(\\.[A-Za-z0-9-]*)?"`
}

// setDefaultPolicyVersion makes a version of a managed policy the one that holds.
//
// IAM API Reference, "SetDefaultPolicyVersion".
func (s *service) setDefaultPolicyVersion() gateway.Operation {
	return gateway.Op(gateway.Def[SetDefaultPolicyVersionInput, gateway.Raw]{
		Name:      "SetDefaultPolicyVersion",
		Authorize: ask("SetDefaultPolicyVersion", func(_ string, in *SetDefaultPolicyVersionInput) string { return in.PolicyArn }),
		Call: func(ctx context.Context, c *gateway.Caller, in *SetDefaultPolicyVersionInput) (gateway.Raw, error) {
			return nil, s.organization.SetDefaultVersion(ctx, c.Principal.Account, in.PolicyArn, in.VersionId)
		},
	})
}

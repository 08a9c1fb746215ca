package iam

import (
	"context"

	"souk/access/iam"
	"souk/access/organization"
	"souk/gateway"
)

// DetachRolePolicyInput names a role and a managed policy.
type DetachRolePolicyInput struct {
	RoleName  string `required:"" len:"1,64" pattern:"[\\w+=,.@-]+"`
	PolicyArn string `required:"" len:"20,2048"`
}

// detachRolePolicy takes a managed policy from a role.
//
// IAM API Reference, "DetachRolePolicy".
func (s *service) detachRolePolicy() gateway.Operation {
	return gateway.Op(gateway.Def[DetachRolePolicyInput, gateway.Raw]{
		Name: "DetachRolePolicy",
		Authorize: with(on(s, "DetachRolePolicy", organization.OfRole, func(in *DetachRolePolicyInput) string { return in.RoleName }),
			func(in *DetachRolePolicyInput) iam.Context { return policyKey(in.PolicyArn) }),
		Call: func(ctx context.Context, c *gateway.Caller, in *DetachRolePolicyInput) (gateway.Raw, error) {
			return nil, s.organization.Detach(ctx, organization.Holder{Kind: organization.OfRole, Account: c.Principal.Account, Name: in.RoleName}, in.PolicyArn)
		},
	})
}

package iam

import (
	"context"

	"souk/access/iam"
	"souk/access/organization"
	"souk/gateway"
)

// AttachRolePolicyInput names a role and a managed policy.
type AttachRolePolicyInput struct {
	RoleName  string `required:"" len:"1,64" pattern:"[\\w+=,.@-]+"`
	PolicyArn string `required:"" len:"20,2048"`
}

// attachRolePolicy gives a role a managed policy. One that it has stays.
//
// IAM API Reference, "AttachRolePolicy".
func (s *service) attachRolePolicy() gateway.Operation {
	return gateway.Op(gateway.Def[AttachRolePolicyInput, gateway.Raw]{
		Name: "AttachRolePolicy",
		Authorize: with(on(s, "AttachRolePolicy", organization.OfRole, func(in *AttachRolePolicyInput) string { return in.RoleName }),
			func(in *AttachRolePolicyInput) iam.Context { return policyKey(in.PolicyArn) }),
		Call: func(ctx context.Context, c *gateway.Caller, in *AttachRolePolicyInput) (gateway.Raw, error) {
			return nil, s.organization.Attach(ctx, organization.Holder{Kind: organization.OfRole, Account: c.Principal.Account, Name: in.RoleName}, in.PolicyArn)
		},
	})
}

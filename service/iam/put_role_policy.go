package iam

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// PutRolePolicyInput says which role gets which policy.
type PutRolePolicyInput struct {
	RoleName       string `required:"" len:"1,64" pattern:"[\\w+=,.@-]+"`
	PolicyName     string `required:"" len:"1,128" pattern:"[\\w+=,.@-]+"`
	PolicyDocument string `required:"" len:"1,131072" pattern:"[\\x09\\x0A\\x0D\\x20-\\x{FF}]+"`
}

// putRolePolicy gives a role an inline policy, in the place of one of that name.
//
// IAM API Reference, "PutRolePolicy".
func (s *service) putRolePolicy() gateway.Operation {
	return gateway.Op(gateway.Def[PutRolePolicyInput, gateway.Raw]{
		Name:      "PutRolePolicy",
		Authorize: on(s, "PutRolePolicy", organization.OfRole, func(in *PutRolePolicyInput) string { return in.RoleName }),
		Call: func(ctx context.Context, c *gateway.Caller, in *PutRolePolicyInput) (gateway.Raw, error) {
			return nil, s.organization.PutInline(ctx, organization.Holder{Kind: organization.OfRole, Account: c.Principal.Account, Name: in.RoleName}, organization.Policy{Name: in.PolicyName, Document: in.PolicyDocument})
		},
	})
}

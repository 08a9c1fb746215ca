package iam

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// DeleteRolePolicyInput names a policy of a role.
type DeleteRolePolicyInput struct {
	RoleName   string `required:"" len:"1,64" pattern:"[\\w+=,.@-]+"`
	PolicyName string `required:"" len:"1,128" pattern:"[\\w+=,.@-]+"`
}

// deleteRolePolicy takes an inline policy from a role.
//
// IAM API Reference, "DeleteRolePolicy".
func (s *service) deleteRolePolicy() gateway.Operation {
	return gateway.Op(gateway.Def[DeleteRolePolicyInput, gateway.Raw]{
		Name:      "DeleteRolePolicy",
		Authorize: on(s, "DeleteRolePolicy", organization.OfRole, func(in *DeleteRolePolicyInput) string { return in.RoleName }),
		Call: func(ctx context.Context, c *gateway.Caller, in *DeleteRolePolicyInput) (gateway.Raw, error) {
			return nil, s.organization.DeleteInline(ctx, organization.Holder{Kind: organization.OfRole, Account: c.Principal.Account, Name: in.RoleName}, in.PolicyName)
		},
	})
}

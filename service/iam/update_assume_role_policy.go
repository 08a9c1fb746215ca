package iam

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// UpdateAssumeRolePolicyInput is the trust policy of a role.
type UpdateAssumeRolePolicyInput struct {
	RoleName       string `required:"" len:"1,64" pattern:"[\\w+=,.@-]+"`
	PolicyDocument string `required:"" len:"1,131072" pattern:"[\\x09\\x0A\\x0D\\x20-\\x{FF}]+"`
}

// updateAssumeRolePolicy gives a role another trust policy: who may assume it.
//
// IAM API Reference, "UpdateAssumeRolePolicy".
func (s *service) updateAssumeRolePolicy() gateway.Operation {
	return gateway.Op(gateway.Def[UpdateAssumeRolePolicyInput, gateway.Raw]{
		Name:      "UpdateAssumeRolePolicy",
		Authorize: on(s, "UpdateAssumeRolePolicy", organization.OfRole, func(in *UpdateAssumeRolePolicyInput) string { return in.RoleName }),
		Call: func(ctx context.Context, c *gateway.Caller, in *UpdateAssumeRolePolicyInput) (gateway.Raw, error) {
			_, err := s.organization.UpdateRole(ctx, c.Principal.Account, in.RoleName, organization.RoleUpdate{Trust: &in.PolicyDocument})
			return nil, err
		},
	})
}

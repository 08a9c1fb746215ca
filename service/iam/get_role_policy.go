package iam

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// GetRolePolicyInput names a policy of a role.
type GetRolePolicyInput struct {
	RoleName   string `required:"" len:"1,64" pattern:"[\\w+=,.@-]+"`
	PolicyName string `required:"" len:"1,128" pattern:"[\\w+=,.@-]+"`
}

// GetRolePolicyOutput is the policy.
type GetRolePolicyOutput struct {
	RoleName       string
	PolicyName     string
	PolicyDocument string
}

// getRolePolicy shows an inline policy of a role.
//
// IAM API Reference, "GetRolePolicy".
func (s *service) getRolePolicy() gateway.Operation {
	return gateway.Op(gateway.Def[GetRolePolicyInput, *GetRolePolicyOutput]{
		Name: "GetRolePolicy", ReadOnly: true,
		Authorize: on(s, "GetRolePolicy", organization.OfRole, func(in *GetRolePolicyInput) string { return in.RoleName }),
		Call: func(ctx context.Context, c *gateway.Caller, in *GetRolePolicyInput) (*GetRolePolicyOutput, error) {
			p, err := s.organization.InlinePolicy(ctx, organization.Holder{Kind: organization.OfRole, Account: c.Principal.Account, Name: in.RoleName}, in.PolicyName)
			if err != nil {
				return nil, err
			}
			return &GetRolePolicyOutput{RoleName: in.RoleName, PolicyName: p.Name, PolicyDocument: encoded(p.Document)}, nil
		},
	})
}

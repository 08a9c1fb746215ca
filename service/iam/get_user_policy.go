package iam

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// GetUserPolicyInput names a policy of a user.
type GetUserPolicyInput struct {
	UserName   string `required:"" len:"1,128" pattern:"[\\w+=,.@-]+"`
	PolicyName string `required:"" len:"1,128" pattern:"[\\w+=,.@-]+"`
}

// GetUserPolicyOutput is the policy.
type GetUserPolicyOutput struct {
	UserName       string
	PolicyName     string
	PolicyDocument string
}

// getUserPolicy shows an inline policy of a user.
//
// IAM API Reference, "GetUserPolicy".
func (s *service) getUserPolicy() gateway.Operation {
	return gateway.Op(gateway.Def[GetUserPolicyInput, *GetUserPolicyOutput]{
		Name: "GetUserPolicy", ReadOnly: true,
		Authorize: on(s, "GetUserPolicy", organization.OfUser, func(in *GetUserPolicyInput) string { return in.UserName }),
		Call: func(ctx context.Context, c *gateway.Caller, in *GetUserPolicyInput) (*GetUserPolicyOutput, error) {
			p, err := s.organization.InlinePolicy(ctx, organization.Holder{Kind: organization.OfUser, Account: c.Principal.Account, Name: in.UserName}, in.PolicyName)
			if err != nil {
				return nil, err
			}
			return &GetUserPolicyOutput{UserName: in.UserName, PolicyName: p.Name, PolicyDocument: encoded(p.Document)}, nil
		},
	})
}

package iam

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// GetGroupPolicyInput names a policy of a group.
type GetGroupPolicyInput struct {
	GroupName  string `required:"" len:"1,128" pattern:"[\\w+=,.@-]+"`
	PolicyName string `required:"" len:"1,128" pattern:"[\\w+=,.@-]+"`
}

// GetGroupPolicyOutput is the policy.
type GetGroupPolicyOutput struct {
	GroupName      string
	PolicyName     string
	PolicyDocument string
}

// getGroupPolicy shows an inline policy of a group.
//
// IAM API Reference, "GetGroupPolicy".
func (s *service) getGroupPolicy() gateway.Operation {
	return gateway.Op(gateway.Def[GetGroupPolicyInput, *GetGroupPolicyOutput]{
		Name: "GetGroupPolicy", ReadOnly: true,
		Authorize: on(s, "GetGroupPolicy", organization.OfGroup, func(in *GetGroupPolicyInput) string { return in.GroupName }),
		Call: func(ctx context.Context, c *gateway.Caller, in *GetGroupPolicyInput) (*GetGroupPolicyOutput, error) {
			p, err := s.organization.InlinePolicy(ctx, organization.Holder{Kind: organization.OfGroup, Account: c.Principal.Account, Name: in.GroupName}, in.PolicyName)
			if err != nil {
				return nil, err
			}
			return &GetGroupPolicyOutput{GroupName: in.GroupName, PolicyName: p.Name, PolicyDocument: encoded(p.Document)}, nil
		},
	})
}

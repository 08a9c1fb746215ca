package iam

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// DeleteGroupPolicyInput names a policy of a group.
type DeleteGroupPolicyInput struct {
	GroupName  string `required:"" len:"1,128" pattern:"[\\w+=,.@-]+"`
	PolicyName string `required:"" len:"1,128" pattern:"[\\w+=,.@-]+"`
}

// deleteGroupPolicy takes an inline policy from a group.
//
// IAM API Reference, "DeleteGroupPolicy".
func (s *service) deleteGroupPolicy() gateway.Operation {
	return gateway.Op(gateway.Def[DeleteGroupPolicyInput, gateway.Raw]{
		Name:      "DeleteGroupPolicy",
		Authorize: on(s, "DeleteGroupPolicy", organization.OfGroup, func(in *DeleteGroupPolicyInput) string { return in.GroupName }),
		Call: func(ctx context.Context, c *gateway.Caller, in *DeleteGroupPolicyInput) (gateway.Raw, error) {
			return nil, s.organization.DeleteInline(ctx, organization.Holder{Kind: organization.OfGroup, Account: c.Principal.Account, Name: in.GroupName}, in.PolicyName)
		},
	})
}

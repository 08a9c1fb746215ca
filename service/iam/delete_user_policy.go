package iam

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// DeleteUserPolicyInput names a policy of a user.
type DeleteUserPolicyInput struct {
	UserName   string `required:"" len:"1,128" pattern:"[\\w+=,.@-]+"`
	PolicyName string `required:"" len:"1,128" pattern:"[\\w+=,.@-]+"`
}

// deleteUserPolicy takes an inline policy from a user.
//
// IAM API Reference, "DeleteUserPolicy".
func (s *service) deleteUserPolicy() gateway.Operation {
	return gateway.Op(gateway.Def[DeleteUserPolicyInput, gateway.Raw]{
		Name:      "DeleteUserPolicy",
		Authorize: on(s, "DeleteUserPolicy", organization.OfUser, func(in *DeleteUserPolicyInput) string { return in.UserName }),
		Call: func(ctx context.Context, c *gateway.Caller, in *DeleteUserPolicyInput) (gateway.Raw, error) {
			return nil, s.organization.DeleteInline(ctx, organization.Holder{Kind: organization.OfUser, Account: c.Principal.Account, Name: in.UserName}, in.PolicyName)
		},
	})
}

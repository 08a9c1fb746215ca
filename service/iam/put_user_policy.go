package iam

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// PutUserPolicyInput says which user gets which policy.
type PutUserPolicyInput struct {
	UserName       string `required:"" len:"1,128" pattern:"[\\w+=,.@-]+"`
	PolicyName     string `required:"" len:"1,128" pattern:"[\\w+=,.@-]+"`
	PolicyDocument string `required:"" len:"1,131072" pattern:"[\\x09\\x0A\\x0D\\x20-\\x{FF}]+"`
}

// putUserPolicy gives a user an inline policy, in the place of one of that name.
//
// IAM API Reference, "PutUserPolicy".
func (s *service) putUserPolicy() gateway.Operation {
	return gateway.Op(gateway.Def[PutUserPolicyInput, gateway.Raw]{
		Name:      "PutUserPolicy",
		Authorize: on(s, "PutUserPolicy", organization.OfUser, func(in *PutUserPolicyInput) string { return in.UserName }),
		Call: func(ctx context.Context, c *gateway.Caller, in *PutUserPolicyInput) (gateway.Raw, error) {
			return nil, s.organization.PutInline(ctx, organization.Holder{Kind: organization.OfUser, Account: c.Principal.Account, Name: in.UserName}, organization.Policy{Name: in.PolicyName, Document: in.PolicyDocument})
		},
	})
}

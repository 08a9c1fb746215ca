package iam

import (
	"context"

	"souk/access/iam"
	"souk/access/organization"
	"souk/gateway"
)

// DetachUserPolicyInput names a user and a managed policy.
type DetachUserPolicyInput struct {
	UserName  string `required:"" len:"1,128" pattern:"[\\w+=,.@-]+"`
	PolicyArn string `required:"" len:"20,2048"`
}

// detachUserPolicy takes a managed policy from a user.
//
// IAM API Reference, "DetachUserPolicy".
func (s *service) detachUserPolicy() gateway.Operation {
	return gateway.Op(gateway.Def[DetachUserPolicyInput, gateway.Raw]{
		Name: "DetachUserPolicy",
		Authorize: with(on(s, "DetachUserPolicy", organization.OfUser, func(in *DetachUserPolicyInput) string { return in.UserName }),
			func(in *DetachUserPolicyInput) iam.Context { return policyKey(in.PolicyArn) }),
		Call: func(ctx context.Context, c *gateway.Caller, in *DetachUserPolicyInput) (gateway.Raw, error) {
			return nil, s.organization.Detach(ctx, organization.Holder{Kind: organization.OfUser, Account: c.Principal.Account, Name: in.UserName}, in.PolicyArn)
		},
	})
}

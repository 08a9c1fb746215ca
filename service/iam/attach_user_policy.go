package iam

import (
	"context"

	"souk/access/iam"
	"souk/access/organization"
	"souk/gateway"
)

// AttachUserPolicyInput names a user and a managed policy.
type AttachUserPolicyInput struct {
	UserName  string `required:"" len:"1,128" pattern:"[\\w+=,.@-]+"`
	PolicyArn string `required:"" len:"20,2048"`
}

// attachUserPolicy gives a user a managed policy. One that it has stays.
//
// IAM API Reference, "AttachUserPolicy".
func (s *service) attachUserPolicy() gateway.Operation {
	return gateway.Op(gateway.Def[AttachUserPolicyInput, gateway.Raw]{
		Name: "AttachUserPolicy",
		Authorize: with(on(s, "AttachUserPolicy", organization.OfUser, func(in *AttachUserPolicyInput) string { return in.UserName }),
			func(in *AttachUserPolicyInput) iam.Context { return policyKey(in.PolicyArn) }),
		Call: func(ctx context.Context, c *gateway.Caller, in *AttachUserPolicyInput) (gateway.Raw, error) {
			return nil, s.organization.Attach(ctx, organization.Holder{Kind: organization.OfUser, Account: c.Principal.Account, Name: in.UserName}, in.PolicyArn)
		},
	})
}

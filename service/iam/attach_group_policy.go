package iam

import (
	"context"

	"souk/access/iam"
	"souk/access/organization"
	"souk/gateway"
)

// AttachGroupPolicyInput names a group and a managed policy.
type AttachGroupPolicyInput struct {
	GroupName string `required:"" len:"1,128" pattern:"[\\w+=,.@-]+"`
	PolicyArn string `required:"" len:"20,2048"`
}

// attachGroupPolicy gives a group a managed policy. One that it has stays.
//
// IAM API Reference, "AttachGroupPolicy".
func (s *service) attachGroupPolicy() gateway.Operation {
	return gateway.Op(gateway.Def[AttachGroupPolicyInput, gateway.Raw]{
		Name: "AttachGroupPolicy",
		Authorize: with(on(s, "AttachGroupPolicy", organization.OfGroup, func(in *AttachGroupPolicyInput) string { return in.GroupName }),
			func(in *AttachGroupPolicyInput) iam.Context { return policyKey(in.PolicyArn) }),
		Call: func(ctx context.Context, c *gateway.Caller, in *AttachGroupPolicyInput) (gateway.Raw, error) {
			return nil, s.organization.Attach(ctx, organization.Holder{Kind: organization.OfGroup, Account: c.Principal.Account, Name: in.GroupName}, in.PolicyArn)
		},
	})
}

package iam

import (
	"context"

	"souk/access/iam"
	"souk/access/organization"
	"souk/gateway"
)

// DetachGroupPolicyInput names a group and a managed policy.
type DetachGroupPolicyInput struct {
	GroupName string `required:"" len:"1,128" pattern:"[\\w+=,.@-]+"`
	PolicyArn string `required:"" len:"20,2048"`
}

// detachGroupPolicy takes a managed policy from a group.
//
// IAM API Reference, "DetachGroupPolicy".
func (s *service) detachGroupPolicy() gateway.Operation {
	return gateway.Op(gateway.Def[DetachGroupPolicyInput, gateway.Raw]{
		Name: "DetachGroupPolicy",
		Authorize: with(on(s, "DetachGroupPolicy", organization.OfGroup, func(in *DetachGroupPolicyInput) string { return in.GroupName }),
			func(in *DetachGroupPolicyInput) iam.Context { return policyKey(in.PolicyArn) }),
		Call: func(ctx context.Context, c *gateway.Caller, in *DetachGroupPolicyInput) (gateway.Raw, error) {
			return nil, s.organization.Detach(ctx, organization.Holder{Kind: organization.OfGroup, Account: c.Principal.Account, Name: in.GroupName}, in.PolicyArn)
		},
	})
}

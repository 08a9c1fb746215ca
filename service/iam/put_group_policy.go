package iam

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// PutGroupPolicyInput says which group gets which policy.
type PutGroupPolicyInput struct {
	GroupName      string `required:"" len:"1,128" pattern:"[\\w+=,.@-]+"`
	PolicyName     string `required:"" len:"1,128" pattern:"[\\w+=,.@-]+"`
	PolicyDocument string `required:"" len:"1,131072" pattern:"[\\x09\\x0A\\x0D\\x20-\\x{FF}]+"`
}

// putGroupPolicy gives a group an inline policy, in the place of one of that name.
//
// IAM API Reference, "PutGroupPolicy".
func (s *service) putGroupPolicy() gateway.Operation {
	return gateway.Op(gateway.Def[PutGroupPolicyInput, gateway.Raw]{
		Name:      "PutGroupPolicy",
		Authorize: on(s, "PutGroupPolicy", organization.OfGroup, func(in *PutGroupPolicyInput) string { return in.GroupName }),
		Call: func(ctx context.Context, c *gateway.Caller, in *PutGroupPolicyInput) (gateway.Raw, error) {
			return nil, s.organization.PutInline(ctx, organization.Holder{Kind: organization.OfGroup, Account: c.Principal.Account, Name: in.GroupName}, organization.Policy{Name: in.PolicyName, Document: in.PolicyDocument})
		},
	})
}

package iam

import (
	"context"
	"slices"

	"souk/access/organization"
	"souk/gateway"
)

// ListAttachedGroupPoliciesInput asks for a page of the managed policies of a group.
type ListAttachedGroupPoliciesInput struct {
	GroupName  string  `required:"" len:"1,128" pattern:"[\\w+=,.@-]+"`
	PathPrefix *string `len:"1,512" pattern:"((/[A-Za-z0-9\\.,\\+@=_-]+)*)/"`
	Marker     *string `len:"1,2048"`
	MaxItems   *int    `range:"1,1000"`
}

// ListAttachedGroupPoliciesOutput is a page of policies.
type ListAttachedGroupPoliciesOutput struct {
	AttachedPolicies Members[AttachedPolicy]
	Truncation
}

// listAttachedGroupPolicies lists the managed policies that a group has.
//
// IAM API Reference, "ListAttachedGroupPolicies".
func (s *service) listAttachedGroupPolicies() gateway.Operation {
	return gateway.Op(gateway.Def[ListAttachedGroupPoliciesInput, *ListAttachedGroupPoliciesOutput]{
		Name: "ListAttachedGroupPolicies", ReadOnly: true,
		Authorize: on(s, "ListAttachedGroupPolicies", organization.OfGroup, func(in *ListAttachedGroupPoliciesInput) string { return in.GroupName }),
		Call: func(ctx context.Context, c *gateway.Caller, in *ListAttachedGroupPoliciesInput) (*ListAttachedGroupPoliciesOutput, error) {
			r := request{name: "ListAttachedGroupPolicies " + in.GroupName, marker: in.Marker, max: in.MaxItems, prefix: in.PathPrefix}
			p, err := s.page(c, r)
			if err != nil {
				return nil, err
			}
			policies, err := s.organization.Attached(ctx, organization.Holder{Kind: organization.OfGroup, Account: c.Principal.Account, Name: in.GroupName})
			if err != nil {
				return nil, err
			}
			policies = slices.DeleteFunc(policies, func(a organization.AttachedPolicy) bool { return !below(a.ARN, p.PathPrefix) })
			page := cut(policies, func(a organization.AttachedPolicy) string { return a.ARN }, p)
			return &ListAttachedGroupPoliciesOutput{shown(page.Items, shownAttached), s.truncation(c, r, page.Next)}, nil
		},
	})
}

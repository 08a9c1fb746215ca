package iam

import (
	"context"
	"slices"

	"souk/access/organization"
	"souk/gateway"
)

// ListAttachedUserPoliciesInput asks for a page of the managed policies of a user.
type ListAttachedUserPoliciesInput struct {
	UserName   string  `required:"" len:"1,128" pattern:"[\\w+=,.@-]+"`
	PathPrefix *string `len:"1,512" pattern:"((/[A-Za-z0-9\\.,\\+@=_-]+)*)/"`
	Marker     *string `len:"1,2048"`
	MaxItems   *int    `range:"1,1000"`
}

// ListAttachedUserPoliciesOutput is a page of policies.
type ListAttachedUserPoliciesOutput struct {
	AttachedPolicies Members[AttachedPolicy]
	Truncation
}

// listAttachedUserPolicies lists the managed policies that a user has.
//
// IAM API Reference, "ListAttachedUserPolicies".
func (s *service) listAttachedUserPolicies() gateway.Operation {
	return gateway.Op(gateway.Def[ListAttachedUserPoliciesInput, *ListAttachedUserPoliciesOutput]{
		Name: "ListAttachedUserPolicies", ReadOnly: true,
		Authorize: on(s, "ListAttachedUserPolicies", organization.OfUser, func(in *ListAttachedUserPoliciesInput) string { return in.UserName }),
		Call: func(ctx context.Context, c *gateway.Caller, in *ListAttachedUserPoliciesInput) (*ListAttachedUserPoliciesOutput, error) {
			r := request{name: "ListAttachedUserPolicies " + in.UserName, marker: in.Marker, max: in.MaxItems, prefix: in.PathPrefix}
			p, err := s.page(c, r)
			if err != nil {
				return nil, err
			}
			policies, err := s.organization.Attached(ctx, organization.Holder{Kind: organization.OfUser, Account: c.Principal.Account, Name: in.UserName})
			if err != nil {
				return nil, err
			}
			policies = slices.DeleteFunc(policies, func(a organization.AttachedPolicy) bool { return !below(a.ARN, p.PathPrefix) })
			page := cut(policies, func(a organization.AttachedPolicy) string { return a.ARN }, p)
			return &ListAttachedUserPoliciesOutput{shown(page.Items, shownAttached), s.truncation(c, r, page.Next)}, nil
		},
	})
}

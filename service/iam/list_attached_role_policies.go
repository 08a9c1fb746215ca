package iam

import (
	"context"
	"slices"

	"souk/access/organization"
	"souk/gateway"
)

// ListAttachedRolePoliciesInput asks for a page of the managed policies of a role.
type ListAttachedRolePoliciesInput struct {
	RoleName   string  `required:"" len:"1,64" pattern:"[\\w+=,.@-]+"`
	PathPrefix *string `len:"1,512" pattern:"((/[A-Za-z0-9\\.,\\+@=_-]+)*)/"`
	Marker     *string `len:"1,2048"`
	MaxItems   *int    `range:"1,1000"`
}

// ListAttachedRolePoliciesOutput is a page of policies.
type ListAttachedRolePoliciesOutput struct {
	AttachedPolicies Members[AttachedPolicy]
	Truncation
}

// listAttachedRolePolicies lists the managed policies that a role has.
//
// IAM API Reference, "ListAttachedRolePolicies".
func (s *service) listAttachedRolePolicies() gateway.Operation {
	return gateway.Op(gateway.Def[ListAttachedRolePoliciesInput, *ListAttachedRolePoliciesOutput]{
		Name: "ListAttachedRolePolicies", ReadOnly: true,
		Authorize: on(s, "ListAttachedRolePolicies", organization.OfRole, func(in *ListAttachedRolePoliciesInput) string { return in.RoleName }),
		Call: func(ctx context.Context, c *gateway.Caller, in *ListAttachedRolePoliciesInput) (*ListAttachedRolePoliciesOutput, error) {
			r := request{name: "ListAttachedRolePolicies " + in.RoleName, marker: in.Marker, max: in.MaxItems, prefix: in.PathPrefix}
			p, err := s.page(c, r)
			if err != nil {
				return nil, err
			}
			policies, err := s.organization.Attached(ctx, organization.Holder{Kind: organization.OfRole, Account: c.Principal.Account, Name: in.RoleName})
			if err != nil {
				return nil, err
			}
			policies = slices.DeleteFunc(policies, func(a organization.AttachedPolicy) bool { return !below(a.ARN, p.PathPrefix) })
			page := cut(policies, func(a organization.AttachedPolicy) string { return a.ARN }, p)
			return &ListAttachedRolePoliciesOutput{shown(page.Items, shownAttached), s.truncation(c, r, page.Next)}, nil
		},
	})
}

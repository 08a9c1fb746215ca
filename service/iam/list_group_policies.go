package iam

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// ListGroupPoliciesInput asks for a page of the inline policies of a group.
type ListGroupPoliciesInput struct {
	GroupName string  `required:"" len:"1,128" pattern:"[\\w+=,.@-]+"`
	Marker    *string `len:"1,2048"`
	MaxItems  *int    `range:"1,1000"`
}

// ListGroupPoliciesOutput is a page of names.
type ListGroupPoliciesOutput struct {
	PolicyNames Members[string]
	Truncation
}

// listGroupPolicies lists the names of the inline policies of a group.
//
// IAM API Reference, "ListGroupPolicies".
func (s *service) listGroupPolicies() gateway.Operation {
	return gateway.Op(gateway.Def[ListGroupPoliciesInput, *ListGroupPoliciesOutput]{
		Name: "ListGroupPolicies", ReadOnly: true,
		Authorize: on(s, "ListGroupPolicies", organization.OfGroup, func(in *ListGroupPoliciesInput) string { return in.GroupName }),
		Call: func(ctx context.Context, c *gateway.Caller, in *ListGroupPoliciesInput) (*ListGroupPoliciesOutput, error) {
			r := request{name: "ListGroupPolicies " + in.GroupName, marker: in.Marker, max: in.MaxItems}
			p, err := s.page(c, r)
			if err != nil {
				return nil, err
			}
			policies, err := s.organization.InlinePolicies(ctx, organization.Holder{Kind: organization.OfGroup, Account: c.Principal.Account, Name: in.GroupName})
			if err != nil {
				return nil, err
			}
			name := func(p organization.Policy) string { return p.Name }
			page := cut(policies, name, p)
			return &ListGroupPoliciesOutput{shown(page.Items, name), s.truncation(c, r, page.Next)}, nil
		},
	})
}

package iam

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// ListUserPoliciesInput asks for a page of the inline policies of a user.
type ListUserPoliciesInput struct {
	UserName string  `required:"" len:"1,128" pattern:"[\\w+=,.@-]+"`
	Marker   *string `len:"1,2048"`
	MaxItems *int    `range:"1,1000"`
}

// ListUserPoliciesOutput is a page of names.
type ListUserPoliciesOutput struct {
	PolicyNames Members[string]
	Truncation
}

// listUserPolicies lists the names of the inline policies of a user.
//
// IAM API Reference, "ListUserPolicies".
func (s *service) listUserPolicies() gateway.Operation {
	return gateway.Op(gateway.Def[ListUserPoliciesInput, *ListUserPoliciesOutput]{
		Name: "ListUserPolicies", ReadOnly: true,
		Authorize: on(s, "ListUserPolicies", organization.OfUser, func(in *ListUserPoliciesInput) string { return in.UserName }),
		Call: func(ctx context.Context, c *gateway.Caller, in *ListUserPoliciesInput) (*ListUserPoliciesOutput, error) {
			r := request{name: "ListUserPolicies " + in.UserName, marker: in.Marker, max: in.MaxItems}
			p, err := s.page(c, r)
			if err != nil {
				return nil, err
			}
			policies, err := s.organization.InlinePolicies(ctx, organization.Holder{Kind: organization.OfUser, Account: c.Principal.Account, Name: in.UserName})
			if err != nil {
				return nil, err
			}
			name := func(p organization.Policy) string { return p.Name }
			page := cut(policies, name, p)
			return &ListUserPoliciesOutput{shown(page.Items, name), s.truncation(c, r, page.Next)}, nil
		},
	})
}

package iam

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// ListRolePoliciesInput asks for a page of the inline policies of a role.
type ListRolePoliciesInput struct {
	RoleName string  `required:"" len:"1,64" pattern:"[\\w+=,.@-]+"`
	Marker   *string `len:"1,2048"`
	MaxItems *int    `range:"1,1000"`
}

// ListRolePoliciesOutput is a page of names.
type ListRolePoliciesOutput struct {
	PolicyNames Members[string]
	Truncation
}

// listRolePolicies lists the names of the inline policies of a role.
//
// IAM API Reference, "ListRolePolicies".
func (s *service) listRolePolicies() gateway.Operation {
	return gateway.Op(gateway.Def[ListRolePoliciesInput, *ListRolePoliciesOutput]{
		Name: "ListRolePolicies", ReadOnly: true,
		Authorize: on(s, "ListRolePolicies", organization.OfRole, func(in *ListRolePoliciesInput) string { return in.RoleName }),
		Call: func(ctx context.Context, c *gateway.Caller, in *ListRolePoliciesInput) (*ListRolePoliciesOutput, error) {
			r := request{name: "ListRolePolicies " + in.RoleName, marker: in.Marker, max: in.MaxItems}
			p, err := s.page(c, r)
			if err != nil {
				return nil, err
			}
			policies, err := s.organization.InlinePolicies(ctx, organization.Holder{Kind: organization.OfRole, Account: c.Principal.Account, Name: in.RoleName})
			if err != nil {
				return nil, err
			}
			name := func(p organization.Policy) string { return p.Name }
			page := cut(policies, name, p)
			return &ListRolePoliciesOutput{shown(page.Items, name), s.truncation(c, r, page.Next)}, nil
		},
	})
}

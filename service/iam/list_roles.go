package iam

import (
	"context"

	"souk/gateway"
)

// ListRolesInput asks for a page of the roles below a path.
type ListRolesInput struct {
	PathPrefix *string `len:"1,512" pattern:"\\x2F[\\x21-\\x7F]*"`
	Marker     *string `len:"1,2048"`
	MaxItems   *int    `range:"1,1000"`
}

// ListRolesOutput is a page of roles.
type ListRolesOutput struct {
	Roles Members[Role]
	Truncation
}

// listRoles lists the account's roles, by name.
//
// IAM API Reference, "ListRoles".
func (s *service) listRoles() gateway.Operation {
	return gateway.Op(gateway.Def[ListRolesInput, *ListRolesOutput]{
		Name: "ListRoles", ReadOnly: true,
		Authorize: all[ListRolesInput]("ListRoles"),
		Call: func(ctx context.Context, c *gateway.Caller, in *ListRolesInput) (*ListRolesOutput, error) {
			r := request{name: "ListRoles", marker: in.Marker, max: in.MaxItems, prefix: in.PathPrefix}
			p, err := s.page(c, r)
			if err != nil {
				return nil, err
			}
			page, err := s.organization.Roles(ctx, c.Principal.Account, p)
			if err != nil {
				return nil, err
			}
			return &ListRolesOutput{shown(page.Items, shownRole), s.truncation(c, r, page.Next)}, nil
		},
	})
}

package iam

import (
	"context"

	"souk/gateway"
)

// ListUsersInput asks for a page of the users below a path.
type ListUsersInput struct {
	PathPrefix *string `len:"1,512" pattern:"\\x2F[\\x21-\\x7F]*"`
	Marker     *string `len:"1,2048"`
	MaxItems   *int    `range:"1,1000"`
}

// ListUsersOutput is a page of users.
type ListUsersOutput struct {
	Users Members[User]
	Truncation
}

// listUsers lists the account's users, by name.
//
// IAM API Reference, "ListUsers".
func (s *service) listUsers() gateway.Operation {
	return gateway.Op(gateway.Def[ListUsersInput, *ListUsersOutput]{
		Name: "ListUsers", ReadOnly: true,
		Authorize: all[ListUsersInput]("ListUsers"),
		Call: func(ctx context.Context, c *gateway.Caller, in *ListUsersInput) (*ListUsersOutput, error) {
			r := request{name: "ListUsers", marker: in.Marker, max: in.MaxItems, prefix: in.PathPrefix}
			p, err := s.page(c, r)
			if err != nil {
				return nil, err
			}
			page, err := s.organization.UserPage(ctx, c.Principal.Account, p)
			if err != nil {
				return nil, err
			}
			return &ListUsersOutput{shown(page.Items, shownUser), s.truncation(c, r, page.Next)}, nil
		},
	})
}

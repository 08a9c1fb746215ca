package iam

import (
	"context"

	"souk/gateway"
)

// ListGroupsInput asks for a page of the groups below a path.
type ListGroupsInput struct {
	PathPrefix *string `len:"1,512" pattern:"\\x2F[\\x21-\\x7F]*"`
	Marker     *string `len:"1,2048"`
	MaxItems   *int    `range:"1,1000"`
}

// ListGroupsOutput is a page of groups.
type ListGroupsOutput struct {
	Groups Members[Group]
	Truncation
}

// listGroups lists the account's groups, by name.
//
// IAM API Reference, "ListGroups".
func (s *service) listGroups() gateway.Operation {
	return gateway.Op(gateway.Def[ListGroupsInput, *ListGroupsOutput]{
		Name: "ListGroups", ReadOnly: true,
		Authorize: all[ListGroupsInput]("ListGroups"),
		Call: func(ctx context.Context, c *gateway.Caller, in *ListGroupsInput) (*ListGroupsOutput, error) {
			r := request{name: "ListGroups", marker: in.Marker, max: in.MaxItems, prefix: in.PathPrefix}
			p, err := s.page(c, r)
			if err != nil {
				return nil, err
			}
			page, err := s.organization.Groups(ctx, c.Principal.Account, p)
			if err != nil {
				return nil, err
			}
			return &ListGroupsOutput{shown(page.Items, shownGroup), s.truncation(c, r, page.Next)}, nil
		},
	})
}

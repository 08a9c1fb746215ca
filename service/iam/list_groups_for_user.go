package iam

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// ListGroupsForUserInput asks for a page of the groups of a user.
type ListGroupsForUserInput struct {
	UserName string  `required:"" len:"1,128" pattern:"[\\w+=,.@-]+"`
	Marker   *string `len:"1,2048"`
	MaxItems *int    `range:"1,1000"`
}

// ListGroupsForUserOutput is a page of groups.
type ListGroupsForUserOutput struct {
	Groups Members[Group]
	Truncation
}

// listGroupsForUser lists the groups that a user is in.
//
// IAM API Reference, "ListGroupsForUser".
func (s *service) listGroupsForUser() gateway.Operation {
	return gateway.Op(gateway.Def[ListGroupsForUserInput, *ListGroupsForUserOutput]{
		Name: "ListGroupsForUser", ReadOnly: true,
		Authorize: on(s, "ListGroupsForUser", organization.OfUser, func(in *ListGroupsForUserInput) string { return in.UserName }),
		Call: func(ctx context.Context, c *gateway.Caller, in *ListGroupsForUserInput) (*ListGroupsForUserOutput, error) {
			r := request{name: "ListGroupsForUser " + in.UserName, marker: in.Marker, max: in.MaxItems}
			p, err := s.page(c, r)
			if err != nil {
				return nil, err
			}
			groups, err := s.organization.GroupsOf(ctx, c.Principal.Account, in.UserName)
			if err != nil {
				return nil, err
			}
			page := cut(groups, func(g organization.Group) string { return g.Name }, p)
			return &ListGroupsForUserOutput{shown(page.Items, shownGroup), s.truncation(c, r, page.Next)}, nil
		},
	})
}

package iam

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// GetGroupInput asks for a group and a page of its users.
type GetGroupInput struct {
	GroupName string  `required:"" len:"1,128" pattern:"[\\w+=,.@-]+"`
	Marker    *string `len:"1,2048"`
	MaxItems  *int    `range:"1,1000"`
}

// GetGroupOutput is the group and a page of its users.
type GetGroupOutput struct {
	Group Group
	Users Members[User]
	Truncation
}

// getGroup shows a group and its users.
//
// IAM API Reference, "GetGroup".
func (s *service) getGroup() gateway.Operation {
	return gateway.Op(gateway.Def[GetGroupInput, *GetGroupOutput]{
		Name: "GetGroup", ReadOnly: true,
		Authorize: on(s, "GetGroup", organization.OfGroup, func(in *GetGroupInput) string { return in.GroupName }),
		Call: func(ctx context.Context, c *gateway.Caller, in *GetGroupInput) (*GetGroupOutput, error) {
			r := request{name: "GetGroup " + in.GroupName, marker: in.Marker, max: in.MaxItems}
			p, err := s.page(c, r)
			if err != nil {
				return nil, err
			}
			g, err := s.organization.Group(ctx, c.Principal.Account, in.GroupName)
			if err != nil {
				return nil, err
			}
			page, err := s.organization.Members(ctx, c.Principal.Account, in.GroupName, p)
			if err != nil {
				return nil, err
			}
			return &GetGroupOutput{shownGroup(g), shown(page.Items, shownUser), s.truncation(c, r, page.Next)}, nil
		},
	})
}

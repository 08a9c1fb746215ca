package iam

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// ListRoleTagsInput asks for a page of the tags of a role.
type ListRoleTagsInput struct {
	RoleName string  `required:"" len:"1,64" pattern:"[\\w+=,.@-]+"`
	Marker   *string `len:"1,2048"`
	MaxItems *int    `range:"1,1000"`
}

// ListRoleTagsOutput is a page of tags.
type ListRoleTagsOutput struct {
	Tags Members[Tag]
	Truncation
}

// listRoleTags lists the tags of a role, by key.
//
// IAM API Reference, "ListRoleTags".
func (s *service) listRoleTags() gateway.Operation {
	return gateway.Op(gateway.Def[ListRoleTagsInput, *ListRoleTagsOutput]{
		Name: "ListRoleTags", ReadOnly: true,
		Authorize: on(s, "ListRoleTags", organization.OfRole, func(in *ListRoleTagsInput) string { return in.RoleName }),
		Call: func(ctx context.Context, c *gateway.Caller, in *ListRoleTagsInput) (*ListRoleTagsOutput, error) {
			r := request{name: "ListRoleTags " + in.RoleName, marker: in.Marker, max: in.MaxItems}
			p, err := s.page(c, r)
			if err != nil {
				return nil, err
			}
			role, err := s.organization.Role(ctx, c.Principal.Account, in.RoleName)
			if err != nil {
				return nil, err
			}
			page := cut(tagList(role.Tags), func(t Tag) string { return t.Key }, p)
			return &ListRoleTagsOutput{Members[Tag]{page.Items}, s.truncation(c, r, page.Next)}, nil
		},
	})
}

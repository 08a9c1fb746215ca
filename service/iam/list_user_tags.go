package iam

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// ListUserTagsInput asks for a page of the tags of a user.
type ListUserTagsInput struct {
	UserName string  `required:"" len:"1,128" pattern:"[\\w+=,.@-]+"`
	Marker   *string `len:"1,2048"`
	MaxItems *int    `range:"1,1000"`
}

// ListUserTagsOutput is a page of tags.
type ListUserTagsOutput struct {
	Tags Members[Tag]
	Truncation
}

// listUserTags lists the tags of a user, by key.
//
// IAM API Reference, "ListUserTags".
func (s *service) listUserTags() gateway.Operation {
	return gateway.Op(gateway.Def[ListUserTagsInput, *ListUserTagsOutput]{
		Name: "ListUserTags", ReadOnly: true,
		Authorize: on(s, "ListUserTags", organization.OfUser, func(in *ListUserTagsInput) string { return in.UserName }),
		Call: func(ctx context.Context, c *gateway.Caller, in *ListUserTagsInput) (*ListUserTagsOutput, error) {
			r := request{name: "ListUserTags " + in.UserName, marker: in.Marker, max: in.MaxItems}
			p, err := s.page(c, r)
			if err != nil {
				return nil, err
			}
			user, err := s.organization.User(ctx, c.Principal.Account, in.UserName)
			if err != nil {
				return nil, err
			}
			page := cut(tagList(user.Tags), func(t Tag) string { return t.Key }, p)
			return &ListUserTagsOutput{Members[Tag]{page.Items}, s.truncation(c, r, page.Next)}, nil
		},
	})
}

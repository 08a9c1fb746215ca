package iam

import (
	"context"

	"souk/access/iam"
	"souk/access/organization"
	"souk/gateway"
)

// TagUserInput says which tags a user gets.
type TagUserInput struct {
	UserName string `required:"" len:"1,128" pattern:"[\\w+=,.@-]+"`
	Tags     []Tag  `required:"" size:"0,50"`
}

// tagUser gives a user tags, in the place of those with the same keys.
//
// IAM API Reference, "TagUser".
func (s *service) tagUser() gateway.Operation {
	return gateway.Op(gateway.Def[TagUserInput, gateway.Raw]{
		Name: "TagUser",
		Authorize: with(on(s, "TagUser", organization.OfUser, func(in *TagUserInput) string { return in.UserName }),
			func(in *TagUserInput) iam.Context { return tagKeys(in.Tags) }),
		Call: func(ctx context.Context, c *gateway.Caller, in *TagUserInput) (gateway.Raw, error) {
			tags, err := tagMap(in.Tags)
			if err == nil {
				_, err = s.organization.UpdateUser(ctx, c.Principal.Account, in.UserName, organization.UserUpdate{SetTags: tags})
			}
			return nil, err
		},
	})
}

package iam

import (
	"context"

	"souk/access/iam"
	"souk/access/organization"
	"souk/gateway"
)

// TagRoleInput says which tags a role gets.
type TagRoleInput struct {
	RoleName string `required:"" len:"1,64" pattern:"[\\w+=,.@-]+"`
	Tags     []Tag  `required:"" size:"0,50"`
}

// tagRole gives a role tags, in the place of those with the same keys.
//
// IAM API Reference, "TagRole".
func (s *service) tagRole() gateway.Operation {
	return gateway.Op(gateway.Def[TagRoleInput, gateway.Raw]{
		Name: "TagRole",
		Authorize: with(on(s, "TagRole", organization.OfRole, func(in *TagRoleInput) string { return in.RoleName }),
			func(in *TagRoleInput) iam.Context { return tagKeys(in.Tags) }),
		Call: func(ctx context.Context, c *gateway.Caller, in *TagRoleInput) (gateway.Raw, error) {
			tags, err := tagMap(in.Tags)
			if err == nil {
				_, err = s.organization.UpdateRole(ctx, c.Principal.Account, in.RoleName, organization.RoleUpdate{SetTags: tags})
			}
			return nil, err
		},
	})
}

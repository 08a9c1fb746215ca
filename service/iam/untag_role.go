package iam

import (
	"context"

	"souk/access/iam"
	"souk/access/organization"
	"souk/gateway"
)

// UntagRoleInput says which tags are taken from a role.
type UntagRoleInput struct {
	RoleName string   `required:"" len:"1,64" pattern:"[\\w+=,.@-]+"`
	TagKeys  []string `required:"" size:"0,50" memberlen:"1,128"`
}

// untagRole takes tags from a role.
//
// IAM API Reference, "UntagRole".
func (s *service) untagRole() gateway.Operation {
	return gateway.Op(gateway.Def[UntagRoleInput, gateway.Raw]{
		Name: "UntagRole",
		Authorize: with(on(s, "UntagRole", organization.OfRole, func(in *UntagRoleInput) string { return in.RoleName }),
			func(in *UntagRoleInput) iam.Context { return iam.Context{"aws:tagkeys": in.TagKeys} }),
		Call: func(ctx context.Context, c *gateway.Caller, in *UntagRoleInput) (gateway.Raw, error) {
			_, err := s.organization.UpdateRole(ctx, c.Principal.Account, in.RoleName, organization.RoleUpdate{RemoveTags: in.TagKeys})
			return nil, err
		},
	})
}

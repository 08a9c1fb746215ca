package iam

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// DeleteRoleInput names a role.
type DeleteRoleInput struct {
	RoleName string `required:"" len:"1,64" pattern:"[\\w+=,.@-]+"`
}

// deleteRole deletes a role that has no policies.
//
// IAM API Reference, "DeleteRole".
func (s *service) deleteRole() gateway.Operation {
	return gateway.Op(gateway.Def[DeleteRoleInput, gateway.Raw]{
		Name:      "DeleteRole",
		Authorize: on(s, "DeleteRole", organization.OfRole, func(in *DeleteRoleInput) string { return in.RoleName }),
		Call: func(ctx context.Context, c *gateway.Caller, in *DeleteRoleInput) (gateway.Raw, error) {
			return nil, s.organization.DeleteRole(ctx, c.Principal.Account, in.RoleName)
		},
	})
}

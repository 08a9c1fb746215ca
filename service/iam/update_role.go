package iam

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// UpdateRoleInput says what of a role is changed.
type UpdateRoleInput struct {
	RoleName           string  `required:"" len:"1,64" pattern:"[\\w+=,.@-]+"`
	Description        *string `len:"0,1000"`
	MaxSessionDuration *int    `range:"3600,43200"`
}

// UpdateRoleOutput has no members.
type UpdateRoleOutput struct{}

// updateRole changes the description and the longest session of a role.
//
// IAM API Reference, "UpdateRole".
func (s *service) updateRole() gateway.Operation {
	return gateway.Op(gateway.Def[UpdateRoleInput, *UpdateRoleOutput]{
		Name:      "UpdateRole",
		Authorize: on(s, "UpdateRole", organization.OfRole, func(in *UpdateRoleInput) string { return in.RoleName }),
		Call: func(ctx context.Context, c *gateway.Caller, in *UpdateRoleInput) (*UpdateRoleOutput, error) {
			_, err := s.organization.UpdateRole(ctx, c.Principal.Account, in.RoleName, organization.RoleUpdate{Description: in.Description, MaxSession: in.MaxSessionDuration})
			return &UpdateRoleOutput{}, err
		},
	})
}

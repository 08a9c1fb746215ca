package iam

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// GetRoleInput names a role.
type GetRoleInput struct {
	RoleName string `required:"" len:"1,64" pattern:"[\\w+=,.@-]+"`
}

// GetRoleOutput is the role.
type GetRoleOutput struct{ Role Role }

// getRole shows a role.
//
// IAM API Reference, "GetRole".
func (s *service) getRole() gateway.Operation {
	return gateway.Op(gateway.Def[GetRoleInput, *GetRoleOutput]{
		Name: "GetRole", ReadOnly: true,
		Authorize: on(s, "GetRole", organization.OfRole, func(in *GetRoleInput) string { return in.RoleName }),
		Call: func(ctx context.Context, c *gateway.Caller, in *GetRoleInput) (*GetRoleOutput, error) {
			r, err := s.organization.Role(ctx, c.Principal.Account, in.RoleName)
			if err != nil {
				return nil, err
			}
			out := &GetRoleOutput{shownRole(r)}
			out.Role.Tags = shownTags(r.Tags)
			return out, nil
		},
	})
}

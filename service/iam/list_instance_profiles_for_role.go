package iam

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// ListInstanceProfilesForRoleInput names a role.
type ListInstanceProfilesForRoleInput struct {
	RoleName string  `required:"" len:"1,64" pattern:"[\\w+=,.@-]+"`
	Marker   *string `len:"1,2048"`
	MaxItems *int    `range:"1,1000"`
}

// ListInstanceProfilesForRoleOutput is the empty list.
type ListInstanceProfilesForRoleOutput struct {
	InstanceProfiles Members[string]
	Truncation
}

// listInstanceProfilesForRole answers that a role has no instance profiles: there are none.
//
// IAM API Reference, "ListInstanceProfilesForRole".
func (s *service) listInstanceProfilesForRole() gateway.Operation {
	return gateway.Op(gateway.Def[ListInstanceProfilesForRoleInput, *ListInstanceProfilesForRoleOutput]{
		Name: "ListInstanceProfilesForRole", ReadOnly: true,
		Authorize: on(s, "ListInstanceProfilesForRole", organization.OfRole, func(in *ListInstanceProfilesForRoleInput) string { return in.RoleName }),
		Call: func(ctx context.Context, c *gateway.Caller, in *ListInstanceProfilesForRoleInput) (*ListInstanceProfilesForRoleOutput, error) {
			_, err := s.organization.Role(ctx, c.Principal.Account, in.RoleName)
			return &ListInstanceProfilesForRoleOutput{}, err
		},
	})
}

package organizations

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// UpdateOrganizationalUnitInput names a unit, and says its new name.
type UpdateOrganizationalUnitInput struct {
	OrganizationalUnitId string  `required:"" len:"0,68" pattern:"^ou-[0-9a-z]{4,32}-[a-z0-9]{8,32}$"`
	Name                 *string `len:"1,128"`
}

// UpdateOrganizationalUnitOutput is the unit as it is then.
type UpdateOrganizationalUnitOutput struct{ OrganizationalUnit OrganizationalUnit }

// updateOrganizationalUnit renames a unit. Without a name nothing is changed.
//
// AWS Organizations API Reference, "UpdateOrganizationalUnit".
func (s *service) updateOrganizationalUnit() gateway.Operation {
	return gateway.Op(gateway.Def[UpdateOrganizationalUnitInput, *UpdateOrganizationalUnitOutput]{
		Name:      "UpdateOrganizationalUnit",
		Authorize: about(s, "UpdateOrganizationalUnit", func(in *UpdateOrganizationalUnitInput) []string { return []string{in.OrganizationalUnitId} }),
		Call: managed(s, func(ctx context.Context, info organization.Info, in *UpdateOrganizationalUnitInput) (*UpdateOrganizationalUnitOutput, error) {
			u, err := s.organization.Unit(ctx, in.OrganizationalUnitId)
			if err == nil && in.Name != nil {
				u, err = s.organization.RenameUnit(ctx, u.ID, *in.Name)
			}
			if err != nil {
				return nil, err
			}
			return &UpdateOrganizationalUnitOutput{shownUnit(info, u)}, nil
		}),
	})
}

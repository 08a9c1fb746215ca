package organizations

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// DeleteOrganizationalUnitInput names a unit.
type DeleteOrganizationalUnitInput struct {
	OrganizationalUnitId string `required:"" len:"0,68" pattern:"^ou-[0-9a-z]{4,32}-[a-z0-9]{8,32}$"`
}

// deleteOrganizationalUnit deletes a unit that has neither accounts nor units.
//
// AWS Organizations API Reference, "DeleteOrganizationalUnit".
func (s *service) deleteOrganizationalUnit() gateway.Operation {
	return gateway.Op(gateway.Def[DeleteOrganizationalUnitInput, gateway.Raw]{
		Name:      "DeleteOrganizationalUnit",
		Authorize: about(s, "DeleteOrganizationalUnit", func(in *DeleteOrganizationalUnitInput) []string { return []string{in.OrganizationalUnitId} }),
		Call: managed(s, func(ctx context.Context, _ organization.Info, in *DeleteOrganizationalUnitInput) (gateway.Raw, error) {
			return gateway.Raw("{}"), s.organization.DeleteUnit(ctx, in.OrganizationalUnitId)
		}),
	})
}

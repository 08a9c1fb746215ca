package organizations

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// CreateOrganizationalUnitInput asks for a unit.
type CreateOrganizationalUnitInput struct {
	ParentId string `required:"" len:"0,100" pattern:"^(r-[0-9a-z]{4,32})|(ou-[0-9a-z]{4,32}-[a-z0-9]{8,32})$"`
	Name     string `required:"" len:"1,128"`
	Tags     []Tag
}

// CreateOrganizationalUnitOutput is the new unit.
type CreateOrganizationalUnitOutput struct{ OrganizationalUnit OrganizationalUnit }

// createOrganizationalUnit makes a unit in the root or in another unit.
//
// AWS Organizations API Reference, "CreateOrganizationalUnit".
func (s *service) createOrganizationalUnit() gateway.Operation {
	return gateway.Op(gateway.Def[CreateOrganizationalUnitInput, *CreateOrganizationalUnitOutput]{
		Name: "CreateOrganizationalUnit",
		Authorize: tagged(about(s, "CreateOrganizationalUnit", func(in *CreateOrganizationalUnitInput) []string { return []string{in.ParentId} }),
			func(in *CreateOrganizationalUnitInput) []Tag { return in.Tags }),
		Call: managed(s, func(ctx context.Context, info organization.Info, in *CreateOrganizationalUnitInput) (*CreateOrganizationalUnitOutput, error) {
			tags, err := tagMap(in.Tags)
			if err != nil {
				return nil, err
			}
			u, err := s.organization.CreateUnit(ctx, in.ParentId, in.Name, tags)
			if err != nil {
				return nil, err
			}
			return &CreateOrganizationalUnitOutput{shownUnit(info, u)}, nil
		}),
	})
}

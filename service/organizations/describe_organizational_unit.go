package organizations

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// DescribeOrganizationalUnitInput names a unit.
type DescribeOrganizationalUnitInput struct {
	OrganizationalUnitId string `required:"" len:"0,68" pattern:"^ou-[0-9a-z]{4,32}-[a-z0-9]{8,32}$"`
}

// DescribeOrganizationalUnitOutput is the unit.
type DescribeOrganizationalUnitOutput struct{ OrganizationalUnit OrganizationalUnit }

// describeOrganizationalUnit describes a unit.
//
// AWS Organizations API Reference, "DescribeOrganizationalUnit".
func (s *service) describeOrganizationalUnit() gateway.Operation {
	return gateway.Op(gateway.Def[DescribeOrganizationalUnitInput, *DescribeOrganizationalUnitOutput]{
		Name: "DescribeOrganizationalUnit", ReadOnly: true,
		Authorize: about(s, "DescribeOrganizationalUnit", func(in *DescribeOrganizationalUnitInput) []string { return []string{in.OrganizationalUnitId} }),
		Call: managed(s, func(ctx context.Context, info organization.Info, in *DescribeOrganizationalUnitInput) (*DescribeOrganizationalUnitOutput, error) {
			u, err := s.organization.Unit(ctx, in.OrganizationalUnitId)
			if err != nil {
				return nil, err
			}
			return &DescribeOrganizationalUnitOutput{shownUnit(info, u)}, nil
		}),
	})
}

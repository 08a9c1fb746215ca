package organizations

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// ListOrganizationalUnitsForParentInput asks for a page of the units in a parent.
type ListOrganizationalUnitsForParentInput struct {
	ParentId   string  `required:"" len:"0,100" pattern:"^(r-[0-9a-z]{4,32})|(ou-[0-9a-z]{4,32}-[a-z0-9]{8,32})$"`
	NextToken  *string `len:"0,100000"`
	MaxResults *int    `range:"1,20"`
}

// ListOrganizationalUnitsForParentOutput is a page of units.
type ListOrganizationalUnitsForParentOutput struct {
	OrganizationalUnits []OrganizationalUnit
	NextToken           string `json:",omitzero"`
}

// listOrganizationalUnitsForParent lists the units in the root or a unit itself.
//
// AWS Organizations API Reference, "ListOrganizationalUnitsForParent".
func (s *service) listOrganizationalUnitsForParent() gateway.Operation {
	return gateway.Op(gateway.Def[ListOrganizationalUnitsForParentInput, *ListOrganizationalUnitsForParentOutput]{
		Name: "ListOrganizationalUnitsForParent", ReadOnly: true,
		Authorize: about(s, "ListOrganizationalUnitsForParent", func(in *ListOrganizationalUnitsForParentInput) []string { return []string{in.ParentId} }),
		Call: managed(s, func(ctx context.Context, info organization.Info, in *ListOrganizationalUnitsForParentInput) (*ListOrganizationalUnitsForParentOutput, error) {
			found, next, err := s.organization.UnitsIn(ctx, in.ParentId, page(in.MaxResults, in.NextToken))
			if err != nil {
				return nil, err
			}
			out := &ListOrganizationalUnitsForParentOutput{OrganizationalUnits: make([]OrganizationalUnit, len(found)), NextToken: next}
			for i, u := range found {
				out.OrganizationalUnits[i] = shownUnit(info, u)
			}
			return out, nil
		}),
	})
}

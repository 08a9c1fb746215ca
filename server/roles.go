package server

import (
	"context"

	"souk/access/organization"
	"souk/catalog/change"
)

// ingestion is the service whom sellers' roles trust (Seller Guide, "Giving AWS
// Marketplace access to your AMI").
const ingestion = "assets.marketplace.amazonaws.com"

// roles are the roles of sellers as change types see them.
type roles struct{ organization *organization.Organization }

var _ change.Roles = roles{}

// May implements change.Roles.
func (r roles) May(ctx context.Context, s change.Seller, arn, action, resource string) (there, allowed bool, err error) {
	return r.organization.RoleAllows(ctx, s.Account, arn, ingestion, action, resource)
}

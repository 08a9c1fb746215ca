package server

import (
	"context"

	"souk/access/organization"
	"souk/catalog/change"
)

// members is the organisation as change types see it.
type members struct{ organization *organization.Organization }

var _ change.Organization = members{}

// Management implements change.Organization.
func (m members) Management(ctx context.Context) (string, error) {
	info, err := m.organization.Info(ctx)
	return info.Management, err
}

// Has implements change.Organization.
func (m members) Has(ctx context.Context, principal string) (bool, error) {
	return m.organization.Contains(ctx, principal)
}

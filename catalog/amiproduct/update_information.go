package amiproduct

import (
	"context"

	"souk/catalog/change"
	"souk/catalog/product"
)

// UpdateInformation changes what buyers read about an AMI product.
//
// Catalog API Reference, "Updating product details for an AMI-based product".
// All products have the same fields and rules, in the same file of
// catalog/product.
type UpdateInformation struct{ product.UpdateInformation }

// Check states the page's errors.
func (u *UpdateInformation) Check(p *Product, c *change.Checks) {
	u.UpdateInformation.Check(&p.Facets, c)
}

// Probe copies the logo.
func (u *UpdateInformation) Probe(ctx context.Context, p *Product, c *change.Checks) error {
	return u.UpdateInformation.Probe(ctx, &p.Facets, c)
}

// Apply writes what was given.
func (u *UpdateInformation) Apply(p *Product, a *change.Applying) {
	u.UpdateInformation.Apply(&p.Facets, a)
}

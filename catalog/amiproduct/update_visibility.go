package amiproduct

import (
	"context"

	"souk/catalog/change"
	"souk/catalog/product"
)

// UpdateVisibility leads a released AMI product from one state to another.
// "Use UpdateVisibility separately in its own change set."
//
// Work with seller products, "Update product visibility".
type UpdateVisibility struct{ product.UpdateVisibility }

// Check states the page's errors. There is something to start: a product is
// released with a version, and its last one can't be restricted.
func (u *UpdateVisibility) Check(p *Product, c *change.Checks) {
	u.UpdateVisibility.Check(&p.Facets, c)
}

// Probe looks the replacement up.
func (u *UpdateVisibility) Probe(ctx context.Context, p *Product, c *change.Checks) error {
	return u.UpdateVisibility.Probe(ctx, &p.Facets, c)
}

// Apply moves the product to its new state.
func (u *UpdateVisibility) Apply(p *Product, a *change.Applying) {
	u.UpdateVisibility.Apply(&p.Facets, a)
}

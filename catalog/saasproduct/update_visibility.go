package saasproduct

import (
	"context"

	"souk/catalog/change"
	"souk/catalog/product"
)

// UpdateVisibility leads a released SaaS product from one state to another.
// "Use UpdateVisibility separately in its own change set."
//
// Work with seller products, "Update product visibility". A product that was
// released has a public delivery option and keeps one, so that the review, which
// is Souk's own and takes no time, has nothing to add.
type UpdateVisibility struct{ product.UpdateVisibility }

// Check states the page's errors.
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

package containerproduct

import (
	"context"
	"maps"
	"slices"

	"souk/catalog/change"
	"souk/catalog/product"
)

// UpdateVisibility leads a released container product from one state to another.
// "Use UpdateVisibility separately in its own change set."
//
// Work with seller products, "Update product visibility".
type UpdateVisibility struct{ product.UpdateVisibility }

// Check adds to the rules of all products what a review would find in this one:
// nothing to get. The review is Souk's own and takes no time.
func (u *UpdateVisibility) Check(p *Product, c *change.Checks) {
	u.UpdateVisibility.Check(&p.Facets, c)
	public := slices.Contains(slices.Collect(maps.Values(p.visibilities())), product.Public)
	c.Refuse(u.TargetVisibility == product.Public && !public, "AUDIT_ERROR", "Add a version with a public delivery option before the product becomes public.")
}

// Probe looks the replacement up.
func (u *UpdateVisibility) Probe(ctx context.Context, p *Product, c *change.Checks) error {
	return u.UpdateVisibility.Probe(ctx, &p.Facets, c)
}

// Apply moves the product to its new state.
func (u *UpdateVisibility) Apply(p *Product, a *change.Applying) {
	u.UpdateVisibility.Apply(&p.Facets, a)
}

package saasproduct

import (
	"context"
	"slices"

	"souk/catalog/change"
	"souk/catalog/product"
)

// ReleaseProduct publishes a SaaS product from Draft to Limited, together with
// the public offer that was drafted for it.
//
// Work with seller products, "Publish a product".
type ReleaseProduct struct{ product.ReleaseProduct }

// Check lists what is missing.
func (r *ReleaseProduct) Check(p *Product, c *change.Checks) {
	r.ReleaseProduct.Check(&p.Facets, c)
	c.Refuse(!p.public(), "VALIDATION_FAILED", "Provide Versions information.")
	priced := slices.ContainsFunc(p.Dimensions, func(d product.Dimension) bool { return d.Offers() })
	c.Refuse(!priced, "VALIDATION_FAILED", "Provide Dimensions information.")
}

// Probe looks for the offer's release in the same set.
func (r *ReleaseProduct) Probe(ctx context.Context, p *Product, c *change.Checks) error {
	if p.Description.Visibility != product.Draft {
		return nil // it was released before, which Check says
	}
	return product.ReleasedWithOffer(ctx, c)
}

// ProbesAlways tells of a missing offer together with all that is missing.
func (*ReleaseProduct) ProbesAlways() {}

// Apply makes the product Limited.
func (r *ReleaseProduct) Apply(p *Product, a *change.Applying) { r.ReleaseProduct.Apply(&p.Facets, a) }

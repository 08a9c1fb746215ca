package containerproduct

import (
	"souk/catalog/change"
	"souk/catalog/product"
)

// ReleaseProduct publishes a container product from Draft to Limited. It needs
// no version yet: AWS's own samples release products without one.
//
// Work with seller products, "Publish a product".
type ReleaseProduct struct{ product.ReleaseProduct }

// Check lists what is missing.
func (r *ReleaseProduct) Check(p *Product, c *change.Checks) { r.ReleaseProduct.Check(&p.Facets, c) }

// Apply makes the product Limited.
func (r *ReleaseProduct) Apply(p *Product, a *change.Applying) { r.ReleaseProduct.Apply(&p.Facets, a) }

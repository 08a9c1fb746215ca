package amiproduct

import (
	"souk/catalog/change"
	"souk/catalog/product"
)

// RestrictDimensions closes dimensions to new subscribers.
//
// Work with seller products. All products have the same fields and rules, in
// the same file of catalog/product.
type RestrictDimensions struct{ product.RestrictDimensions }

// Check states the page's codes.
func (r *RestrictDimensions) Check(p *Product, c *change.Checks) {
	r.RestrictDimensions.Check(&p.Facets, c)
}

// Apply restricts the dimensions.
func (r *RestrictDimensions) Apply(p *Product, a *change.Applying) {
	r.RestrictDimensions.Apply(&p.Facets, a)
}

package amiproduct

import (
	"souk/catalog/change"
	"souk/catalog/product"
)

// UpdateDimensions changes what buyers read about dimensions.
//
// Work with seller products. All products have the same fields and rules, in
// the same file of catalog/product.
type UpdateDimensions struct{ product.UpdateDimensions }

// Check states the page's codes.
func (u *UpdateDimensions) Check(p *Product, c *change.Checks) {
	u.UpdateDimensions.Check(&p.Facets, c)
}

// Apply writes what was given.
func (u *UpdateDimensions) Apply(p *Product, a *change.Applying) {
	u.UpdateDimensions.Apply(&p.Facets, a)
}

package amiproduct

import (
	"souk/catalog/change"
	"souk/catalog/product"
)

// UpdateTargeting replaces the list of accounts that see the product while it is
// Limited.
//
// Work with seller products. All products have the same fields and rules, in
// the same file of catalog/product.
type UpdateTargeting struct{ product.UpdateTargeting }

// Check states the page's codes.
func (u *UpdateTargeting) Check(p *Product, c *change.Checks) { u.UpdateTargeting.Check(&p.Facets, c) }

// Apply writes the list.
func (u *UpdateTargeting) Apply(p *Product, a *change.Applying) {
	u.UpdateTargeting.Apply(&p.Facets, a)
}

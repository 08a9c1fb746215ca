package amiproduct

import (
	"souk/catalog/change"
	"souk/catalog/product"
)

// AddDimensions adds what an AMI product is priced by.
//
// Work with seller products. All products have the same fields and rules, in
// the same file of catalog/product.
type AddDimensions struct{ product.AddDimensions }

// Check states the page's codes.
func (r *AddDimensions) Check(p *Product, c *change.Checks) { r.AddDimensions.Check(&p.Facets, c) }

// Apply adds the dimensions.
func (r *AddDimensions) Apply(p *Product, a *change.Applying) { r.AddDimensions.Apply(&p.Facets, a) }

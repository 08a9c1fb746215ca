package saasproduct

import (
	"souk/catalog/change"
	"souk/catalog/product"
)

// CreateProduct makes a SaaS product in Draft.
//
// Work with seller products, "Create a product".
type CreateProduct struct{ product.CreateProduct }

// Check finds what is wrong with the title.
func (r *CreateProduct) Check(p *Product, c *change.Checks) { r.CreateProduct.Check(&p.Facets, c) }

// Apply makes a product without delivery options.
func (r *CreateProduct) Apply(p *Product, a *change.Applying) {
	*p = Product{Versions: []Version{}}
	r.CreateProduct.Apply(&p.Facets, a)
}

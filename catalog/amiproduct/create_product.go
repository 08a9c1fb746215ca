package amiproduct

import (
	"souk/catalog/change"
	"souk/catalog/product"
)

// CreateProduct makes an AMI product in Draft. Regions and instance types come
// by AddRegions and AddInstanceTypes.
//
// Work with seller products, "Create a product".
type CreateProduct struct{ product.CreateProduct }

// Check finds what is wrong with the title.
func (r *CreateProduct) Check(p *Product, c *change.Checks) { r.CreateProduct.Check(&p.Facets, c) }

// Apply makes a product without versions, regions and instance types.
func (r *CreateProduct) Apply(p *Product, a *change.Applying) {
	*p = Product{
		Versions:      []Version{},
		Compatibility: Compatibility{AvailableInstanceTypes: []string{}, RestrictedInstanceTypes: []string{}},
	}
	r.CreateProduct.Apply(&p.Facets, a)
	none := noFutureRegions
	p.RegionAvailability = product.RegionAvailability{Regions: []string{}, Restrict: []string{}, FutureRegionSupport: &none}
}

package saasproduct

import "souk/catalog/product"

// UpdateVisibility leads a released SaaS product from one state to another.
// "Use UpdateVisibility separately in its own change set."
//
// Work with seller products, "Update product visibility". A product that was
// released has a public delivery option and keeps one, so that the review, which
// is Souk's own and takes no time, has nothing to add.
type UpdateVisibility struct{ product.UpdateVisibility }

package amiproduct

import "souk/catalog/product"

// UpdateVisibility leads a released AMI product from one state to another.
// "Use UpdateVisibility separately in its own change set."
//
// Work with seller products, "Update product visibility". A public product has
// something to start: it is released with a version, and its last one can't be
// restricted.
type UpdateVisibility struct{ product.UpdateVisibility }

package containerproduct

import "souk/catalog/product"

// ReleaseProduct publishes a container product from Draft to Limited. It needs
// no version yet: AWS's own samples release products without one.
//
// Work with seller products, "Publish a product".
type ReleaseProduct struct{ product.ReleaseProduct }

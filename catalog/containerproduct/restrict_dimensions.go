package containerproduct

import "souk/catalog/product"

// RestrictDimensions closes dimensions to new subscribers.
//
// Work with seller products. All products have the same fields and rules, in
// the same file of catalog/product.
type RestrictDimensions struct{ product.RestrictDimensions }

package containerproduct

import "souk/catalog/product"

// UpdateDimensions changes what buyers read about dimensions.
//
// Work with seller products. All products have the same fields and rules, in
// the same file of catalog/product.
type UpdateDimensions struct{ product.UpdateDimensions }

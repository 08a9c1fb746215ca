package saasproduct

import "souk/catalog/product"

// UpdateInformation changes what buyers read about a SaaS product.
//
// Work with seller products, "Update information about the product". All
// products have the same fields and rules, in the same file of catalog/product.
type UpdateInformation struct{ product.UpdateInformation }

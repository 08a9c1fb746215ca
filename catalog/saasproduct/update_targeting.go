package saasproduct

import "souk/catalog/product"

// UpdateTargeting replaces the list of accounts that see the product while it is
// Limited.
//
// Work with seller products. All products have the same fields and rules, in
// the same file of catalog/product.
type UpdateTargeting struct{ product.UpdateTargeting }

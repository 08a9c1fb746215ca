package saasproduct

import "souk/catalog/product"

// AddDimensions adds what a SaaS product is priced by.
//
// Work with seller products. All products have the same fields and rules, in
// the same file of catalog/product.
type AddDimensions struct{ product.AddDimensions }

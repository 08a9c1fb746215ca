package amiproduct

import "souk/catalog/product"

// AddDimensions adds what an AMI product is priced by.
//
// Work with seller products. All products have the same fields and rules, in
// the same file of catalog/product.
type AddDimensions struct{ product.AddDimensions }

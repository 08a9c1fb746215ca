package amiproduct

import "souk/catalog/product"

// UpdateInformation changes what buyers read about an AMI product.
//
// Catalog API Reference, "Updating product details for an AMI-based product".
// All products have the same fields and rules, in the same file of
// catalog/product.
type UpdateInformation struct{ product.UpdateInformation }

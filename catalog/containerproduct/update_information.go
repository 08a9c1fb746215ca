package containerproduct

import "souk/catalog/product"

// UpdateInformation changes what buyers read about a container product.
//
// Catalog API Reference, "Updating product information for a container-based
// product". All products have the same fields and rules, in the same file of
// catalog/product.
type UpdateInformation struct{ product.UpdateInformation }

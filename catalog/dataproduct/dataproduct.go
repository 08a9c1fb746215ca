// Package dataproduct is DataProduct@1.0: data sets of AWS Data Exchange, as far
// as the Catalog API's documentation speaks of them. It names one change type, in
// one example of what StartChangeSet refuses; no page says how a data product is
// made.
//
// It is not AWS Data Exchange: there are no data sets here, so no account has a
// data product and every list of them is empty.
package dataproduct

import (
	"souk/catalog/change"
	"souk/catalog/product"
)

// Product is the state of a data product.
type Product struct{ product.Facets }

// EntityType declares DataProduct@1.0.
func EntityType() *change.EntityType {
	return &change.EntityType{
		Name:    "DataProduct",
		Version: "1.0",
		Types: []change.Type{
			change.Of[Product, AddRevisions](change.Type{Name: "AddRevisions"}),
		},
		New:      func() any { return new(Product) },
		NewID:    func(ids *change.IDs) string { return ids.Entity("prod-") },
		List:     func(state any) change.Listing { return state.(*Product).Listing() },
		Describe: func(state any, _ change.Entity) any { return state.(*Product).Facets },
	}
}

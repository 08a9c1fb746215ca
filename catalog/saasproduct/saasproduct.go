// Package saasproduct is SaaSProduct@1.0: software that runs at its seller's
// and that buyers register for on the seller's page, or call by an API. One file
// for each change type, named as the page names it; what a product is stands in
// product.go, what DescribeEntity shows in describe.go.
//
// The pages that a product names (fulfillment, launch, endpoint and schema URLs)
// are judged by their form and, where the market may reach them, by the status
// with which they answer (World.Pages).
package saasproduct

import (
	"souk/catalog/change"
	"souk/catalog/product"
)

// EntityType declares SaaSProduct@1.0. Overlaps is nil: one change set at a time.
func EntityType() *change.EntityType {
	return &change.EntityType{
		Name:    "SaaSProduct",
		Version: "1.0",
		Types: []change.Type{
			change.Of[Product, CreateProduct](change.Type{Name: "CreateProduct", Creates: true}),
			product.OfAny[UpdateInformation](change.Type{Name: "UpdateInformation"}),
			change.Of[Product, AddDeliveryOptions](change.Type{Name: "AddDeliveryOptions"}),
			change.Of[Product, UpdateDeliveryOptions](change.Type{Name: "UpdateDeliveryOptions", After: []string{"AddDeliveryOptions"}}),
			change.Of[Product, UpdateDeliveryOptionsVisibility](change.Type{Name: "UpdateDeliveryOptionsVisibility", After: []string{"AddDeliveryOptions", "UpdateDeliveryOptions"}}),
			product.OfAny[AddDimensions](change.Type{Name: "AddDimensions"}),
			product.OfAny[UpdateDimensions](change.Type{Name: "UpdateDimensions", After: []string{"AddDimensions"}}),
			product.OfAny[RestrictDimensions](change.Type{Name: "RestrictDimensions", After: []string{"AddDimensions", "UpdateDimensions"}}),
			product.OfAny[UpdateTargeting](change.Type{Name: "UpdateTargeting"}),
			change.Of[Product, ReleaseProduct](change.Type{
				Name: "ReleaseProduct",
				After: []string{
					"UpdateInformation", "AddDeliveryOptions", "UpdateDeliveryOptions", "UpdateDeliveryOptionsVisibility",
					"AddDimensions", "UpdateDimensions", "RestrictDimensions", "UpdateTargeting",
				},
				AfterAll: []string{"CreateOffer"}, // of the offer that is released with it
			}),
			product.OfAny[UpdateVisibility](change.Type{Name: "UpdateVisibility", Alone: true}),
		},
		Fields:   []string{deliveryOptionTypes},
		New:      func() any { return new(Product) },
		NewID:    func(ids *change.IDs) string { return ids.Entity("prod-") },
		List:     func(state any) change.Listing { return state.(*Product).listing() },
		Describe: func(state any, _ change.Entity) any { return state.(*Product).describe() },
	}
}

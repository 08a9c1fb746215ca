// Package amiproduct is AmiProduct@1.0: software that buyers start as a machine
// from an Amazon Machine Image (AMI). One file for each change type, named as
// the page names it; what a product is stands in product.go, what DescribeEntity
// shows in describe.go.
//
// It neither keeps AMIs nor looks inside of them: they are asked for, copied and
// scanned by the ports of catalog/change. Which instance types there are is the
// table of catalog/instancetype.
package amiproduct

import (
	"souk/catalog/change"
	"souk/catalog/product"
)

// EntityType declares AmiProduct@1.0.
func EntityType() *change.EntityType {
	return &change.EntityType{
		Name:    "AmiProduct",
		Version: "1.0",
		Types: []change.Type{
			change.Of[Product, CreateProduct](change.Type{Name: "CreateProduct", Creates: true}),
			product.OfAny[UpdateInformation](change.Type{Name: "UpdateInformation", After: []string{"CreateProduct"}}),
			change.Of[Product, AddRegions](change.Type{Name: "AddRegions", After: []string{"CreateProduct"}}),
			change.Of[Product, RestrictRegions](change.Type{Name: "RestrictRegions", After: []string{"CreateProduct", "AddRegions"}}),
			change.Of[Product, UpdateFutureRegionSupport](change.Type{Name: "UpdateFutureRegionSupport", After: []string{"CreateProduct"}}),
			product.OfAny[AddDimensions](change.Type{Name: "AddDimensions", After: []string{"CreateProduct"}}),
			change.Of[Product, AddInstanceTypes](change.Type{Name: "AddInstanceTypes", After: []string{"CreateProduct", "AddDimensions"}}),
			change.Of[Product, AddDeliveryOptions](change.Type{Name: "AddDeliveryOptions", After: []string{"CreateProduct", "AddInstanceTypes"}}),
			change.Of[Product, UpdateDeliveryOptions](change.Type{Name: "UpdateDeliveryOptions", After: []string{"CreateProduct", "AddInstanceTypes", "AddDeliveryOptions"}}),
			change.Of[Product, RestrictDeliveryOptions](change.Type{Name: "RestrictDeliveryOptions", After: []string{"CreateProduct", "AddDeliveryOptions", "UpdateDeliveryOptions"}}),
			product.OfAny[UpdateDimensions](change.Type{Name: "UpdateDimensions", After: []string{"CreateProduct", "AddDimensions"}}),
			product.OfAny[RestrictDimensions](change.Type{Name: "RestrictDimensions", After: []string{"CreateProduct", "AddDimensions", "UpdateDimensions"}}),
			change.Of[Product, RestrictInstanceTypes](change.Type{Name: "RestrictInstanceTypes", After: []string{
				"CreateProduct", "AddInstanceTypes", "AddDeliveryOptions", "UpdateDeliveryOptions", "RestrictDeliveryOptions", "RestrictDimensions",
			}}),
			product.OfAny[UpdateTargeting](change.Type{Name: "UpdateTargeting", After: []string{"CreateProduct"}}),
			change.Of[Product, ReleaseProduct](change.Type{
				Name: "ReleaseProduct",
				After: []string{
					"CreateProduct", "UpdateInformation", "AddRegions", "RestrictRegions", "UpdateFutureRegionSupport", "AddInstanceTypes",
					"AddDeliveryOptions", "UpdateDeliveryOptions", "AddDimensions", "UpdateDimensions", "RestrictDimensions", "RestrictInstanceTypes", "UpdateTargeting",
				},
				AfterAll: []string{"CreateOffer"}, // whose product is looked at
			}),
			product.OfAny[UpdateVisibility](change.Type{Name: "UpdateVisibility", Alone: true}),
		},
		New:      func() any { return new(Product) },
		NewID:    func(ids *change.IDs) string { return ids.Entity("prod-") },
		Overlaps: overlaps,
		List:     func(state any) change.Listing { return state.(*Product).listing() },
		Describe: func(state any, e change.Entity) any { return state.(*Product).describe(e.ID) },
	}
}

// overlaps says whether a change set with a change of type b may start while one
// with a change of type a is PREPARING.
//
// Using the Catalog API, "Making multiple change requests simultaneously": no
// two of the same type; no update of version information beside a change that
// restricts or adds a version; nothing beside "a request [...] that is pending
// with the AWS Marketplace Seller Operations team", which is UpdateVisibility's.
// Beyond the page, the instance types that a new version's AMI is compared with
// stay as they are until the version is there.
func overlaps(a, b string) bool {
	versions := func(x, y string) bool {
		return x == "UpdateDeliveryOptions" && (y == "AddDeliveryOptions" || y == "RestrictDeliveryOptions") ||
			x == "AddDeliveryOptions" && (y == "AddInstanceTypes" || y == "RestrictInstanceTypes")
	}
	return a != b && a != "UpdateVisibility" && !versions(a, b) && !versions(b, a)
}

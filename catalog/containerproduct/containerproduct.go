// Package containerproduct is ContainerProduct@1.0: software that buyers pull as
// container images and Helm charts. One file for each change type, named as the
// page names it; what a product is stands in product.go, what DescribeEntity
// shows in describe.go.
//
// It is not the registry: images are asked for by the ports of catalog/change.
package containerproduct

import (
	"souk/catalog/change"
	"souk/catalog/product"
)

// EntityType declares ContainerProduct@1.0. Repositories are shown under
// registryHost, such as 127.0.0.1:8470.
func EntityType(registryHost string) *change.EntityType {
	return &change.EntityType{
		Name:    "ContainerProduct",
		Version: "1.0",
		Types: []change.Type{
			change.Of[Product, CreateProduct](change.Type{Name: "CreateProduct", Creates: true}),
			product.OfAny[UpdateInformation](change.Type{Name: "UpdateInformation", After: []string{"CreateProduct"}}),
			change.Of[Product, AddRepositories](change.Type{Name: "AddRepositories", After: []string{"CreateProduct"}}),
			product.OfAny[AddDimensions](change.Type{Name: "AddDimensions", After: []string{"CreateProduct"}}),
			product.OfAny[UpdateDimensions](change.Type{Name: "UpdateDimensions", After: []string{"CreateProduct", "AddDimensions"}}),
			product.OfAny[RestrictDimensions](change.Type{Name: "RestrictDimensions", After: []string{"CreateProduct", "AddDimensions", "UpdateDimensions"}}),
			change.Of[Product, AddDeliveryOptions](change.Type{Name: "AddDeliveryOptions", After: []string{"CreateProduct", "AddRepositories", "AddDimensions"}}),
			change.Of[Product, UpdateDeliveryOptions](change.Type{Name: "UpdateDeliveryOptions", After: []string{"CreateProduct", "AddDimensions", "AddDeliveryOptions"}}),
			change.Of[Product, RestrictDeliveryOptions](change.Type{Name: "RestrictDeliveryOptions", After: []string{"CreateProduct", "AddDeliveryOptions", "UpdateDeliveryOptions"}}),
			change.Of[Product, UpdateDeliveryOptionsVisibility](change.Type{Name: "UpdateDeliveryOptionsVisibility", After: []string{"CreateProduct", "AddDeliveryOptions", "UpdateDeliveryOptions"}}),
			product.OfAny[UpdateTargeting](change.Type{Name: "UpdateTargeting", After: []string{"CreateProduct"}}),
			product.OfAny[ReleaseProduct](change.Type{Name: "ReleaseProduct", After: []string{
				"CreateProduct", "UpdateInformation", "AddRepositories", "AddDeliveryOptions", "UpdateDeliveryOptions", "AddDimensions", "UpdateTargeting",
			}}),
			change.Of[Product, UpdateVisibility](change.Type{Name: "UpdateVisibility", Alone: true}),
		},
		New:      func() any { return new(Product) },
		NewID:    func(ids *change.IDs) string { return ids.Entity("prod-") },
		Overlaps: overlaps,
		List:     func(state any) change.Listing { return state.(*Product).listing() },
		Fields:   []string{compatibleAWSServices},
		Describe: func(state any, _ change.Entity) any { return state.(*Product).describe(registryHost) },
	}
}

// overlaps says whether a change set with a change of type b may start while one
// with a change of type a is PREPARING.
//
// Using the Catalog API, "Making multiple change requests simultaneously": no
// two of the same type; no update of version information beside a change that
// restricts or adds a version; nothing beside "a request [...] that is pending
// with the AWS Marketplace Seller Operations team", which is UpdateVisibility's.
func overlaps(a, b string) bool {
	versions := func(x, y string) bool {
		return x == "UpdateDeliveryOptions" && (y == "AddDeliveryOptions" || y == "RestrictDeliveryOptions")
	}
	return a != b && a != "UpdateVisibility" && !versions(a, b) && !versions(b, a)
}

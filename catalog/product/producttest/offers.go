package producttest

import (
	"context"
	"fmt"

	"souk/catalog/change"
)

// Offers are the offers of the seller by their ids, for products that ask for them.
type Offers map[string]Offer

// Offer is an offer's state as products see it.
type Offer struct {
	ProductID string
	HasPrice  bool
}

// Product is the id of the product that is offered.
func (o Offer) Product() string { return o.ProductID }

// Priced says whether the offer costs anything.
func (o Offer) Priced() bool { return o.HasPrice }

// Read implements change.Entities.
func (o Offers) Read(_ context.Context, _ change.Seller, id string) (change.Entity, any, error) {
	offer, ok := o[id]
	if !ok {
		return change.Entity{}, nil, change.ErrEntityNotFound
	}
	return change.Entity{ID: id, Type: "Offer@1.0"}, offer, nil
}

// Named implements change.Entities for the offers of a product. One that it
// names is gone when it is read.
func (o Offers) Named(_ context.Context, _ change.Seller, entityType, field, value string) ([]string, error) {
	if entityType != "Offer" || field != "ProductId" {
		return nil, fmt.Errorf("asked for %s by %s", entityType, field)
	}
	ids := []string{"offer-gone"}
	for id, offer := range o {
		if offer.ProductID == value {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

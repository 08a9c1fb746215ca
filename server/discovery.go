package server

import (
	"context"
	"errors"
	"log/slog"

	"souk/catalog/change"
	"souk/catalog/listing"
	"souk/catalog/product"
	"souk/gateway"
	"souk/service/marketplacediscovery"
)

// discovery is the service by which buyers find products.
func (m *market) discovery() (*gateway.Service, error) {
	return marketplacediscovery.Service(marketplacediscovery.Config{
		Listings: m.listings,
		Product:  m.entity,
		Case:     m.procurement.Case,
		Keys:     m.ring,
		Seller: func(ctx context.Context, account string) (string, error) {
			a, err := m.organization.Account(ctx, account)
			return a.Name, err
		},
	})
}

// fillListings writes the listings of a market of before there were any. Where it
// can't, the products that changed since are found, and the next start tries again.
func (m *market) fillListings(ctx context.Context, log *slog.Logger) error {
	err := m.listings.Fill(ctx, m.eachProduct)
	if err != nil && !errors.Is(err, context.Canceled) {
		log.Error("some products are not found until the next start", "error", err)
	}
	return nil
}

// wrongListing says what is wrong with the listing of a product.
func (m *market) wrongListing(ctx context.Context, e change.Entity, state any) (string, error) {
	if _, ok := product.Of(state); !ok {
		return "", nil
	}
	return m.listings.Wrong(ctx, e, state)
}

// newListings makes the search over the products of the market.
func (m *market) newListings() *listing.Listings { return listing.New(m.store, m.ring) }

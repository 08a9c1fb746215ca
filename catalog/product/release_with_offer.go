package product

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"souk/catalog/change"
)

// offered is what an offer's state says of itself here.
type offered interface {
	Product() string // the id of the product that it offers
}

// ReleasedWithOffer states, for the probe of ReleaseProduct, that an AMI or SaaS
// product is released together with its draft public offer: one change set has
// both, ReleaseProduct and the offer's ReleaseOffer. Such a ReleaseProduct is
// applied after CreateOffer (change.Type, AfterAll), so that an offer of the same
// set can be read.
//
// Work with seller products, "Publish a product".
func ReleasedWithOffer(ctx context.Context, c *change.Checks) error {
	released := false
	for _, beside := range c.World.Set {
		entityType, _, _ := strings.Cut(beside.EntityType, "@")
		if entityType != "Offer" || beside.ChangeType != "ReleaseOffer" {
			continue
		}
		_, state, err := c.World.Entities.Read(ctx, c.Seller, beside.EntityID)
		if err != nil && !errors.Is(err, change.ErrEntityNotFound) {
			return fmt.Errorf("reading offer %s, which is released with product %s: %w", beside.EntityID, c.Entity.ID, err)
		}
		offer, known := state.(offered)
		released = released || err == nil && known && offer.Product() == c.Entity.ID
	}
	c.Refuse(!released, "VALIDATION_FAILED", "Release the product's draft public offer in the same change set, by ReleaseOffer.")
	return nil
}

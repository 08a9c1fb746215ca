package product

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"souk/catalog/change"
)

// UpdateVisibility leads a released product from one state to another.
//
// Work with seller products, "Update product visibility".
type UpdateVisibility struct {
	TargetVisibility Visibility // "Possible values: Public, Limited, and Restricted", and not the present one.

	// "Replacement product ID for the product to be Restricted. Used to notify
	// current subscribers about the product restriction." A Limited or Public
	// product of the seller.
	ReplacementProductId string
}

// productID is what an identifier of a product looks like: today's form, and
// the two of older products.
var productID = regexp.MustCompile(`^(prod-[a-zA-Z0-9]{13}|[a-zA-Z0-9]{25}|[a-zA-Z0-9]{8}(-[a-zA-Z0-9]{4}){3}-[a-zA-Z0-9]{12})$`)

// Check states the page's errors.
func (u *UpdateVisibility) Check(f *Facets, c *change.Checks) {
	present, target := f.Description.Visibility, u.TargetVisibility
	known := target == Public || target == Limited || target == Restricted
	c.Refuse(present == Draft, "INVALID_PRODUCT_STATE", "Use an existing Public, Limited, or Restricted product.")
	c.Refuse(target != "" && (!known || target == present), "INVALID_TARGET_VISIBILITY", "Provide a valid target visibility state: Public, Limited, or Restricted.", change.In("TargetVisibility", target))
	c.Refuse(target == "", "EMPTY_TARGET_VISIBILITY", "Provide a valid target visibility state: Public, Limited, or Restricted.")

	replacement := u.ReplacementProductId
	unfit := !productID.MatchString(replacement) || replacement == c.Entity.ID
	c.Refuse(replacement != "" && unfit, "INVALID_REPLACEMENT_PRODUCT_ID", "Use an existing Public or Limited product as replacement.", change.In("ReplacementProductId", replacement))
	c.Refuse(replacement != "" && target != Restricted, "INVALID_REPLACEMENT_PRODUCT_ID", "Replacement product ID is only valid when restricting a product.")
}

// Probe looks the replacement up.
func (u *UpdateVisibility) Probe(ctx context.Context, _ *Facets, c *change.Checks) error {
	if u.ReplacementProductId == "" {
		return nil
	}
	_, state, err := c.World.Entities.Read(ctx, c.Seller, u.ReplacementProductId)
	if err != nil && !errors.Is(err, change.ErrEntityNotFound) {
		return fmt.Errorf("looking up replacement product %s of %s: %w", u.ReplacementProductId, c.Entity.ID, err)
	}
	replacement, known := Of(state)
	fit := err == nil && known && (replacement.Description.Visibility == Public || replacement.Description.Visibility == Limited)
	c.Refuse(!fit, "INVALID_REPLACEMENT_PRODUCT_ID", "Use an existing Public or Limited product as replacement.")
	return nil
}

// Apply moves the product to its new state.
func (u *UpdateVisibility) Apply(f *Facets, _ *change.Applying) {
	f.Description.Visibility = u.TargetVisibility
	f.Description.ReplacementProductId = u.ReplacementProductId
}

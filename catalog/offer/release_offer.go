package offer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"souk/catalog/change"
	"souk/catalog/product"
)

// ReleaseOffer publishes an offer: "merge the information collected from all
// update change types, and then publish the offer". It has no fields.
//
// Work with private offers, "Publish an offer".
type ReleaseOffer struct{}

// Check lists what buyers would miss.
func (r *ReleaseOffer) Check(o *Offer, c *change.Checks) {
	c.Refuse(o.State == Released, "INVALID_UPDATE_REQUEST", "The requested change can't be performed after the offer is released.")
	c.Refuse(o.Name == "", "MISSING_NAME", "Set Name before releasing the offer.")
	c.Refuse(o.Description == "", "MISSING_DESCRIPTION", "Set Description before releasing the offer.")

	missing := r.lacks(o)
	c.Refuse(len(missing) > 0, "MISSING_MANDATORY_TERMS", "Add [x] to the offer.", missing)
	c.Refuse(o.term(paymentScheduleTerm) != nil && o.term(fixedUpfrontPricingTerm) == nil, "MISSING_MANDATORY_TERMS", "Provide a FixedUpfrontPricingTerm when the offer contains a PaymentScheduleTerm.")

	private := o.private()
	// Also where the day has passed since it was set: "" is before all days.
	c.Refuse(private && o.AvailabilityEndDate <= o.today(), "MISSING_AVAILABILITY_END_DATE", "Provide an AvailabilityEndDate for private offer.")
	c.Refuse(!private && o.AvailabilityEndDate != "", "INVALID_AVAILABILITY_END_DATE", "AvailabilityEndDate isn't supported for public offers.")
	c.Refuse(!private && o.term(validityTerm) != nil, "INCOMPATIBLE_TERMS", "ValidityTerm isn't supported for public offers.")
	c.Refuse(!private && o.PreExistingAgreement != nil, "INCOMPATIBLE_TARGETING", "PreExistingAgreement is only supported for buyer targeted offers.")
}

// lacks names the terms without which nobody can accept the offer, as AWS's own
// samples have them: legal terms and prices; of a public offer a refund policy,
// of a private one by usage how long its agreement lasts.
func (r *ReleaseOffer) lacks(o *Offer) []string {
	var missing []string
	if o.PricingModel == "" {
		missing = append(missing, "pricing terms")
	}
	if o.term(legalTerm) == nil {
		missing = append(missing, legalTerm)
	}
	if !o.private() && !o.freeTrial() && o.term(supportTerm) == nil {
		missing = append(missing, supportTerm)
	}
	if o.private() && o.PricingModel == "Usage" && o.term(validityTerm) == nil {
		missing = append(missing, validityTerm)
	}
	return missing
}

// ProbesAlways tells what is wrong with the product together with all that the offer lacks.
func (*ReleaseOffer) ProbesAlways() {}

// Probe looks at the product and at its other offers.
func (r *ReleaseOffer) Probe(ctx context.Context, o *Offer, c *change.Checks) error {
	if o.State == Released {
		return nil // Check says so
	}
	p, err := readProduct(ctx, c, o.ProductID)
	if err != nil {
		return err
	}
	// A product in Draft is released by the same set.
	active := p.facets != nil && p.facets.Description.Visibility != product.Restricted &&
		(p.facets.Description.Visibility != product.Draft || besideThis(c, "ReleaseProduct", o.ProductID))
	c.Refuse(!active, "INCOMPATIBLE_PRODUCT", "Use an active product in Limited or Public state.")
	contract := !o.private() && o.PricingModel == "Contract" && p.kind == "SaaSProduct"
	c.Refuse(contract && o.term(renewalTerm) == nil, "MISSING_MANDATORY_TERMS", "Provide a RenewalTerm for public offers with contract pricing for the product.")

	others, err := readPublicOffers(ctx, o, c)
	if err != nil {
		return err
	}
	trial := o.freeTrial()
	c.Refuse((o.private() || trial) && !others.any, "INCOMPATIBLE_PRODUCT", "First create a public offer for the product.")
	c.Refuse(!o.private() && !trial && others.released, "TOO_MANY_OFFERS", "Only one public offer can be created per product.")
	c.Refuse(!o.private() && trial && others.releasedTrial, "TOO_MANY_OFFERS", "Only one public free trial offer can be created per product.")
	return nil
}

// otherOffers is what there is of other public offers of a product.
type otherOffers struct {
	any           bool // one that is no free trial, be it a draft
	released      bool // one of those that is released
	releasedTrial bool // a free trial that is released
}

// readPublicOffers reads the other public offers of the offer's product.
func readPublicOffers(ctx context.Context, o *Offer, c *change.Checks) (others otherOffers, err error) {
	ids, err := c.World.Entities.Named(ctx, c.Seller, "Offer", publicOffers, o.ProductID)
	if err != nil {
		return others, fmt.Errorf("looking for public offers of product %s: %w", o.ProductID, err)
	}
	for _, id := range ids {
		if id == c.Entity.ID {
			continue
		}
		_, state, err := c.World.Entities.Read(ctx, c.Seller, id)
		if errors.Is(err, change.ErrEntityNotFound) {
			continue
		}
		if err != nil {
			return others, fmt.Errorf("reading offer %s of product %s: %w", id, o.ProductID, err)
		}
		other, ok := state.(*Offer)
		switch {
		case !ok || other.private() || other.ProductID != o.ProductID:
		case other.freeTrial():
			others.releasedTrial = others.releasedTrial || other.State == Released
		default:
			others.any = true
			others.released = others.released || other.State == Released
		}
	}
	return others, nil
}

// Apply releases the offer.
func (r *ReleaseOffer) Apply(o *Offer, a *change.Applying) {
	o.State = Released
	o.ReleaseDate = a.Now.UTC().Format(time.RFC3339)
}

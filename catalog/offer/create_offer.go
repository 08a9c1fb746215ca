package offer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"souk/catalog/change"
	"souk/catalog/product"
)

// CreateOffer makes an offer in Draft, which only its seller sees.
//
// Work with private offers, "Create an offer".
type CreateOffer struct {
	ProductId  string                  // of a product of the seller, also one that the same set creates
	Name       change.Optional[string] // 1 to 150 characters. "It is displayed as a part of the Agreement information".
	OfferSetId string                  // no product's offers can be in an offer set here
}

// Valid has the page's synchronous validations of form. Whether there is such a
// product is found by Probe.
func (r *CreateOffer) Valid(c *change.Checks) {
	var s schema
	s.plain("/ProductId", r.ProductId, 1, 50)
	s.name(r.Name)
	s.refuse(c)
}

// Check states what can be seen without the product.
func (r *CreateOffer) Check(_ *Offer, c *change.Checks) {
	c.Refuse(r.OfferSetId != "", "INCOMPATIBLE_PRODUCT", "OfferSetId isn't supported in offers for the product.")
}

// Probe looks the product up.
func (r *CreateOffer) Probe(ctx context.Context, _ *Offer, c *change.Checks) error {
	p, err := readProduct(ctx, c, r.ProductId)
	if err != nil {
		return err
	}
	c.Refuse(p.found && p.facets == nil, "INCOMPATIBLE_PRODUCT", "Managing offers for your chosen product type isn't currently supported in the AWS Marketplace Catalog API.")
	restricted := p.facets != nil && p.facets.Description.Visibility == product.Restricted
	c.Refuse(!p.found || restricted, "INCOMPATIBLE_PRODUCT", "Use an active product in Limited or Public state.")
	return nil
}

// Apply makes an offer without terms.
func (r *CreateOffer) Apply(o *Offer, _ *change.Applying) {
	*o = Offer{Name: r.Name.Value, ProductID: r.ProductId, State: Draft, Terms: []Term{}, now: o.now}
}

// offeredTypes are the types of products that can be offered.
var offeredTypes = []string{"AmiProduct", "ContainerProduct", "SaaSProduct"}

// foundProduct is a product as an offer sees it.
type foundProduct struct {
	id     string
	found  bool            // there is such an entity, of the seller
	kind   string          // its type without version
	facets *product.Facets // nil if it is nothing that can be offered
}

// readProduct reads a product of the seller.
func readProduct(ctx context.Context, c *change.Checks, id string) (foundProduct, error) {
	p := foundProduct{id: id}
	e, state, err := c.World.Entities.Read(ctx, c.Seller, id)
	if errors.Is(err, change.ErrEntityNotFound) {
		return p, nil
	}
	if err != nil {
		return p, fmt.Errorf("reading product %s of offer %s: %w", id, c.Entity.ID, err)
	}
	p.found = true
	p.kind, _, _ = strings.Cut(e.Type, "@")
	if facets, ok := product.Of(state); ok && slices.Contains(offeredTypes, p.kind) {
		p.facets = facets
	}
	return p, nil
}

// besideThis says whether the set has a change of a type of an entity.
func besideThis(c *change.Checks, changeType, entityID string) bool {
	return slices.ContainsFunc(c.World.Set, func(b change.Beside) bool { return b.ChangeType == changeType && b.EntityID == entityID })
}

package amiproduct

import (
	"slices"

	"souk/catalog/change"
	"souk/catalog/product"
)

// RestrictDeliveryOptions stops new buyers from getting versions of an AMI
// product. "Restricted versions are not shown to new buyers, but they are still
// available for existing customers."
//
// Catalog API Reference, "Restricting a version of an AMI-based product".
type RestrictDeliveryOptions struct {
	// "List of DeliveryOption IDs for the versions that you want to restrict."
	// Of this product, public, and not all that are public.
	DeliveryOptionIds []string
}

// Check states the page's errors.
func (r *RestrictDeliveryOptions) Check(p *Product, c *change.Checks) {
	var unknown, closed []string
	public := map[string]bool{}
	for _, id := range r.DeliveryOptionIds {
		_, option := p.find(id)
		switch {
		case option == nil:
			unknown = append(unknown, id)
		case option.Visibility != product.Public:
			closed = append(closed, id)
		default:
			public[id] = true
		}
	}
	c.Refuse(p.Description.Visibility != product.Public, "INVALID_PRODUCT", "Use an existing public product.")
	c.Refuse(len(r.DeliveryOptionIds) == 0, "MISSING_DELIVERY_OPTION_IDS", "Provide at least one delivery option ID.")
	c.Refuse(len(unknown) > 0, "INVALID_DELIVERY_OPTION_IDS", "Provide delivery option IDs that can be found in the product. IDs not found: [x]", unknown)
	c.Refuse(len(closed) > 0, "INVALID_DELIVERY_OPTION", "Provide delivery option IDs that are in a public state. IDs not in public state: [x]", closed)
	c.Refuse(len(public) > 0 && len(public) == p.publicOptions(), "ALL_DELIVERY_OPTIONS_RESTRICTED", "Provide fewer delivery options to restrict as at least one must remain in public state.")
}

// Apply restricts the options.
func (r *RestrictDeliveryOptions) Apply(p *Product, _ *change.Applying) {
	for v := range p.Versions {
		options := p.Versions[v].DeliveryOptions
		for o := range options {
			if slices.Contains(r.DeliveryOptionIds, options[o].ID) {
				options[o].Visibility = product.Restricted
			}
		}
	}
}

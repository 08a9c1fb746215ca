package amiproduct

import (
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
	would := product.Restrict(r.DeliveryOptionIds, p.visibilities())
	c.Refuse(p.Description.Visibility != product.Public, "INVALID_PRODUCT", "Use an existing public product.")
	c.Refuse(len(r.DeliveryOptionIds) == 0, "MISSING_DELIVERY_OPTION_IDS", "Provide at least one delivery option ID.")
	c.Refuse(len(would.Unknown) > 0, "INVALID_DELIVERY_OPTION_IDS", "Provide delivery option IDs that can be found in the product. IDs not found: [x]", would.Unknown)
	c.Refuse(len(would.Closed) > 0, "INVALID_DELIVERY_OPTION", "Provide delivery option IDs that are in a public state. IDs not in public state: [x]", would.Closed)
	c.Refuse(would.Last, "ALL_DELIVERY_OPTIONS_RESTRICTED", "Provide fewer delivery options to restrict as at least one must remain in public state.")
}

// Apply restricts the options.
func (r *RestrictDeliveryOptions) Apply(p *Product, _ *change.Applying) {
	for _, id := range r.DeliveryOptionIds {
		if _, option := p.find(id); option != nil {
			option.Visibility = product.Restricted
		}
	}
}

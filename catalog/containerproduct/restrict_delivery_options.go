package containerproduct

import (
	"souk/catalog/change"
	"souk/catalog/product"
)

// RestrictDeliveryOptions stops new buyers from getting delivery options of a
// container-based product. "Restricted versions are still available for
// existing customers."
//
// Catalog API Reference, "Restricting a version of a container-based product".
type RestrictDeliveryOptions struct {
	// "List of DeliveryOption IDs for the versions that you want to restrict."
	// Of this product, public, and not all that are public.
	DeliveryOptionIds []string
}

// Check states the page's errors.
func (r *RestrictDeliveryOptions) Check(p *Product, c *change.Checks) {
	would := product.Restrict(r.DeliveryOptionIds, p.visibilities())
	c.Refuse(p.Description.Visibility != product.Public, "INCOMPATIBLE_PRODUCT_STATUS", "Use a public product.")
	c.Refuse(len(would.Unknown) > 0, "MISSING_DELIVERY_OPTION_IDS", "Provide delivery option from existing list of IDs.", change.In("DeliveryOptionIds", would.Unknown...))
	c.Refuse(len(would.Closed) > 0, "INVALID_DELIVERY_OPTIONS_STATUS", "Provide delivery options in public state.", change.In("DeliveryOptionIds", would.Closed...))
	c.Refuse(len(r.DeliveryOptionIds) == 0, "EMPTY_DELIVERY_OPTION_IDS", "Provide non-empty list of delivery option IDs.")
	c.Refuse(would.Last, "INVALID_MINIMUM_PUBLIC_DELIVERY_OPTIONS", "Cannot restrict all delivery option IDs.")
	c.Refuse(len(product.Repeated(r.DeliveryOptionIds)) > 0, "DUPLICATE_DELIVERY_OPTION_IDS", "Provide unique delivery option IDs.", change.In("DeliveryOptionIds", product.Repeated(r.DeliveryOptionIds)...))
}

// Apply restricts the options.
func (r *RestrictDeliveryOptions) Apply(p *Product, _ *change.Applying) {
	for _, id := range r.DeliveryOptionIds {
		if _, option := p.find(id); option != nil {
			option.Visibility = product.Restricted
		}
	}
}

package containerproduct

import (
	"slices"
	"strconv"

	"souk/catalog/change"
	"souk/catalog/product"
)

// UpdateDeliveryOptionsVisibility makes Amazon EKS add-on delivery options
// Public. "Container and Helm delivery options for your container product are
// automatically created with 'Public' visibility status."
//
// Work with container-based products, "Update the visibility for an Amazon EKS add-on".
type UpdateDeliveryOptionsVisibility struct {
	DeliveryOptions []DeliveryOptionVisibility // at least one
}

// DeliveryOptionVisibility is what an add-on option is to become.
type DeliveryOptionVisibility struct {
	Id               string             // "Unique identifier for the DeliveryOption", as DescribeEntity shows it
	TargetVisibility product.Visibility // Public
}

// Valid refuses entries without id or visibility.
func (u *UpdateDeliveryOptionsVisibility) Valid(c *change.Checks) {
	var missing product.Missing
	for i, option := range u.DeliveryOptions {
		missing.Require("/DeliveryOptions/"+strconv.Itoa(i), "Id", option.Id, "TargetVisibility", string(option.TargetVisibility))
	}
	c.Refuse(len(missing) > 0, "422", "Provided Details is not valid. [x].", []string(missing))
}

// Check states the page's errors.
func (u *UpdateDeliveryOptionsVisibility) Check(p *Product, c *change.Checks) {
	var ids, unknown []string
	var otherType, otherTarget, notLimited bool
	for _, given := range u.DeliveryOptions {
		ids = append(ids, given.Id)
		otherTarget = otherTarget || given.TargetVisibility != product.Public
		_, option := p.find(given.Id)
		switch {
		case option == nil:
			unknown = append(unknown, given.Id)
		case option.AddOn == nil:
			otherType = true
		case option.Visibility != product.Limited:
			notLimited = true
		}
	}
	repeated := product.Repeated(ids)
	c.Refuse(p.Description.Visibility == product.Restricted, "INCOMPATIBLE_PRODUCT_STATUS", "Use an existing limited or public product.")
	c.Refuse(len(ids) == 0, "EMPTY_DELIVERY_OPTION_IDS", "Provide a list of delivery option IDs.")
	c.Refuse(otherTarget, "INVALID_VISIBILITY_STATE", "The TargetVisibility option you provided is not supported. Please try again with an allowed option. The allowed option(s) are: Public")
	c.Refuse(len(unknown) > 0, "INVALID_DELIVERY_OPTION_IDS", "You provided invalid delivery option details. Provide delivery option IDs that can be found in the product. IDs not found: [x]", unknown)
	c.Refuse(len(repeated) > 0, "DUPLICATE_DELIVERY_OPTION_IDS", "Duplicate delivery option IDs: [duplicate_ids]. Provide unique delivery option IDs.", repeated)
	c.Refuse(otherType, "INVALID_DELIVERY_OPTION_TYPE", "The delivery option type you provided is not valid. Ensure that your delivery option is of type: EksAddOn and try again.")
	c.Refuse(notLimited, "INVALID_DELIVERY_OPTIONS_STATUS", "Provide delivery options in limited state.")
}

// Apply makes the options Public.
func (u *UpdateDeliveryOptionsVisibility) Apply(p *Product, _ *change.Applying) {
	for v := range p.Versions {
		options := p.Versions[v].DeliveryOptions
		for o := range options {
			if slices.ContainsFunc(u.DeliveryOptions, func(given DeliveryOptionVisibility) bool { return given.Id == options[o].ID }) {
				options[o].Visibility = product.Public
			}
		}
	}
}

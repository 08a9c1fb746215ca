package amiproduct

import (
	"slices"

	"souk/catalog/change"
	"souk/catalog/product"
)

// RestrictInstanceTypes takes instance types away from all versions of an AMI
// product. "Existing subscribers won't be impacted [...]. However, no new buyers
// will be able to use restricted instance types."
//
// Work with AMI-based products, "Restrict an instance type".
type RestrictInstanceTypes struct {
	InstanceTypes []string // 1 to 1,500 that are available, not recommended by a version, and not all
}

// Valid states the page's synchronous validations, but for those that its table
// of errors has as well.
func (r *RestrictInstanceTypes) Valid(c *change.Checks) {
	missing := instanceTypesShape(r.InstanceTypes)
	c.Refuse(len(missing) > 0, "422", "Provided Details is not valid. [x].", []string(missing))
}

// Check states the page's errors.
func (r *RestrictInstanceTypes) Check(p *Product, c *change.Checks) {
	unknown := unknownTypes(r.InstanceTypes)
	available := p.Compatibility.AvailableInstanceTypes
	unavailable := without(without(r.InstanceTypes, available), unknown)
	options, recommended := p.recommending(r.InstanceTypes)
	var priced []string
	for _, name := range r.InstanceTypes {
		if slices.ContainsFunc(p.Dimensions, func(d product.Dimension) bool { return d.Key == name && d.Offers(product.Metered) }) {
			priced = append(priced, name)
		}
	}
	c.Refuse(len(unknown) > 0, "INVALID_INSTANCE_TYPES", "The following instance types are not valid: [x]", unknown)
	c.Refuse(len(product.Repeated(r.InstanceTypes)) > 0, "DUPLICATE_INSTANCE_TYPE", "Provide instance types with no duplicates.", change.In("InstanceTypes", product.Repeated(r.InstanceTypes)...))
	c.Refuse(len(unavailable) > 0, "UNAVAILABLE_INSTANCE_TYPE", "Provide an available instance type.", change.In("InstanceTypes", unavailable...))
	c.Refuse(len(recommended) > 0, "RECOMMENDED_INSTANCE_TYPE_RESTRICTED", "The following instance types cannot be restricted. Recommended instance type must be changed to a different one before being restricted. Delivery Options Id [X] Instance Type[X]", options, recommended)
	c.Refuse(len(priced) > 0, "DIMENSIONS_NOT_RESTRICTED", "Restrict dimensions before restricting internally metered instance types: [x]", priced)
	c.Refuse(len(available) > 0 && len(without(available, r.InstanceTypes)) == 0, "REGION_NO_INSTANCES", "Your restricted instance types would cause product launch failure in region: [x]. Consider restricting fewer instances.", p.RegionAvailability.Regions)
}

// Apply restricts the types.
func (r *RestrictInstanceTypes) Apply(p *Product, _ *change.Applying) {
	p.Compatibility.AvailableInstanceTypes = without(p.Compatibility.AvailableInstanceTypes, r.InstanceTypes)
	p.Compatibility.RestrictedInstanceTypes = union(p.Compatibility.RestrictedInstanceTypes, r.InstanceTypes)
}

// recommending returns the ids of the options that recommend one of the instance
// types to new buyers, and these types.
func (p *Product) recommending(names []string) (options, recommended []string) {
	for _, version := range p.Versions {
		for _, option := range version.DeliveryOptions {
			if name := option.RecommendedInstanceType; option.Visibility == product.Public && slices.Contains(names, name) {
				options, recommended = append(options, option.ID), union(recommended, []string{name})
			}
		}
	}
	return options, recommended
}

package amiproduct

import (
	"regexp"
	"slices"
	"strconv"
	"sync"

	"souk/catalog/change"
	"souk/catalog/instancetype"
	"souk/catalog/product"
)

// mostInstanceTypes is how many instance types one change names at most.
const mostInstanceTypes = 1500

// AddInstanceTypes lets buyers start all versions of an AMI product on further
// instance types. A type that was restricted is open again: "The instance type
// list is interchangeable and not a permanent restricted status for a product."
//
// Work with AMI-based products, "Add a new instance type".
type AddInstanceTypes struct {
	InstanceTypes []string // 1 to 1,500, unique. "These instances will be added to the existing InstanceTypes."
}

// Valid states the page's synchronous validations.
func (r *AddInstanceTypes) Valid(c *change.Checks) {
	missing := instanceTypesShape(r.InstanceTypes)
	if len(product.Repeated(r.InstanceTypes)) > 0 {
		missing = append(missing, "/InstanceTypes has entries that are not unique")
	}
	c.Refuse(len(missing) > 0, "422", "Provided Details is not valid. [x].", []string(missing))
}

// Check states the page's errors. Every version of the product has to run on the
// new types.
func (r *AddInstanceTypes) Check(p *Product, c *change.Checks) {
	architecture := p.architecture()
	others := unfit(r.InstanceTypes, func(t instancetype.Type) bool {
		return architecture == "" || slices.Contains(t.Architectures, architecture)
	})
	var system, ena []string
	for _, version := range p.Versions {
		for _, source := range version.Sources {
			system = union(system, incompatibleWith(source.OperatingSystem.Name, r.InstanceTypes))
			if !source.EnaSupport {
				ena = union(ena, unfit(r.InstanceTypes, withoutENA))
			}
		}
	}
	unknown := unknownTypes(r.InstanceTypes)
	c.Refuse(len(unknown) > 0, "INVALID_INSTANCE_TYPES", "The following instance types are not valid: [x]", unknown)
	c.Refuse(len(others) > 0, "INVALID_AMI_ARCHITECTURE", "CPU architecture of the product is '[x]'. It is not supported by the following instance types: [x]", architecture, others)
	c.Refuse(len(system) > 0, "INCOMPATIBLE_OPERATING_SYSTEM", "The instance types are incompatible with the OS defined in the product. Provide instance types that are compatible with the OS defined in the product.")
	c.Refuse(len(ena) > 0, "INVALID_ENA_SETTING", "The product does not support ENA. ENA support is required by the following instance types: [x]", ena)
	unpriced := p.unpriced(r.InstanceTypes)
	c.Refuse(len(unpriced) > 0, "INVALID_DIMENSIONS", "No internally metered dimensions found for instance types: [x]", unpriced)
}

// Apply makes the types available.
func (r *AddInstanceTypes) Apply(p *Product, _ *change.Applying) {
	p.Compatibility.AvailableInstanceTypes = union(p.Compatibility.AvailableInstanceTypes, r.InstanceTypes)
	p.Compatibility.RestrictedInstanceTypes = without(p.Compatibility.RestrictedInstanceTypes, r.InstanceTypes)
}

// withoutENA says whether a type runs images that have no ENA support.
func withoutENA(t instancetype.Type) bool { return t.ENA != instancetype.Required }

// instanceTypeName is what the page demands of entries.
var instanceTypeName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_.-]{1,24}$`) })

// instanceTypesShape notes what the page's synchronous validations find.
func instanceTypesShape(names []string) product.Missing {
	var missing product.Missing
	if len(names) == 0 {
		missing.Require("/", "InstanceTypes", "")
	}
	if len(names) > mostInstanceTypes {
		missing = append(missing, "/InstanceTypes has more than "+strconv.Itoa(mostInstanceTypes)+" items")
	}
	if i := slices.IndexFunc(names, func(name string) bool { return !instanceTypeName().MatchString(name) }); i >= 0 {
		missing = append(missing, "JSON at /InstanceTypes/"+strconv.Itoa(i)+" does not match the pattern "+instanceTypeName().String())
	}
	return missing
}

// unpriced returns the instance types that buyers could not be billed for: a
// product whose use is metered by instance type has a dimension for each.
func (p *Product) unpriced(names []string) []string {
	metered := func(name string) bool {
		return slices.ContainsFunc(p.Dimensions, func(d product.Dimension) bool {
			return d.Key == name && slices.Contains(d.Types, product.Metered)
		})
	}
	byType := slices.ContainsFunc(p.Dimensions, func(d product.Dimension) bool {
		_, ok := instancetype.Find(d.Key)
		return ok && metered(d.Key)
	})
	if !byType {
		return nil
	}
	return unfit(names, func(t instancetype.Type) bool { return metered(t.Name) })
}

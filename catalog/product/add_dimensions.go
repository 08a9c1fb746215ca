package product

import (
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"souk/catalog/change"
)

// AddDimensions adds what a product is priced by. Its document is an array.
//
// A dimension that the product has already gets the types that are new to it,
// and those that were restricted are open again.
//
// Work with seller products, "Add pricing dimensions".
type AddDimensions struct {
	Dimensions []NewDimension // at least one
}

// NewDimension is a dimension of AddDimensions.
type NewDimension struct {
	Key         string   // what prices and metering name; at most 100 letters, digits, underscores, periods and hyphens
	Name        string   // what buyers see. At most 500 characters, 80 for a SaaS product.
	Description string   // At most 1,000 characters.
	Unit        string   // Users, Hosts, GB, MB, TB, Gbps, Mbps, Requests, Units, UserHrs, UnitHrs, HostHrs, TierHrs, TaskHrs or Hrs
	Types       []string // Entitled, Metered, ExternallyMetered
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom: the document is the list itself.
func (r *AddDimensions) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return json.UnmarshalDecode(d, &r.Dimensions)
}

// Check states the page's codes.
func (r *AddDimensions) Check(f *Facets, c *change.Checks) {
	var x dimensionFaults
	var strange, present, units, otherUnits []string
	count := map[string]int{}
	for _, d := range f.Dimensions {
		for _, t := range d.Types {
			count[t]++
		}
	}
	for i, n := range r.Dimensions {
		x.key(i, n.Key, n.Types)
		x.text(i, "Name", n.Name, maxDimensionName(c.Entity))
		x.text(i, "Description", n.Description, 1000)
		if n.Unit == "" {
			x.text(i, "Unit", n.Unit, 20)
		} else if !slices.Contains(dimensionUnits, n.Unit) {
			units = append(units, n.Key+": "+n.Unit)
		}
		if n.Key != "" && !dimensionKey.MatchString(n.Key) {
			strange = append(strange, n.Key)
		}
		d := f.Dimension(n.Key)
		switch {
		case d != nil && d.Offers(n.Types...):
			present = append(present, n.Key)
		case d != nil && d.Unit != n.Unit && n.Unit != "":
			otherUnits = append(otherUnits, n.Key+": "+d.Unit)
		}
		for _, t := range n.Types {
			if d == nil || !slices.Contains(d.Types, t) {
				count[t]++
			}
		}
	}
	most := maxDimensions(c.Entity)
	repeated := Repeated(x.keys)
	c.Refuse(len(r.Dimensions) == 0, "MISSING_DATA", "Provide at least 1 dimension.")
	c.Refuse(len(x.missing) > 0, "MISSING_DATA", "Provide all fields of the dimensions. Missing: [x].", x.missing)
	c.Refuse(len(x.spaces) > 0, "INVALID_INPUT", "Remove spaces from the beginning of [x].", x.spaces)
	c.Refuse(len(x.limits) > 0, "INVALID_INPUT", "Provide values within their limits: [x].", []string(x.limits))
	c.Refuse(len(strange) > 0, "INVALID_DIMENSION", "Provide dimension keys of letters, digits, underscores, periods and hyphens. Invalid: [x].", strange)
	c.Refuse(len(repeated) > 0, "INVALID_DIMENSION", "Provide unique dimension keys. Duplicates: [x].", repeated)
	c.Refuse(len(present) > 0, "INVALID_DIMENSION", "Provide dimensions that the product does not have. Existing: [x].", present)
	c.Refuse(max(count[Entitled], count[Metered], count[ExternallyMetered]) > most, "INVALID_DIMENSION", "Provide fewer dimensions. A product can have [x] dimensions of each type.", most)
	c.Refuse(len(x.types) > 0, "INVALID_TYPE", "Provide each type once, from the following allowed values: Entitled, Metered, ExternallyMetered. Invalid: [x].", x.types)
	c.Refuse(len(units) > 0, "INVALID_UNIT", "Provide a unit that AWS Marketplace supports. Invalid: [x].", units)
	c.Refuse(len(otherUnits) > 0, "INVALID_UNIT", "Provide the unit that the existing dimension has: [x].", otherUnits)
}

// Apply adds the dimensions.
func (r *AddDimensions) Apply(f *Facets, _ *change.Applying) {
	for _, n := range r.Dimensions {
		d := f.Dimension(n.Key)
		if d == nil {
			f.Dimensions = append(f.Dimensions, Dimension{Key: n.Key, Unit: n.Unit})
			d = &f.Dimensions[len(f.Dimensions)-1]
		}
		d.Name, d.Description = n.Name, n.Description
		for _, t := range n.Types {
			if !slices.Contains(d.Types, t) {
				d.Types = append(d.Types, t)
			}
		}
		d.RestrictedTypes = slices.DeleteFunc(d.RestrictedTypes, func(t string) bool { return slices.Contains(n.Types, t) })
	}
}

package product

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"souk/catalog/change"
)

// UpdateDimensions changes what buyers read about dimensions. Its document is
// an array. Key, types and unit of a dimension stay as they are: agreements
// rest on them.
//
// Work with seller products, the change type of this name.
type UpdateDimensions struct {
	Dimensions []DimensionUpdate // at least one
}

// DimensionUpdate is a dimension of UpdateDimensions, with a Name or a Description or both.
type DimensionUpdate struct {
	Key         string   // of a dimension of the product
	Types       []string // of that dimension
	Name        string   // "" leaves it. At most 500 characters, 80 for a SaaS product.
	Description string   // "" leaves it. At most 1,000 characters.
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom: the document is the list itself.
func (r *UpdateDimensions) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return json.UnmarshalDecode(d, &r.Dimensions)
}

// Check states the page's codes.
func (r *UpdateDimensions) Check(f *Facets, c *change.Checks) {
	var x dimensionFaults
	var idle []string
	for i, u := range r.Dimensions {
		x.key(i, u.Key, u.Types)
		if u.Key != "" {
			x.existing(f, u.Key, u.Types)
		}
		if u.Name != "" {
			x.text(i, "Name", u.Name, maxDimensionName(c.Entity))
		}
		if u.Description != "" {
			x.text(i, "Description", u.Description, 1000)
		}
		if u.Name == "" && u.Description == "" {
			idle = append(idle, u.Key)
		}
	}
	repeated := Repeated(x.keys)
	c.Refuse(len(r.Dimensions) == 0, "MISSING_DATA", "Provide at least 1 dimension.")
	c.Refuse(len(x.missing) > 0, "MISSING_DATA", "Provide Key and Types of each dimension. Missing: [x].", x.missing)
	c.Refuse(len(idle) > 0, "MISSING_DATA", "Provide a Name or a Description for each dimension. Missing for: [x].", idle)
	c.Refuse(len(x.spaces) > 0, "INVALID_INPUT", "Remove spaces from the beginning of [x].", x.spaces)
	c.Refuse(len(x.limits) > 0, "INVALID_INPUT", "Provide values within their limits: [x].", []string(x.limits))
	c.Refuse(len(repeated) > 0, "INVALID_DIMENSION", "Provide unique dimension keys. Duplicates: [x].", repeated)
	c.Refuse(len(x.unknown) > 0, "INVALID_DIMENSION", "Provide keys of existing dimensions. Not found: [x].", x.unknown)
	c.Refuse(len(x.types) > 0, "INVALID_TYPE", "Provide each type once, from the following allowed values: Entitled, Metered, ExternallyMetered. Invalid: [x].", x.types)
	c.Refuse(len(x.otherOne) > 0, "INVALID_TYPE", "Provide types that the existing dimension has. Not found: [x].", x.otherOne)
}

// Apply writes what was given.
func (r *UpdateDimensions) Apply(f *Facets, _ *change.Applying) {
	for _, u := range r.Dimensions {
		d := f.Dimension(u.Key)
		if u.Name != "" {
			d.Name = u.Name
		}
		if u.Description != "" {
			d.Description = u.Description
		}
	}
}

package product

import (
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"souk/catalog/change"
)

// RestrictDimensions closes dimensions to new subscribers, for some or all of
// their types. Its document is an array.
//
// A restricted dimension stays in the product and is shown: those who have it
// keep it, and prices that name it stay valid, also prices of the same set.
//
// Work with seller products, the change type of this name.
type RestrictDimensions struct {
	Dimensions []DimensionRestriction // at least one
}

// DimensionRestriction is a dimension of RestrictDimensions.
type DimensionRestriction struct {
	Key   string   // of a dimension of the product
	Types []string // of that dimension, and not restricted yet
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom: the document is the list itself.
func (r *RestrictDimensions) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return json.UnmarshalDecode(d, &r.Dimensions)
}

// Check states the page's codes.
func (r *RestrictDimensions) Check(f *Facets, c *change.Checks) {
	var x dimensionFaults
	var closed []string
	for i, n := range r.Dimensions {
		x.key(i, n.Key, n.Types)
		if n.Key == "" {
			continue
		}
		x.existing(f, n.Key, n.Types)
		d := f.Dimension(n.Key)
		for _, t := range n.Types {
			if d != nil && slices.Contains(d.RestrictedTypes, t) {
				closed = append(closed, n.Key+": "+t)
			}
		}
	}
	repeated := Repeated(x.keys)
	c.Refuse(len(r.Dimensions) == 0, "MISSING_DATA", "Provide at least 1 dimension.")
	c.Refuse(len(x.missing) > 0, "MISSING_DATA", "Provide Key and Types of each dimension. Missing: [x].", x.missing)
	c.Refuse(len(repeated) > 0, "INVALID_DIMENSION", "Provide unique dimension keys. Duplicates: [x].", repeated)
	c.Refuse(len(x.unknown) > 0, "INVALID_DIMENSION", "Provide keys of existing dimensions. Not found: [x].", x.unknown)
	c.Refuse(len(closed) > 0, "INVALID_DIMENSION", "Provide dimensions that are not restricted. Restricted: [x].", closed)
	c.Refuse(len(x.types) > 0, "INVALID_TYPE", "Provide each type once, from the following allowed values: Entitled, Metered, ExternallyMetered. Invalid: [x].", x.types)
	c.Refuse(len(x.otherOne) > 0, "INVALID_TYPE", "Provide types that the existing dimension has. Not found: [x].", x.otherOne)
}

// Apply restricts the types.
func (r *RestrictDimensions) Apply(f *Facets, _ *change.Applying) {
	for _, n := range r.Dimensions {
		d := f.Dimension(n.Key)
		d.RestrictedTypes = append(d.RestrictedTypes, n.Types...)
	}
}

package product

import (
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"souk/catalog/change"
)

// RestrictDimensions closes dimensions to new subscribers. Its document is an
// array. "Restricting a dimension doesn't affect any active offer or customers
// that the original dimension had created": it stays in the product and is
// shown, and prices may name it, also prices of the same set.
//
// Work with seller products, "Restrict pricing dimensions".
type RestrictDimensions struct {
	Dimensions []DimensionRestriction // at least one
}

// DimensionRestriction says which dimension RestrictDimensions is about.
type DimensionRestriction struct {
	Key   string
	Types []string // all that the dimension has
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom: the document is the list itself.
func (r *RestrictDimensions) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return json.UnmarshalDecode(d, &r.Dimensions)
}

// Valid states the page's synchronous validations, but for what is missing.
func (r *RestrictDimensions) Valid(c *change.Checks) {
	wrong := r.texts().schema
	c.Refuse(len(wrong) > 0, "422", "Provided Details is not valid. [x].", []string(wrong))
}

// Check states the page's errors.
func (r *RestrictDimensions) Check(f *Facets, c *change.Checks) {
	var unknown, closed, alone namedDimensions
	var others []string
	var twice change.Wrong
	after := r.result(f)
	for i, n := range r.Dimensions {
		twice.If(slices.ContainsFunc(r.Dimensions[:i], func(o DimensionRestriction) bool { return o.Key == n.Key && sameTypes(o.Types, n.Types) }), "Key", n.Key)
		d := f.exactDimension(n.Key, n.Types)
		switch {
		case d == nil:
			unknown.add(n.Key, n.Types)
		case d.Restricted:
			closed.add(n.Key, n.Types)
		}
		for _, other := range after {
			if other.Key == n.Key && !other.Restricted {
				alone.add(n.Key, n.Types)
				others = append(others, other.Types...)
			}
		}
	}
	entitled := func(d Dimension) bool { return d.Offers(Entitled) }
	last := slices.ContainsFunc(f.Dimensions, entitled) && !slices.ContainsFunc(after, entitled)
	c.Refuse(len(r.Dimensions) == 0, "MISSING_DATA", "No data provided to perform an update. Provide data for at least 1 dimension.")
	c.Refuse(len(closed.keys) > 0, "INVALID_DIMENSION", "The dimension key '[x]' with types '[y]' was already restricted", closed.keys, closed.types)
	c.Refuse(len(unknown.keys) > 0, "INVALID_DIMENSION", "Cannot restrict dimension. The dimension key '[x]' with types '[y]' does not exist", unknown.keys, unknown.types)
	c.Refuse(len(twice) > 0, "INVALID_DIMENSION", "Cannot restrict duplicate dimensions.", twice)
	c.Refuse(last, "INVALID_DIMENSION", "All Entitled dimensions cannot be restricted. There must be at least one active Entitled dimension.")
	c.Refuse(len(alone.keys) > 0 && len(unknown.keys) == 0, "INVALID_DIMENSION", "The dimension key '[x]' with types '[y]' is associated with another dimension of different types '[z]'. Both dimensions of the same key must be restricted at the same time to be valid.", alone.keys, alone.types, others)
}

// Apply restricts the dimensions.
func (r *RestrictDimensions) Apply(f *Facets, _ *change.Applying) { f.Dimensions = r.result(f) }

// result returns the product's dimensions as they would become.
func (r *RestrictDimensions) result(f *Facets) []Dimension {
	all := slices.Clone(f.Dimensions)
	for _, n := range r.Dimensions {
		for i := range all {
			if all[i].Key == n.Key && sameTypes(all[i].Types, n.Types) {
				all[i].Restricted = true
			}
		}
	}
	return all
}

func (r *RestrictDimensions) texts() dimensionTexts {
	return textsOf(len(r.Dimensions), func(i int) Dimension {
		n := r.Dimensions[i]
		return Dimension{Key: n.Key, Types: n.Types}
	})
}

package product

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"souk/catalog/change"
)

// UpdateDimensions changes what buyers read about dimensions. Its document is
// an array. "Updating a dimension doesn't affect any active offer or customers
// that the original dimension had created."
//
// Work with seller products, "Update pricing dimensions".
type UpdateDimensions struct {
	Dimensions []DimensionUpdate // at least one
}

// DimensionUpdate is a dimension of UpdateDimensions. Key and types say which it
// is; they and the unit are not changed.
type DimensionUpdate struct {
	Key         string
	Types       []string // all that the dimension has
	Name        string   // "" leaves it. At most 500 characters.
	Description string   // "" leaves it. At most 1,000 characters.
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom: the document is the list itself.
func (r *UpdateDimensions) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return json.UnmarshalDecode(d, &r.Dimensions)
}

// Valid states the page's synchronous validations, but for what is missing and
// has an asynchronous error.
func (r *UpdateDimensions) Valid(c *change.Checks) {
	wrong := r.texts().schema
	c.Refuse(len(wrong) > 0, "422", "Provided Details is not valid. [x].", []string(wrong))
}

// Check states the page's errors.
func (r *UpdateDimensions) Check(f *Facets, c *change.Checks) {
	var empty, restricted change.Wrong
	var metered []string
	var twice, unknown namedDimensions
	for i, u := range r.Dimensions {
		if u.Key == "" || len(u.Types) == 0 || u.Name == "" && u.Description == "" {
			empty.If(true, "Key", u.Key)
			continue
		}
		if slices.ContainsFunc(r.Dimensions[:i], func(o DimensionUpdate) bool { return o.Key == u.Key && sameTypes(o.Types, u.Types) }) {
			twice.add(u.Key, u.Types)
		}
		d := f.exactDimension(u.Key, u.Types)
		if d == nil {
			unknown.add(u.Key, u.Types)
			continue
		}
		restricted.If(d.Restricted, "Key", u.Key)
		if sameTypes(d.Types, []string{Metered}) {
			metered = append(metered, u.Key)
		}
	}
	texts := r.texts()
	names := namesTaken(r.result(f))
	c.Refuse(len(r.Dimensions) == 0, "MISSING_DATA", "No data provided to perform an update. Provide data for at least 1 dimension.")
	c.Refuse(len(texts.trademarks) > 0, "INVALID_INPUT", "Invalid '[x]' field. Remove spaces before trademark symbol.", texts.trademarks)
	c.Refuse(len(texts.unsupported) > 0, "INVALID_INPUT", "Invalid '[x]' field. Remove unsupported characters [y].", texts.unsupported, texts.characters)
	c.Refuse(len(empty) > 0, "INVALID_DIMENSION", "Provide non-empty fields (Key, Types, Name and/or Description) for each dimension.", empty)
	c.Refuse(len(names) > 0, "INVALID_DIMENSION", "Cannot update dimension. The field Name has duplicate values '[x]' in other dimensions.", names)
	c.Refuse(len(twice.keys) > 0, "INVALID_DIMENSION", "Cannot update same dimension with key '[x]' and types '[y]' multiple times in the same request.", twice.keys, twice.types)
	c.Refuse(len(unknown.keys) > 0, "INVALID_DIMENSION", "Cannot update dimension. The dimension key '[x]' with types '[y]' does not exist.", unknown.keys, unknown.types)
	c.Refuse(len(metered) > 0, "INVALID_DIMENSION", "Cannot update dimension. The dimension key '[x]' is Metered.", metered)
	c.Refuse(len(restricted) > 0, "INVALID_DIMENSION", "Dimension cannot be updated for an already restricted dimension.", restricted)
}

// Apply writes what was given.
func (r *UpdateDimensions) Apply(f *Facets, _ *change.Applying) { f.Dimensions = r.result(f) }

// result returns the product's dimensions as they would become.
func (r *UpdateDimensions) result(f *Facets) []Dimension {
	all := slices.Clone(f.Dimensions)
	for _, u := range r.Dimensions {
		i := slices.IndexFunc(all, func(d Dimension) bool { return d.Key == u.Key && sameTypes(d.Types, u.Types) })
		if i < 0 {
			continue
		}
		if u.Name != "" {
			all[i].Name = u.Name
		}
		if u.Description != "" {
			all[i].Description = u.Description
		}
	}
	return all
}

func (r *UpdateDimensions) texts() dimensionTexts {
	return textsOf(len(r.Dimensions), func(i int) Dimension {
		u := r.Dimensions[i]
		return Dimension{Key: u.Key, Types: u.Types, Name: u.Name, Description: u.Description}
	})
}

// namedDimensions are dimensions that a message names by keys and types.
type namedDimensions struct{ keys, types []string }

func (n *namedDimensions) add(key string, types []string) {
	n.keys, n.types = append(n.keys, key), append(n.types, strings.Join(types, "/"))
}

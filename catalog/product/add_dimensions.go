package product

import (
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"souk/catalog/change"
)

// AddDimensions adds what a product is priced by. Its document is an array. A
// dimension that was restricted is open again when it is added again.
//
// Work with seller products, "Add pricing dimensions".
type AddDimensions struct {
	Dimensions []NewDimension // at least one
}

// NewDimension is a dimension of AddDimensions.
type NewDimension struct {
	// "Enter in the facet that will be used for defining the rates in the
	// offer. [...] After the dimension is created, this can't be changed." At
	// most 100 letters, digits, underscores, periods and hyphens.
	Key string
	// "The display name for the dimension on the website and customer's bill."
	// At most 500 characters.
	Name string
	// "Full details of the dimension that will be the long description on the
	// buyer's viewing page." At most 1,000 characters.
	Description string
	// "Users, Hosts, GB, MB, TB, Gbps, Mbps, Requests, Units, UserHrs, UnitHrs,
	// Units, HostHrs, TierHrs, and TaskHrs."
	Unit string
	// "These indicate whether the dimension covers metering, entitlement, or
	// support for external metering."
	Types []string
}

// dimensionUnits are the page's, and Hrs, which AWS's own samples of AMI products use.
var dimensionUnits = []string{
	"GB", "Gbps", "HostHrs", "Hosts", "MB", "Mbps", "Requests", "TaskHrs", "TB", "TierHrs", "UnitHrs", "Units", "UserHrs", "Users", "Hrs",
}

// dimensionCombinations are the types that a dimension may have together, from
// the pages of AddDimensions and UpdateDimensions.
var dimensionCombinations = [][]string{
	{Metered}, {ExternallyMetered}, {Metered, ExternallyMetered}, {Entitled}, {ExternallyMetered, Entitled}, {Metered, ExternallyMetered, Entitled},
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom: the document is the list itself.
func (r *AddDimensions) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return json.UnmarshalDecode(d, &r.Dimensions)
}

// Valid states the page's synchronous validations, but for what is missing and
// has an asynchronous error.
func (r *AddDimensions) Valid(c *change.Checks) {
	wrong := Missing(r.texts().schema)
	for i, n := range r.Dimensions[:min(len(r.Dimensions), maxDimensionItems)] {
		wrong.Require("/"+strconv.Itoa(i), "Description", n.Description)
	}
	c.Refuse(len(wrong) > 0, "422", "Provided Details is not valid. [x].", []string(wrong))
}

// Check states the page's errors.
func (r *AddDimensions) Check(f *Facets, c *change.Checks) {
	var empty, twice change.Wrong
	var types, combinations, units, keys []string
	all := slices.Clone(f.Dimensions)
	for i, n := range r.Dimensions {
		empty.If(n.Key == "" || n.Unit == "" || n.Name == "" || len(n.Types) == 0, "Key", n.Key)
		unknown := slices.DeleteFunc(slices.Clone(n.Types), func(t string) bool { return t == Entitled || t == Metered || t == ExternallyMetered })
		types = append(types, unknown...)
		if len(n.Types) > 0 && len(unknown) == 0 && !slices.ContainsFunc(dimensionCombinations, func(c []string) bool { return sameTypes(c, n.Types) }) {
			combinations = append(combinations, strings.Join(n.Types, "/"))
		}
		if n.Unit != "" && !slices.Contains(dimensionUnits, n.Unit) {
			units = append(units, n.Unit)
		}
		twice.If(slices.ContainsFunc(r.Dimensions[:i], func(o NewDimension) bool { return o.Key == n.Key && overlap(o.Types, n.Types) }), "Key", n.Key)
		reopened := f.exactDimension(n.Key, n.Types)
		switch {
		case reopened != nil && reopened.Restricted && reopened.Unit == n.Unit:
		case f.Dimension(n.Key, n.Types...) != nil && n.Key != "" && !slices.Contains(keys, n.Key):
			keys = append(keys, n.Key)
		}
		all = append(all, Dimension{Key: n.Key, Name: n.Name, Types: n.Types})
	}
	names := namesTaken(all)
	texts := r.texts()
	c.Refuse(len(r.Dimensions) == 0, "MISSING_DATA", "No data provided to perform an update. Provide data for at least 1 dimension.")
	c.Refuse(tooManyDimensions(c.Entity, r.result(f)), "INVALID_DIMENSION", "Provide no more than 200 dimensions.")
	c.Refuse(len(twice) > 0, "INVALID_DIMENSION", "Can't add duplicate dimensions.", twice)
	c.Refuse(f.Description.Visibility == Restricted, "INVALID_DIMENSION", "Dimension can't be added in current state '[x]'. States that support dimension updates are [y].", Restricted, "Draft, Limited, Public")
	c.Refuse(len(keys) > 0, "INVALID_DIMENSION", "Can't add dimension. The field 'Key' has duplicate values '[x]' in other dimensions.", keys)
	c.Refuse(len(names) > 0, "INVALID_DIMENSION", "Can't add dimension. The field 'Name' has duplicate values '[x]' in other dimensions.", names)
	c.Refuse(len(empty) > 0, "INVALID_DIMENSION", "Provide non-empty fields (Key, Unit, Name, Types) for each dimension.", empty)
	c.Refuse(len(types) > 0, "INVALID_TYPE", `Remove invalid type '[x]'. Valid types are ["Metered", "Entitled", "ExternallyMetered"].`, types)
	c.Refuse(len(combinations) > 0, "INVALID_DIMENSION", "Remove invalid dimension type combination [x]. Allowed values are [y].", combinations, allowedCombinations())
	c.Refuse(len(units) > 0, "INVALID_UNIT", `Remove invalid Unit '[x]'. Valid units are ["GB", "Gbps", "HostHrs", "Hosts", "MB", "Mbps", "Requests", "TaskHrs", "TB", "TierHrs", "UnitHrs", "Units", "UserHrs", "Users"].`, units)
	c.Refuse(len(texts.trademarks) > 0, "INVALID_INPUT", "Invalid '[x]' field. Remove spaces before trademark symbol.", texts.trademarks)
	c.Refuse(len(texts.unsupported) > 0, "INVALID_INPUT", "Invalid '[x]' field. Remove unsupported characters [y].", texts.unsupported, texts.characters)
}

// Apply adds the dimensions.
func (r *AddDimensions) Apply(f *Facets, _ *change.Applying) { f.Dimensions = r.result(f) }

// result returns the product's dimensions as they would become.
func (r *AddDimensions) result(f *Facets) []Dimension {
	all := slices.Clone(f.Dimensions)
	for _, n := range r.Dimensions {
		added := Dimension{Name: n.Name, Description: n.Description, Key: n.Key, Unit: n.Unit, Types: list(n.Types)}
		i := slices.IndexFunc(all, func(d Dimension) bool { return d.Key == n.Key && sameTypes(d.Types, n.Types) })
		if i < 0 {
			all = append(all, added)
		} else {
			all[i] = added
		}
	}
	return all
}

func (r *AddDimensions) texts() dimensionTexts {
	return textsOf(len(r.Dimensions), func(i int) Dimension {
		n := r.Dimensions[i]
		return Dimension{Key: n.Key, Types: n.Types, Name: n.Name, Description: n.Description}
	})
}

func allowedCombinations() []string {
	var combinations []string
	for _, types := range dimensionCombinations {
		combinations = append(combinations, strings.Join(types, "/"))
	}
	return combinations
}

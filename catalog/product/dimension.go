package product

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"souk/catalog/change"
)

// Dimension is what a product is priced by: a feature, a unit of use, a number
// of users. Offers give its price by its key. A key and a type are one thing
// that buyers may have bought, so neither ever goes away.
type Dimension struct {
	Name        string
	Description string
	Key         string // 1 to 100 letters, digits, underscores, periods and hyphens; unique in the product
	Unit        string
	Types       []string // Entitled, Metered, ExternallyMetered: at least one
	// RestrictedTypes are those of Types that RestrictDimensions has closed to
	// new subscribers.
	RestrictedTypes []string `json:",omitempty"`
}

// The types of a Dimension.
const (
	Entitled          = "Entitled"          // bought in advance, for the time of a contract
	Metered           = "Metered"           // billed by use, which AWS Marketplace's metering counts
	ExternallyMetered = "ExternallyMetered" // billed by use, which the seller reports
)

// dimensionUnits are those of the page; Hrs is what its AMI examples use.
var dimensionUnits = []string{
	"Users", "Hosts", "GB", "MB", "TB", "Gbps", "Mbps", "Requests", "Units",
	"UserHrs", "UnitHrs", "HostHrs", "TierHrs", "TaskHrs", "Hrs",
}

var dimensionKey = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

// maxDimensions is how many dimensions of one type a product may have. Those of
// an AMI product are priced by instance type, of which it may have 1,500.
func maxDimensions(e change.Entity) int {
	if strings.HasPrefix(e.Type, "AmiProduct@") {
		return 1500
	}
	return 200
}

// maxDimensionName is how long a dimension's name may be, in characters.
func maxDimensionName(e change.Entity) int {
	if strings.HasPrefix(e.Type, "SaaSProduct@") {
		return 80
	}
	return 500
}

// Dimension returns the dimension of a key, nil if there is none. Nobody may
// write it but the change types of this package.
func (f *Facets) Dimension(key string) *Dimension {
	i := slices.IndexFunc(f.Dimensions, func(d Dimension) bool { return d.Key == key })
	if i < 0 {
		return nil
	}
	return &f.Dimensions[i]
}

// Offers says whether new subscribers may get the dimension by one of types, or
// by any type if there are none.
func (d *Dimension) Offers(types ...string) bool {
	if len(types) == 0 {
		types = d.Types
	}
	return slices.ContainsFunc(types, func(t string) bool {
		return slices.Contains(d.Types, t) && !slices.Contains(d.RestrictedTypes, t)
	})
}

// dimensionFaults collects what all changes of dimensions may have wrong.
type dimensionFaults struct {
	keys     []string // of the request, in its order
	missing  []string // "/0/Key"
	spaces   []string // fields that begin with a space
	limits   Limits
	unknown  []string // keys that the product does not have
	types    []string // "key: type" that are none, or stand twice
	otherOne []string // "key: type" that the product's dimension does not have
}

// text notes one that is missing, begins with a space or is too long.
func (x *dimensionFaults) text(at int, name, text string, most int) {
	path := "/" + strconv.Itoa(at) + "/" + name
	switch {
	case text == "":
		x.missing = append(x.missing, path)
	case SpaceAtBeginning(text):
		x.spaces = append(x.spaces, path)
	}
	x.limits.Characters(path, text, most)
}

// key notes a key, and the types that stand beside it.
func (x *dimensionFaults) key(at int, key string, types []string) {
	if key != "" {
		x.keys = append(x.keys, key)
	}
	x.text(at, "Key", key, 100)
	if len(types) == 0 {
		x.missing = append(x.missing, "/"+strconv.Itoa(at)+"/Types")
	}
	repeated := Repeated(types)
	for _, t := range types {
		known := t == Entitled || t == Metered || t == ExternallyMetered
		if fault := key + ": " + t; (!known || slices.Contains(repeated, t)) && !slices.Contains(x.types, fault) {
			x.types = append(x.types, fault)
		}
	}
}

// existing notes a key and types that the product does not have.
func (x *dimensionFaults) existing(f *Facets, key string, types []string) {
	d := f.Dimension(key)
	if d == nil {
		x.unknown = append(x.unknown, key)
		return
	}
	for _, t := range types {
		if !slices.Contains(d.Types, t) {
			x.otherOne = append(x.otherOne, key+": "+t)
		}
	}
}

package product

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"souk/catalog/change"
)

// Dimension is what a product is priced by: a feature, a unit of use, a number
// of users. "Each dimension is uniquely identified by the dimension key and
// dimension types": two of one key have no type in common, such as the hours
// and the years of an instance type. Dimensions are never deleted, since
// agreements rest on them.
type Dimension struct {
	Name        string
	Description string
	Key         string // 1 to 100 letters, digits, underscores, periods and hyphens; offers give prices by it
	Unit        string
	Types       []string // Entitled, Metered, ExternallyMetered: at least one
	Restricted  bool     `json:",omitempty"` // RestrictDimensions has closed it to new subscribers
}

// The types of a Dimension.
const (
	Entitled          = "Entitled"          // bought in advance, for the time of a contract
	Metered           = "Metered"           // billed by the hours that an instance runs
	ExternallyMetered = "ExternallyMetered" // billed by the use that the seller reports
)

// Dimension returns the dimension of a key that has one of types, or any if no
// type is given; one that is not restricted before one that is; nil if there is
// none. Nobody may write it but the change types of this package.
func (f *Facets) Dimension(key string, types ...string) *Dimension {
	var found *Dimension
	for i := range f.Dimensions {
		d := &f.Dimensions[i]
		if d.Key == key && (len(types) == 0 || overlap(d.Types, types)) && (found == nil || found.Restricted && !d.Restricted) {
			found = d
		}
	}
	return found
}

// Offers says whether new subscribers may get the dimension, by one of types if
// any is given.
func (d *Dimension) Offers(types ...string) bool {
	return !d.Restricted && (len(types) == 0 || overlap(d.Types, types))
}

// exactDimension returns the dimension of a key and all of types, in any order.
func (f *Facets) exactDimension(key string, types []string) *Dimension {
	i := slices.IndexFunc(f.Dimensions, func(d Dimension) bool { return d.Key == key && sameTypes(d.Types, types) })
	if i < 0 {
		return nil
	}
	return &f.Dimensions[i]
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(t string) bool { return slices.Contains(b, t) })
}

func sameTypes(a, b []string) bool {
	within := func(a, b []string) bool {
		return !slices.ContainsFunc(a, func(t string) bool { return !slices.Contains(b, t) })
	}
	return len(a) == len(b) && within(a, b) && within(b, a)
}

var dimensionKey = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

// dimensionTexts collects what the texts of a request have wrong, at once and later.
type dimensionTexts struct {
	schema      Limits   // refused at once: too long, or not of a key's form
	trademarks  []string // fields with a space before a trademark symbol
	unsupported []string // fields with characters that can't be shown
	characters  []string // those characters
}

// textsOf collects the texts of the n dimensions that a request names: those that
// each of its items gives. Of more than a request may have none is looked at.
func textsOf(n int, each func(i int) Dimension) dimensionTexts {
	var x dimensionTexts
	x.schema.Items("/", n, maxDimensionItems)
	if len(x.schema) > 0 {
		return x
	}
	for i := range n {
		d := each(i)
		x.key(i, d.Key, d.Types)
		x.text(i, "Name", d.Name, maxDimensionName)
		x.text(i, "Description", d.Description, maxDimensionDescription)
	}
	return x
}

// key notes a key and the types beside it.
func (x *dimensionTexts) key(at int, key string, types []string) {
	path := "/" + strconv.Itoa(at) + "/Key"
	x.schema.Characters(path, key, 100)
	x.schema.Items("/"+strconv.Itoa(at)+"/Types", len(types), 3)
	if key != "" && !dimensionKey.MatchString(key) {
		x.schema = append(x.schema, path+" does not match [A-Za-z0-9_.-]+")
	}
}

// text notes a Name or a Description.
func (x *dimensionTexts) text(at int, name, text string, most int) {
	path := "/" + strconv.Itoa(at) + "/" + name
	x.schema.Characters(path, text, most)
	if SpaceAtBeginning(text) {
		x.schema = append(x.schema, path+" begins with a space")
	}
	if SpaceBeforeTrademark(text) && !slices.Contains(x.trademarks, name) {
		x.trademarks = append(x.trademarks, name)
	}
	if bad := Unsupported(text); len(bad) > 0 {
		if !slices.Contains(x.unsupported, name) {
			x.unsupported = append(x.unsupported, name)
		}
		x.characters = append(x.characters, bad...)
	}
}

// Limits of a dimension's texts, in characters.
const (
	maxDimensionName        = 500
	maxDimensionDescription = 1000
)

// maxDimensionItems is how many dimensions one change may name: the hours and
// the years of all instance types of an AMI product.
const maxDimensionItems = 3000

// maxDimensions is how many dimensions of one type a product may have.
const maxDimensions = 200

// tooManyDimensions says whether there are more than maxDimensions of a type.
// The hours and years of an AMI product's instance types, of which it may have
// 1,500, do not count.
func tooManyDimensions(e change.Entity, dimensions []Dimension) bool {
	count := map[string]int{}
	for _, d := range dimensions {
		for _, t := range d.Types {
			count[t]++
		}
	}
	if strings.HasPrefix(e.Type, "AmiProduct@") {
		return count[ExternallyMetered] > maxDimensions
	}
	return max(count[Entitled], count[Metered], count[ExternallyMetered]) > maxDimensions
}

// namesTaken returns the names that dimensions of other keys have.
func namesTaken(dimensions []Dimension) []string {
	keys := map[string]string{}
	var taken []string
	for _, d := range dimensions {
		key, known := keys[d.Name]
		if !known {
			keys[d.Name] = d.Key
		} else if key != d.Key && d.Name != "" && !slices.Contains(taken, d.Name) {
			taken = append(taken, d.Name)
		}
	}
	return taken
}

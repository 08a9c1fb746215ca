// Package product is what AMI, container and SaaS products share: the facets
// that describe a product to buyers, its visibility, and the change types and
// checks that are the same for all of them.
//
// A change type here works on Facets and is no change type by itself: an
// entity's package embeds it in its own one and calls its methods. Versions,
// delivery options and what else differs between products stand there.
package product

import (
	_ "embed"
	"slices"
	"strings"

	"souk/catalog/change"
)

// Visibility is the state of a product's life, and of a delivery option's.
type Visibility string

// The states of a product: a new one is a Draft, ReleaseProduct makes it
// Limited, UpdateVisibility leads on. Delivery options have the last three.
const (
	Draft      Visibility = "Draft"      // only its seller works on it
	Limited    Visibility = "Limited"    // complete; seen by its seller and invited accounts
	Public     Visibility = "Public"     // everybody may find it and subscribe
	Restricted Visibility = "Restricted" // no new subscribers
)

// Facets is the part of a product that all products share. It is stored, and
// shown by DescribeEntity, as it stands; lists are never nil once the product is created.
type Facets struct {
	Description          Description
	PromotionalResources PromotionalResources
	SupportInformation   SupportInformation
	RegionAvailability   RegionAvailability
	Dimensions           []Dimension `json:",omitempty"` // absent if there is none
	Targeting            *Targeting  `json:",omitempty"` // absent if nobody is invited
}

// Description is what buyers read first.
type Description struct {
	Highlights           []string
	LongDescription      string
	ProductCode          string  // 25 lower-case letters and digits, made by CreateProduct
	Manufacturer         *string // no page says how it is set: always null
	Visibility           Visibility
	AssociatedProducts   []string // null if there is none
	Sku                  *string  // null if unset
	SearchKeywords       []string
	ProductTitle         string
	ShortDescription     string
	Categories           []string
	ProductState         string // always Active
	ReplacementProductId string `json:",omitempty"` // of a Restricted product
}

// PromotionalResources is what stands beside the description.
type PromotionalResources struct {
	LogoUrl             string // under which Souk serves its copy; "" if there is none
	AdditionalResources []ResourceLink
	Videos              []Video
}

// ResourceLink is a link to further reading.
type ResourceLink struct {
	Type string // always Link
	Text string
	Url  string
}

// Video is a link to a video.
type Video struct {
	Type  string // always Link
	Title string
	Url   string
}

// SupportInformation says how buyers are helped.
type SupportInformation struct {
	Description string
	Resources   []string // no change type sets it: always empty
}

// RegionAvailability says where a product may be used.
type RegionAvailability struct {
	Regions             []string
	Restrict            []string // regions taken away
	FutureRegionSupport *string  // All, US or None; null if never set
}

// Shared returns the facets themselves: what Of finds in any product.
func (f *Facets) Shared() *Facets { return f }

// Of returns the facets of a product of any type, by its state; false for what
// is no product.
func Of(state any) (*Facets, bool) {
	p, ok := state.(interface{ Shared() *Facets })
	if !ok {
		return nil, false
	}
	return p.Shared(), true
}

// Listing is what ListEntities shows of a product.
func (f *Facets) Listing() change.Listing {
	return change.Listing{Name: f.Description.ProductTitle, Visibility: string(f.Description.Visibility)}
}

//go:embed categories.txt
var categories string

//go:embed regions.txt
var regions string

// lines returns the entries of a data file: no empty lines, no comments.
func lines(file string) []string {
	var entries []string
	for line := range strings.Lines(file) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			entries = append(entries, line)
		}
	}
	return entries
}

// unknownCategories returns the names that are none of AWS Marketplace's.
func unknownCategories(names []string) []string {
	if len(names) == 0 {
		return nil
	}
	known := lines(categories)
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(known, name) })
}

// list returns a copy that is never nil, so that it is shown as [].
func list(values []string) []string { return append([]string{}, values...) }

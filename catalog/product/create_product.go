package product

import (
	"unicode/utf8"

	"souk/catalog/change"
)

// CreateProduct makes a product in Draft, which only its seller sees.
//
// Work with seller products, "Create a product".
type CreateProduct struct {
	ProductTitle string // may come later by UpdateInformation. At most 72 characters.
}

// Check has the page's errors of the only field.
func (r *CreateProduct) Check(_ *Facets, c *change.Checks) {
	c.Refuse(SpaceBeforeTrademark(r.ProductTitle), "INVALID_INPUT", "Invalid ProductTitle field. Remove spaces before trademark symbol.", change.In("ProductTitle", r.ProductTitle))
	bad := UnsupportedInTitle(r.ProductTitle)
	c.Refuse(len(bad) > 0, "INVALID_INPUT", "Invalid ProductTitle field. Remove unsupported characters [UnsupportedCharacters].", bad)
	c.Refuse(SpaceAtBeginning(r.ProductTitle), "INVALID_INPUT", "Invalid ProductTitle field. Remove spaces from the beginning of the title.", change.In("ProductTitle", r.ProductTitle))
	c.Refuse(utf8.RuneCountInString(r.ProductTitle) > 72, "INVALID_INPUT", "Invalid ProductTitle field. Provide a title with fewer than [x] characters.", 72)
}

// Apply fills the facets of a new product.
func (r *CreateProduct) Apply(f *Facets, a *change.Applying) {
	*f = Facets{
		Description: Description{
			Highlights:     []string{},
			ProductCode:    a.IDs.New("", 25),
			Visibility:     Draft,
			SearchKeywords: []string{},
			ProductTitle:   r.ProductTitle,
			Categories:     []string{},
			ProductState:   "Active",
		},
		PromotionalResources: PromotionalResources{AdditionalResources: []ResourceLink{}, Videos: []Video{}},
		SupportInformation:   SupportInformation{Resources: []string{}},
		RegionAvailability:   RegionAvailability{Regions: Regions()[:atFirst], Restrict: []string{}},
	}
}

package product

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"souk/catalog/change"
)

// LogoRequirements is where the requirements of logos are written down; it
// stands in the texts of refused logos.
const LogoRequirements = "docs/operating.md#logos"

// UpdateInformation changes what buyers read about a product. "Each field is
// optional, but you must include at least one change to update."
//
// Catalog API Reference, "Updating product information for a container-based
// product" and "Updating product details for an AMI-based product". A null
// unsets a field.
type UpdateInformation struct {
	ProductTitle     change.Optional[string] // "Name of the product to be displayed to buyers." At most 72 characters.
	ShortDescription change.Optional[string] // "Description of key aspects of the product [...]. Typically 2–3 sentences." At most 1,000.
	LongDescription  change.Optional[string] // "Longer description of your product [...]. Typically 1–3 paragraphs." At most 5,000.
	Sku              change.Optional[string] // "A free-form string for you to define as a reference for your own use." At most 100.

	// "A URL to an image in a publicly accessible Amazon S3 bucket." Souk
	// fetches it from wherever it is and keeps a copy.
	LogoUrl change.Optional[string]
	// "A list of URLs to publicly available, externally hosted videos." At most 1.
	VideoUrls change.Optional[[]string]
	// "A list of short callouts for key product features." At most 3 of 500 characters.
	Highlights change.Optional[[]string]
	// "List of references to additional resources to learn about your product." At most 3.
	AdditionalResources change.Optional[[]AdditionalResource]
	// "Details about your support offerings for your product." At most 2,000 characters.
	SupportDescription change.Optional[string]
	// "A list of AWS Marketplace defined product categories that describe your product." 1 to 3.
	Categories change.Optional[[]string]
	// Ids of products that go well with this one. At most 10.
	AssociatedProducts change.Optional[[]string]
	// "A list of additional keywords for your product for the search
	// experience." At most 15 of 50 characters, 250 together.
	SearchKeywords change.Optional[[]string]
}

// AdditionalResource is a link to further reading.
type AdditionalResource struct {
	Text string // "The name or title of the resource." At most 500 characters.
	Url  string // "A URL to a resource that is helpful for a buyer to understand your product."
}

// Check states the page's errors in the page's order, then those that today's
// page has beyond them.
func (u *UpdateInformation) Check(f *Facets, c *change.Checks) {
	c.Refuse(!u.anyGiven(), "MISSING_UPDATES", "Nothing to update. Provide updated information for product.")
	c.Refuse(u.LogoUrl.Given && u.LogoUrl.Value == "", "MISSING_LOGO_URL", "Provide URL for logo stored in S3.")
	c.Refuse(len(unknownCategories(u.Categories.Value)) > 0, "INVALID_CATEGORY_NAMES", "Provide valid category names supported by AWS Marketplace.", change.In("Categories", unknownCategories(u.Categories.Value)...))

	title := u.ProductTitle.Value
	c.Refuse(SpaceBeforeTrademark(title), "INVALID_PRODUCT_TITLE", "Remove spaces before trademark symbol.", change.In("ProductTitle", title))
	bad := UnsupportedInTitle(title)
	c.Refuse(len(bad) > 0, "INVALID_PRODUCT_TITLE", "Remove unsupported characters [x, y, z].", bad)

	short := u.ShortDescription.Value
	c.Refuse(SpaceBeforeTrademark(short), "INVALID_SHORT_DESCRIPTION", "Remove spaces before trademark symbol.", change.In("ShortDescription", short))
	bad = Unsupported(short)
	c.Refuse(len(bad) > 0, "INVALID_SHORT_DESCRIPTION", "Remove unsupported characters [x, y, z].", bad)

	long := u.LongDescription.Value
	c.Refuse(SpaceBeforeTrademark(long), "INVALID_LONG_DESCRIPTION", "Remove spaces before trademark symbol.", change.In("LongDescription", long))
	bad = Unsupported(long)
	c.Refuse(len(bad) > 0, "INVALID_LONG_DESCRIPTION", "Remove unsupported characters [x, y, z].", bad)

	support := u.SupportDescription.Value
	c.Refuse(SpaceBeforeTrademark(support), "INVALID_SUPPORT_DESCRIPTION", "Remove spaces before trademark symbol.", change.In("SupportDescription", support))
	bad = Unsupported(support)
	c.Refuse(len(bad) > 0, "INVALID_SUPPORT_DESCRIPTION", "Remove unsupported characters [x, y, z].", bad)

	highlights := u.Highlights.Value
	c.Refuse(SpaceBeforeTrademark(highlights...), "INVALID_HIGHLIGHTS", "Remove spaces before trademark symbol.", change.In("Highlights", highlights...))
	bad = Unsupported(highlights...)
	c.Refuse(len(bad) > 0, "INVALID_HIGHLIGHTS", "Remove unsupported characters [x, y, z].", bad)

	resources := u.resourceTexts()
	c.Refuse(SpaceBeforeTrademark(resources...), "INVALID_ADDITIONAL_RESOURCES", "Remove spaces before trademark symbol.", change.In("AdditionalResources", resources...))
	bad = Unsupported(resources...)
	c.Refuse(len(bad) > 0, "INVALID_ADDITIONAL_RESOURCES", "Remove unsupported characters [x, y, z].", bad)

	n := len(u.Categories.Value)
	unset := u.Categories.Given && n == 0 && len(f.Description.Categories) > 0
	c.Refuse(unset || n > 3, "INVALID_PRODUCT_CATEGORIES", "Provide between 1 and 3 product categories.", change.In("Categories", u.Categories.Value...))

	u.checkToday(f, c)
}

// checkToday states what only today's page has (Work with seller products,
// "Update information about the product").
func (u *UpdateInformation) checkToday(f *Facets, c *change.Checks) {
	unset := u.unset(f)
	c.Refuse(len(unset) > 0, "INVALID_INPUT", "Provide [x].", unset)
	spaces := u.beginWithSpace()
	c.Refuse(len(spaces) > 0, "INVALID_INPUT", "Remove spaces from the beginning of [x].", spaces)
	limits := u.beyondLimits()
	c.Refuse(len(limits) > 0, "INVALID_INPUT", "Provide values within their limits: [x].", []string(limits))
	c.Refuse(utf8.RuneCountInString(strings.Join(u.SearchKeywords.Value, "")) > 250, "INVALID_INPUT", "Search keywords must be no more than 250 combined characters.")

	var links, videos []string
	for _, resource := range u.AdditionalResources.Value {
		if !IsURL(resource.Url) {
			links = append(links, resource.Url)
		}
	}
	for _, video := range u.VideoUrls.Value {
		if !IsURL(video) {
			videos = append(videos, video)
		}
	}
	c.Refuse(len(links) > 0, "INVALID_ADDITIONAL_RESOURCES", "Invalid URLs in AdditionalResources: [InvalidAdditionalResourcesUrls] Provide valid URLs.", links)
	c.Refuse(len(videos) > 0, "INVALID_MEDIA", "Invalid URL: {MediaUrl} Provide a valid URL that does not exceed 2048 characters.", videos)
}

// Probe fetches the logo. A product's present LogoUrl names Souk's own copy,
// which is there already.
func (u *UpdateInformation) Probe(ctx context.Context, f *Facets, c *change.Checks) error {
	if !u.LogoUrl.Given || u.LogoUrl.Value == f.PromotionalResources.LogoUrl {
		return nil
	}
	kept, err := c.World.Logos.Copy(ctx, u.LogoUrl.Value)
	unreachable, unsuitable := errors.Is(err, change.ErrLogoUnreachable), errors.Is(err, change.ErrLogoNotSupported)
	c.Refuse(unreachable, "LOGO_COPY_FAILURE", "There was an issue copying the logo from S3. Provide a new URL for logo stored in S3.")
	c.Refuse(unsuitable, "INVALID_IMAGE_PROPERTIES", "Provide an image that meets the product logo requirements. (link)", LogoRequirements)
	if unreachable || unsuitable {
		c.Explain(err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("copying the logo of %s: %w", c.Entity.ID, err)
	}
	c.Keep("LogoUrl", kept)
	return nil
}

// Apply writes what was given.
func (u *UpdateInformation) Apply(f *Facets, a *change.Applying) {
	d, p := &f.Description, &f.PromotionalResources
	u.ProductTitle.Update(&d.ProductTitle)
	u.ShortDescription.Update(&d.ShortDescription)
	u.LongDescription.Update(&d.LongDescription)
	u.SupportDescription.Update(&f.SupportInformation.Description)
	if u.Sku.Given {
		d.Sku = nil
		if u.Sku.Value != "" {
			d.Sku = &u.Sku.Value
		}
	}
	if kept, ok := a.Found["LogoUrl"]; ok {
		p.LogoUrl = kept
	}
	if u.VideoUrls.Given {
		p.Videos = []Video{}
		for _, url := range u.VideoUrls.Value {
			p.Videos = append(p.Videos, Video{Type: "Link", Url: url})
		}
	}
	if u.Highlights.Given {
		d.Highlights = list(u.Highlights.Value)
	}
	if u.AdditionalResources.Given {
		p.AdditionalResources = []ResourceLink{}
		for _, resource := range u.AdditionalResources.Value {
			p.AdditionalResources = append(p.AdditionalResources, ResourceLink{Type: "Link", Text: resource.Text, Url: resource.Url})
		}
	}
	if u.Categories.Given {
		d.Categories = list(u.Categories.Value)
	}
	if u.AssociatedProducts.Given {
		d.AssociatedProducts = nil
		if len(u.AssociatedProducts.Value) > 0 {
			d.AssociatedProducts = list(u.AssociatedProducts.Value)
		}
	}
	if u.SearchKeywords.Given {
		d.SearchKeywords = list(u.SearchKeywords.Value)
	}
}

func (u *UpdateInformation) anyGiven() bool {
	return u.ProductTitle.Given || u.ShortDescription.Given || u.LongDescription.Given || u.Sku.Given ||
		u.LogoUrl.Given || u.VideoUrls.Given || u.Highlights.Given || u.AdditionalResources.Given ||
		u.SupportDescription.Given || u.Categories.Given || u.AssociatedProducts.Given || u.SearchKeywords.Given
}

// unset names the fields that the change would empty although a product that
// has left Draft needs them.
func (u *UpdateInformation) unset(f *Facets) []string {
	if f.Description.Visibility == Draft {
		return nil
	}
	var names []string
	for _, field := range []struct {
		name    string
		wanted  change.Optional[string]
		present string
	}{
		{"ProductTitle", u.ProductTitle, f.Description.ProductTitle},
		{"ShortDescription", u.ShortDescription, f.Description.ShortDescription},
		{"LongDescription", u.LongDescription, f.Description.LongDescription},
		{"SupportDescription", u.SupportDescription, f.SupportInformation.Description},
	} {
		if field.wanted.Given && field.wanted.Value == "" && field.present != "" {
			names = append(names, field.name)
		}
	}
	return names
}

// beginWithSpace names the fields whose text begins with a space.
func (u *UpdateInformation) beginWithSpace() []string {
	var names []string
	for _, field := range []struct{ name, text string }{
		{"ProductTitle", u.ProductTitle.Value},
		{"ShortDescription", u.ShortDescription.Value},
		{"LongDescription", u.LongDescription.Value},
		{"SupportDescription", u.SupportDescription.Value},
	} {
		if SpaceAtBeginning(field.text) {
			names = append(names, field.name)
		}
	}
	return names
}

func (u *UpdateInformation) beyondLimits() Limits {
	var l Limits
	l.Characters("ProductTitle", u.ProductTitle.Value, 72)
	l.Characters("ShortDescription", u.ShortDescription.Value, 1000)
	l.Characters("LongDescription", u.LongDescription.Value, 5000)
	l.Characters("Sku", u.Sku.Value, 100)
	l.Characters("SupportDescription", u.SupportDescription.Value, 2000)
	l.Items("VideoUrls", len(u.VideoUrls.Value), 1)
	l.Items("Highlights", len(u.Highlights.Value), 3)
	for i, highlight := range u.Highlights.Value {
		l.Characters("Highlights/"+strconv.Itoa(i), highlight, 500)
	}
	l.Items("AdditionalResources", len(u.AdditionalResources.Value), 3)
	for i, resource := range u.AdditionalResources.Value {
		l.Characters("AdditionalResources/"+strconv.Itoa(i)+"/Text", resource.Text, 500)
	}
	l.Items("AssociatedProducts", len(u.AssociatedProducts.Value), 10)
	l.Items("SearchKeywords", len(u.SearchKeywords.Value), 15)
	for i, keyword := range u.SearchKeywords.Value {
		l.Characters("SearchKeywords/"+strconv.Itoa(i), keyword, 50)
	}
	return l
}

func (u *UpdateInformation) resourceTexts() []string {
	var texts []string
	for _, resource := range u.AdditionalResources.Value {
		texts = append(texts, resource.Text)
	}
	return texts
}

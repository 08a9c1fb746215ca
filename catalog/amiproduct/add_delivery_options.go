package amiproduct

import (
	"cmp"
	"context"
	"strconv"
	"unicode/utf8"

	"souk/catalog/change"
	"souk/catalog/product"
)

// AddDeliveryOptions adds a version to an AMI product. "A version is made up of
// a single delivery option, which is the AMI that you are making available." A
// version may also have EC2 Image Builder components, in the AMI's place or
// beside it.
//
// Catalog API Reference, "Adding a new version to an AMI-based product" and "Work
// with EC2 Image Builder component products".
type AddDeliveryOptions struct {
	Version         *NewVersion         // "Details about the software version you are adding. Made up of a title and release notes."
	DeliveryOptions []NewDeliveryOption // at most one AMI option, and options with components
}

// NewVersion names a version.
type NewVersion struct {
	VersionTitle string // "Unique name of the version." At most 64 characters.
	ReleaseNotes string // "Notes for buyers to tell them about changes from one version to the next." At most 30,000 characters.
}

// NewDeliveryOption is a delivery option of the new version.
type NewDeliveryOption struct {
	// DeliveryOptionTitle is that of an option with a component, at most 72
	// characters; "" for the component's name. An AMI option has no title of its own.
	DeliveryOptionTitle string
	Details             *DeliveryOptionDetails // "Holds the details of an AMI delivery option", or of a component
}

// Valid refuses documents that lack what no listed error speaks of.
func (r *AddDeliveryOptions) Valid(c *change.Checks) {
	var missing product.Missing
	if r.Version == nil {
		missing.Require("/", "Version", "")
	} else {
		missing.Require("/Version", "VersionTitle", r.Version.VersionTitle, "ReleaseNotes", r.Version.ReleaseNotes)
	}
	if len(r.DeliveryOptions) == 0 {
		missing.Require("/", "DeliveryOptions", "")
	}
	amis := 0
	for i, option := range r.DeliveryOptions {
		option.Details.requireNew(&missing, "/DeliveryOptions/"+strconv.Itoa(i)+"/Details")
		if option.Details.ami() != nil {
			amis++
		}
		if utf8.RuneCountInString(option.DeliveryOptionTitle) > 72 {
			missing = append(missing, "JSON at /DeliveryOptions/"+strconv.Itoa(i)+"/DeliveryOptionTitle has more than 72 characters")
		}
	}
	if amis > 1 {
		missing = append(missing, "JSON at /DeliveryOptions has "+strconv.Itoa(amis)+" AMI delivery options, not 1")
	}
	c.Refuse(len(missing) > 0, "422", "Provided Details is not valid. [x].", []string(missing))
}

// Check states the page's errors.
func (r *AddDeliveryOptions) Check(p *Product, c *change.Checks) {
	var templates bool
	var titles []string
	for _, option := range r.DeliveryOptions {
		templates = templates || option.Details != nil && option.Details.DeploymentTemplateDeliveryOptionDetails != nil
		if option.Details.component() != nil && option.DeliveryOptionTitle != "" {
			titles = append(titles, option.DeliveryOptionTitle)
		}
	}
	title, notes := r.version()
	c.Refuse(p.Description.Visibility == product.Restricted, "INVALID_PRODUCT", "Use an existing limited or public product.")
	c.Refuse(p.hasVersionTitle(title), "DUPLICATE_VERSION_TITLE", "The version title must be different from any other version titles of this product.", change.In("VersionTitle", title))
	checkVersionTitle(c, title)
	checkReleaseNotes(c, notes)
	if details := r.amiDetails(); details != nil {
		checkDetails(c, p, []*AmiDeliveryOptionDetails{details})
		checkSource(c, *details.AmiSource, p.Compatibility.beside(details.RecommendedInstanceType.Value))
	}
	checkComponents(c, p, r.components())
	c.Refuse(len(product.Repeated(titles)) > 0, "DUPLICATE_DELIVERY_OPTION_TITLES", "Provide unique delivery option title.", change.In("DeliveryOptionTitle", product.Repeated(titles)...))
	c.Refuse(templates, "INVALID_DETAILS", "CloudFormation delivery options are not offered. Provide AmiDeliveryOptionDetails.")
}

// Probe looks the AMI up, has it scanned, and keeps a copy of it; then it looks
// the components up, tries them, and keeps copies of them.
func (r *AddDeliveryOptions) Probe(ctx context.Context, p *Product, c *change.Checks) error {
	if details := r.amiDetails(); details != nil {
		title, _ := r.version()
		err := probeSource(ctx, p, c, title, *details.AmiSource, details.RecommendedInstanceType.Value)
		if err != nil || len(c.Refusals()) > 0 {
			return err
		}
	}
	return probeComponents(ctx, p, c, r.components())
}

// Apply adds the version. The first one with an AMI brings the instance type that
// it recommends, if none was chosen.
func (r *AddDeliveryOptions) Apply(p *Product, a *change.Applying) {
	title, notes := r.version()
	v := Version{
		Title: title, ReleaseNotes: notes, Created: a.Now.UTC().Format("2006-01-02T15:04:05.000Z07:00"), Sources: []Source{}, DeliveryOptions: []DeliveryOption{},
	}
	if details := r.amiDetails(); details != nil {
		v.ID = a.IDs.UUID()
		source := foundSource(*details.AmiSource, a)
		option := DeliveryOption{
			ID:             cmp.Or(a.Found[foundOption], a.IDs.UUID()), // the latter after a probe that kept none
			SourceID:       source.ID,
			Title:          "(" + source.Architecture + ") Amazon Machine Image",
			SecurityGroups: []SecurityGroup{},
			Visibility:     product.Public,
		}
		details.update(&option)
		v.Sources, v.DeliveryOptions = append(v.Sources, source), append(v.DeliveryOptions, option)
		if len(p.Compatibility.AvailableInstanceTypes) == 0 {
			p.Compatibility.AvailableInstanceTypes = []string{option.RecommendedInstanceType}
		}
	}
	components, options := r.foundComponents(a)
	v.Components, v.DeliveryOptions = components, append(v.DeliveryOptions, options...)
	if len(v.DeliveryOptions) == 0 {
		return
	}
	if v.ID == "" {
		v.ID = a.IDs.UUID()
	}
	p.Versions = append(p.Versions, v)
}

// components are the details of the options with components.
func (r *AddDeliveryOptions) components() []ComponentDeliveryOptionDetails {
	var all []ComponentDeliveryOptionDetails
	for _, option := range r.DeliveryOptions {
		if details := option.Details.component(); details != nil {
			all = append(all, *details)
		}
	}
	return all
}

func (r *AddDeliveryOptions) version() (title, notes string) {
	if r.Version == nil {
		return "", ""
	}
	return r.Version.VersionTitle, r.Version.ReleaseNotes
}

// amiDetails returns the details of the AMI option, nil if there is none.
func (r *AddDeliveryOptions) amiDetails() *AmiDeliveryOptionDetails {
	for _, option := range r.DeliveryOptions {
		if details := option.Details.ami(); details != nil && details.AmiSource != nil {
			return details
		}
	}
	return nil
}

// hasVersionTitle says whether a version has a title.
func (p *Product) hasVersionTitle(title string) bool {
	for i := range p.Versions {
		if p.Versions[i].Title == title {
			return true
		}
	}
	return false
}

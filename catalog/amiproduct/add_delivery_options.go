package amiproduct

import (
	"cmp"
	"context"
	"strconv"

	"souk/catalog/change"
	"souk/catalog/product"
)

// AddDeliveryOptions adds a version to an AMI product. "A version is made up of
// a single delivery option, which is the AMI that you are making available."
//
// Catalog API Reference, "Adding a new version to an AMI-based product".
type AddDeliveryOptions struct {
	Version         *NewVersion         // "Details about the software version you are adding. Made up of a title and release notes."
	DeliveryOptions []NewDeliveryOption // one AMI option
}

// NewVersion names a version.
type NewVersion struct {
	VersionTitle string // "Unique name of the version." At most 64 characters.
	ReleaseNotes string // "Notes for buyers to tell them about changes from one version to the next." At most 30,000 characters.
}

// NewDeliveryOption is a delivery option of the new version. An AMI option has
// no title of its own.
type NewDeliveryOption struct {
	Details *DeliveryOptionDetails // "Holds the details of an AMI delivery option."
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
	}
	if amis > 1 {
		missing = append(missing, "JSON at /DeliveryOptions has "+strconv.Itoa(amis)+" AMI delivery options, not 1")
	}
	c.Refuse(len(missing) > 0, "422", "Provided Details is not valid. [x].", []string(missing))
}

// Check states the page's errors.
func (r *AddDeliveryOptions) Check(p *Product, c *change.Checks) {
	var templates bool
	var components []ComponentDeliveryOptionDetails
	for _, option := range r.DeliveryOptions {
		if option.Details == nil {
			continue
		}
		templates = templates || option.Details.DeploymentTemplateDeliveryOptionDetails != nil
		if component := option.Details.Ec2ImageBuilderComponentDeliveryOptionDetails; component != nil {
			components = append(components, *component)
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
	checkComponents(c, components)
	c.Refuse(templates, "INVALID_DETAILS", "CloudFormation delivery options are not offered. Provide AmiDeliveryOptionDetails.")
	c.Refuse(len(components) > 0, "INVALID_DETAILS", "EC2 Image Builder component delivery options are not offered yet. Provide AmiDeliveryOptionDetails.")
}

// checkComponents states the rules of the form of component options. The texts
// of their usage instructions are those of AMI options.
func checkComponents(c *change.Checks, components []ComponentDeliveryOptionDetails) {
	var usages, malformed []string
	var roles change.Wrong
	for _, component := range components {
		usages = append(usages, component.UsageInstructions)
		roles.If(!roleARN.MatchString(component.AccessRoleArn), "AccessRoleArn", component.AccessRoleArn)
		if !componentARN.MatchString(component.ComponentArn) {
			malformed = append(malformed, component.ComponentArn)
		}
	}
	checkUsage(c, usages)
	c.Refuse(len(roles) > 0, "INVALID_ARN", "Provide a valid ARN for component access.", roles)
	c.Refuse(len(malformed) > 0, "INVALID_IB_COMPONENT", "Provide the ARN of a version of an EC2 Image Builder component. Invalid: [x].", malformed)
}

// Probe looks the AMI up, has it scanned, and keeps a copy of it.
func (r *AddDeliveryOptions) Probe(ctx context.Context, p *Product, c *change.Checks) error {
	details := r.amiDetails()
	if details == nil {
		return nil
	}
	title, _ := r.version()
	return probeSource(ctx, p, c, title, *details.AmiSource, details.RecommendedInstanceType.Value)
}

// Apply adds the version. The first one brings the instance type that it
// recommends, if none was chosen.
func (r *AddDeliveryOptions) Apply(p *Product, a *change.Applying) {
	details := r.amiDetails()
	if details == nil {
		return
	}
	title, notes := r.version()
	id, source := a.IDs.UUID(), foundSource(*details.AmiSource, a)
	option := DeliveryOption{
		ID:             cmp.Or(a.Found[foundOption], a.IDs.UUID()), // the latter after a probe that kept none
		SourceID:       source.ID,
		Title:          "(" + source.Architecture + ") Amazon Machine Image",
		SecurityGroups: []SecurityGroup{},
		Visibility:     product.Public,
	}
	details.update(&option)
	p.Versions = append(p.Versions, Version{
		ID:              id,
		Title:           title,
		ReleaseNotes:    notes,
		Created:         a.Now.UTC().Format("2006-01-02T15:04:05.000Z07:00"),
		Sources:         []Source{source},
		DeliveryOptions: []DeliveryOption{option},
	})
	if len(p.Compatibility.AvailableInstanceTypes) == 0 {
		p.Compatibility.AvailableInstanceTypes = []string{option.RecommendedInstanceType}
	}
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

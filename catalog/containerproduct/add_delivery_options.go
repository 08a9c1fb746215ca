package containerproduct

import (
	"cmp"
	"context"
	"slices"
	"strconv"

	"souk/catalog/change"
	"souk/catalog/product"
)

// AddDeliveryOptions adds a version to a container-based product. "A version of
// a container-based product is made up of one or more delivery options."
//
// Catalog API Reference, "Adding a new version to a container-based product".
type AddDeliveryOptions struct {
	Version         *NewVersion         // "Details about the version that you are adding to your product."
	DeliveryOptions []NewDeliveryOption // "each is a method of delivery for your product version"; at least one
}

// NewVersion names a version.
type NewVersion struct {
	VersionTitle string // "Your buyers will be able to choose the version to deploy from a list of version titles." At most 64 characters.
	ReleaseNotes string // "The detailed notes about this version. Must be less than 30,000 characters."
}

// NewDeliveryOption is a delivery option of the new version.
type NewDeliveryOption struct {
	DeliveryOptionTitle string             // "A short description that helps your buyer to choose between your delivery options." At most 72 characters.
	Visibility          product.Visibility // Public (if it is not given) or Limited; an add-on is always Limited
	Details             *DeliveryOptionDetails
}

// Valid refuses documents that lack what no listed error speaks of.
func (r *AddDeliveryOptions) Valid(c *change.Checks) {
	var missing product.Missing
	if r.Version == nil {
		missing.Require("/", "Version", "")
	} else {
		missing.Require("/Version", "VersionTitle", r.Version.VersionTitle, "ReleaseNotes", r.Version.ReleaseNotes)
	}
	if r.DeliveryOptions == nil {
		missing.Require("/", "DeliveryOptions", "")
	}
	for i, option := range r.DeliveryOptions {
		at := "/DeliveryOptions/" + strconv.Itoa(i)
		missing.Require(at, "DeliveryOptionTitle", option.DeliveryOptionTitle)
		option.Details.require(&missing, at+"/Details", true)
	}
	c.Refuse(len(missing) > 0, "422", "Provided Details is not valid. [x].", []string(missing))
}

// Check states the page's errors.
func (r *AddDeliveryOptions) Check(p *Product, c *change.Checks) {
	var publicAddOn, unusable bool
	var states []string
	for _, option := range r.DeliveryOptions {
		kinds := option.Details.kinds()
		unusable = unusable || len(kinds) != 1
		publicAddOn = publicAddOn || option.Visibility == product.Public && slices.Equal(kinds, []string{"EksAddOnDeliveryOptionDetails"})
		if v := option.Visibility; v != "" && v != product.Public && v != product.Limited {
			states = append(states, string(v))
		}
	}
	c.Refuse(p.Description.Visibility == product.Restricted, "INCOMPATIBLE_PRODUCT_STATUS", "Use an existing limited or public product.")
	title, notes := r.version()
	checkVersion(c, title, notes)
	c.Refuse(p.hasVersionTitle(title, nil), "DUPLICATE_VERSION_TITLE", "The version title must be different from any other version titles of this product.")
	c.Refuse(unusable, "INVALID_DETAILS", "Provided Details is not valid.")
	c.Refuse(len(r.DeliveryOptions) == 0, "INVALID_DELIVERY_OPTIONS_INPUT", "Provide at least 1 delivery option.")
	c.Refuse(len(states) > 0, "INVALID_VISIBILITY_STATE", "The states [invalid_states] are invalid. Provide a valid visibility state from the following allowed values: Public, Limited.", states)

	options := r.options()
	checkDeliveryOptions(c, options)
	checkAddOns(c, options, p.options())
	checkNewAddOns(c, p, options, publicAddOn)
	checkServiceAccounts(c, p, options)
	checkRoles(c, r.roles())
	c.Refuse(p.hasOptionTitle(title, options), "INVALID_DELIVERY_OPTION_TITLES", "Delivery option title already exists, retry with a different title.")
}

// Probe looks images and charts up, and asks whether another product has the
// add-on's name and whether an offer makes the product a paid one.
func (r *AddDeliveryOptions) Probe(ctx context.Context, p *Product, c *change.Checks) error {
	options := r.options()
	if err := probeAddOnName(ctx, c, p, options); err != nil {
		return err
	}
	if err := probeServiceAccounts(ctx, c, options); err != nil {
		return err
	}
	if err := probeRoles(ctx, c, r.roles()); err != nil || len(c.Refusals()) > 0 {
		return err
	}
	title, _ := r.version()
	for i := range options {
		options[i].ID = c.ID("delivery option " + options[i].Title + " of version " + title)
	}
	if err := probeDeliveryOptions(ctx, c, options); err != nil || len(c.Refusals()) > 0 {
		return err
	}
	for _, option := range options {
		c.Keep(foundOption+option.Title, option.ID)
	}
	return nil
}

// foundOption and a title is what Probe keeps the id of a new option by. No URI
// has a blank.
const foundOption = "delivery option "

// Apply adds the version.
func (r *AddDeliveryOptions) Apply(p *Product, a *change.Applying) {
	title, notes := r.version()
	version := Version{
		ID:              a.IDs.UUID(),
		Title:           title,
		ReleaseNotes:    notes,
		Created:         a.Now.UTC().Format("2006-01-02T15:04:05.000Z07:00"),
		DeliveryOptions: r.options(),
	}
	for i := range version.DeliveryOptions {
		version.DeliveryOptions[i].SourceID = a.IDs.UUID()
		version.DeliveryOptions[i].ID = cmp.Or(a.Found[foundOption+version.DeliveryOptions[i].Title], a.IDs.UUID()) // the latter after a probe that kept none
	}
	pin(version.DeliveryOptions, a)
	p.claimAddOn(version.DeliveryOptions, a)
	p.Versions = append(p.Versions, version)
}

func (r *AddDeliveryOptions) version() (title, notes string) {
	if r.Version == nil {
		return "", ""
	}
	return r.Version.VersionTitle, r.Version.ReleaseNotes
}

// options returns the options as they would become, without ids and pins. Those
// whose details are unusable are left out.
func (r *AddDeliveryOptions) options() []DeliveryOption {
	options := []DeliveryOption{}
	for _, given := range r.DeliveryOptions {
		if len(given.Details.kinds()) != 1 {
			continue
		}
		option := DeliveryOption{Visibility: product.Public, CompatibleServices: []string{}, Images: []Image{}}
		if given.Visibility != "" {
			option.Visibility = given.Visibility
		}
		if given.Details.HelmDeliveryOptionDetails != nil {
			option.Helm = &Helm{OverrideParameters: []OverrideParameter{}}
		}
		if given.Details.EksAddOnDeliveryOptionDetails != nil {
			option.Visibility = product.Limited
			option.AddOn = &AddOn{KubernetesVersions: []string{}, Architectures: []string{}, Environment: []EnvironmentOverrideParameter{}}
		}
		given.Details.update(&option)
		option.Title = given.DeliveryOptionTitle
		options = append(options, option)
	}
	return options
}

// hasOptionTitle says whether a version of a title has an option of the same
// title as one of options; versions of other titles may have it.
func (p *Product) hasOptionTitle(version string, options []DeliveryOption) bool {
	for _, v := range p.Versions {
		for _, o := range v.DeliveryOptions {
			if v.Title == version && slices.ContainsFunc(options, func(n DeliveryOption) bool { return n.Title == o.Title }) {
				return true
			}
		}
	}
	return false
}

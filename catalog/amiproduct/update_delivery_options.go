package amiproduct

import (
	"strconv"

	"souk/catalog/change"
	"souk/catalog/product"
)

// UpdateDeliveryOptions changes the texts and recommendations of a version of an
// AMI product. "You cannot update the AMI for the version. If you need to update
// the AMI, create a new version instead."
//
// Catalog API Reference, "Updating version information for an AMI-based
// product". Publishing programs send the whole document of AddDeliveryOptions
// again; what can't be changed has to be as it is.
type UpdateDeliveryOptions struct {
	Version         *VersionUpdate
	DeliveryOptions []DeliveryOptionUpdate
}

// VersionUpdate has what is to change in the version.
type VersionUpdate struct {
	VersionTitle string                  // as it is, or left out
	ReleaseNotes change.Optional[string] // "Notes for buyers to tell them about changes from one version to the next." At most 30,000 characters.
}

// DeliveryOptionUpdate has what is to change in an option.
type DeliveryOptionUpdate struct {
	Id      string                 // "Unique identifier for the DeliveryOption", as DescribeEntity shows it
	Details *DeliveryOptionDetails // what is not given stays
}

// Valid refuses options without id or details, and what would be unset.
func (u *UpdateDeliveryOptions) Valid(c *change.Checks) {
	var missing product.Missing
	if u.Version != nil && u.Version.ReleaseNotes.Given {
		missing.Require("/Version", "ReleaseNotes", u.Version.ReleaseNotes.Value)
	}
	for i, option := range u.DeliveryOptions {
		at := "/DeliveryOptions/" + strconv.Itoa(i)
		missing.Require(at, "Id", option.Id)
		if option.Details != nil {
			option.Details.requireUpdated(&missing, at+"/Details")
		}
	}
	c.Refuse(len(missing) > 0, "422", "Provided Details is not valid. [x].", []string(missing))
}

// Check states the page's errors, then those of the values that are given.
func (u *UpdateDeliveryOptions) Check(p *Product, c *change.Checks) {
	var unknown, fixed []string
	var given []*AmiDeliveryOptionDetails
	var updated *Version
	several := false
	var usages []string
	for _, option := range u.DeliveryOptions {
		version, present := p.find(option.Id)
		if version == nil {
			unknown = append(unknown, option.Id)
			continue
		}
		several = several || updated != nil && updated != version
		updated = version
		installer := version.component(present)
		if details := option.Details.component(); details != nil && installer != nil {
			usages = append(usages, details.UsageInstructions.Value)
			fixed = union(fixed, details.changed(installer))
		}
		if option.Details != nil && (option.Details.component() != nil) != (installer != nil) {
			fixed = union(fixed, []string{"the type of option " + option.Id})
			continue
		}
		if details := option.Details.ami(); details != nil {
			given = append(given, details)
			fixed = union(fixed, details.AmiSource.changed(version.source(present)))
		}
	}
	if updated != nil && u.Version != nil && u.Version.VersionTitle != "" && u.Version.VersionTitle != updated.Title {
		fixed = append(fixed, "VersionTitle")
	}
	c.Refuse(p.Description.Visibility == product.Restricted, "INVALID_PRODUCT", "Use an existing limited or public product.")
	c.Refuse(len(u.DeliveryOptions) == 0, "MISSING_DELIVERY_OPTION_IDS", "Provide at least one delivery option ID.")
	c.Refuse(len(unknown) > 0, "INVALID_DELIVERY_OPTION_IDS", "Provide delivery option IDs that can be found in the product. IDs not found: [x]", unknown)
	c.Refuse(several, "INVALID_DELIVERY_OPTIONS", "Provide delivery option IDs that belong to the same version.")
	c.Refuse(len(fixed) > 0, "INVALID_DELIVERY_OPTIONS", "Add a new version instead of changing [x] of this one.", fixed)
	repeated := product.Repeated(u.ids())
	c.Refuse(len(repeated) > 0, "INVALID_DELIVERY_OPTIONS", "Provide unique delivery option IDs. Duplicates: [x].", repeated)
	if u.Version != nil {
		checkReleaseNotes(c, u.Version.ReleaseNotes.Value)
	}
	checkDetails(c, p, given, usages...)
}

// Apply writes what was given.
func (u *UpdateDeliveryOptions) Apply(p *Product, _ *change.Applying) {
	for _, given := range u.DeliveryOptions {
		version, option := p.find(given.Id)
		if version == nil {
			continue
		}
		if u.Version != nil {
			u.Version.ReleaseNotes.Update(&version.ReleaseNotes)
		}
		given.Details.ami().update(option)
		if details := given.Details.component(); details != nil {
			details.UsageInstructions.Update(&option.UsageInstructions)
		}
	}
}

func (u *UpdateDeliveryOptions) ids() []string {
	var ids []string
	for _, option := range u.DeliveryOptions {
		ids = append(ids, option.Id)
	}
	return ids
}

// changed names the fields of a source that is sent with an update and are other
// than they were.
func (s *AmiSource) changed(present *Source) []string {
	if s == nil || present == nil {
		return nil
	}
	wanted, have := s.system(), present.OperatingSystem
	if s.ScanningPort == nil {
		wanted.ScanningPort = have.ScanningPort
	}
	var names []string
	for _, field := range []struct {
		name  string
		other bool
	}{
		{"AmiId", s.AmiId != "" && s.AmiId != present.AMI},
		{"AccessRoleArn", s.AccessRoleArn != "" && s.AccessRoleArn != present.AccessRoleArn},
		{"UserName", s.UserName != "" && wanted.Username != have.Username},
		{"ScanningPort", wanted.ScanningPort != have.ScanningPort},
		{"OperatingSystemName", s.OperatingSystemName != "" && wanted.Name != have.Name},
		{"OperatingSystemVersion", s.OperatingSystemVersion != "" && wanted.Version != have.Version},
	} {
		if field.other {
			names = append(names, field.name)
		}
	}
	return names
}

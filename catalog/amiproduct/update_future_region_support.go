package amiproduct

import (
	"souk/catalog/change"
	"souk/catalog/product"
)

// noFutureRegions is the support of a product that was never asked.
const noFutureRegions = "None"

// futureRegions are what SupportedRegions may be.
var futureRegions = []string{"All", "US", noFutureRegions}

// UpdateFutureRegionSupport says in which of the Regions that AWS opens later an
// AMI product will be available. Souk notes and shows it; it opens no Regions.
//
// Work with AMI-based products, "Update future AWS Region support".
type UpdateFutureRegionSupport struct {
	FutureRegionSupport *FutureRegionSupport
}

// FutureRegionSupport is the one member of the change.
type FutureRegionSupport struct {
	SupportedRegions []string // exactly one of All, US and None
}

// Valid refuses documents without the member.
func (u *UpdateFutureRegionSupport) Valid(c *change.Checks) {
	var missing product.Missing
	if u.FutureRegionSupport == nil {
		missing.Require("/", "FutureRegionSupport", "")
	}
	c.Refuse(len(missing) > 0, "422", "Provided Details is not valid. [x].", []string(missing))
}

// Check states the page's errors.
func (u *UpdateFutureRegionSupport) Check(_ *Product, c *change.Checks) {
	given := u.given()
	other := without(given, futureRegions)
	c.Refuse(len(given) > 1, "TOO_MANY_REGIONS", "Currently, only 1 value is supported for FutureRegionSupport: All, US, or None")
	c.Refuse(len(other) > 0, "INVALID_REGIONS", "Requested Regions [a, b, c] are invalid or unavailable. Only supported values are [x, y, z].", other, futureRegions)
	c.Refuse(len(given) == 0, "INVALID_INPUT", "SupportedRegions can't be empty.")
}

// Apply notes the support.
func (u *UpdateFutureRegionSupport) Apply(p *Product, _ *change.Applying) {
	for _, support := range u.given() {
		p.RegionAvailability.FutureRegionSupport = &support
	}
}

func (u *UpdateFutureRegionSupport) given() []string {
	if u.FutureRegionSupport == nil {
		return nil
	}
	return u.FutureRegionSupport.SupportedRegions
}

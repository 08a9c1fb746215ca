package amiproduct

import (
	"souk/catalog/change"
)

// RestrictRegions takes AWS Regions away from an AMI product: new subscribers
// don't get it there any more.
//
// Work with AMI-based products, "Restrict an AWS Region".
type RestrictRegions struct {
	Regions []string // 1 to 100 that the product is available in, and not all of them
}

// Valid refuses too many Regions.
func (r *RestrictRegions) Valid(c *change.Checks) { checkRegionCount(c, r.Regions) }

// Check states the page's errors.
func (r *RestrictRegions) Check(p *Product, c *change.Checks) {
	available := p.RegionAvailability.Regions
	checkRegions(c, r.Regions, available)
	c.Refuse(len(available) > 0 && len(without(available, r.Regions)) == 0, "INVALID_REGIONS", "Provide fewer Regions to restrict as at least one must remain available.")
}

// Apply restricts the Regions.
func (r *RestrictRegions) Apply(p *Product, _ *change.Applying) {
	available := &p.RegionAvailability
	available.Regions = without(available.Regions, r.Regions)
	available.Restrict = union(available.Restrict, r.Regions)
}

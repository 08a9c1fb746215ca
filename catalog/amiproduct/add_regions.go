package amiproduct

import (
	"strconv"

	"souk/catalog/change"
	"souk/catalog/product"
)

// mostRegions is how many Regions one change names at most.
const mostRegions = 100

// AddRegions makes an AMI product available in further AWS Regions. A Region
// that was restricted is open again; one that it has already stays.
//
// Work with AMI-based products, "Add a supported AWS Region".
type AddRegions struct {
	Regions []string // "Valid AWS Region code strings." 1 to 100.
}

// Valid refuses too many Regions.
func (r *AddRegions) Valid(c *change.Checks) { checkRegionCount(c, r.Regions) }

// Check states the page's errors.
func (r *AddRegions) Check(_ *Product, c *change.Checks) {
	checkRegions(c, r.Regions, product.Regions())
}

// Apply opens the Regions.
func (r *AddRegions) Apply(p *Product, _ *change.Applying) {
	available := &p.RegionAvailability
	available.Regions = union(available.Regions, r.Regions)
	available.Restrict = without(available.Restrict, r.Regions)
}

func checkRegionCount(c *change.Checks, regions []string) {
	var missing product.Missing
	if len(regions) > mostRegions {
		missing = append(missing, "/Regions has more than "+strconv.Itoa(mostRegions)+" items")
	}
	c.Refuse(len(missing) > 0, "422", "Provided Details is not valid. [x].", []string(missing))
}

// checkRegions states the errors of lists of Regions, of which only some are supported.
func checkRegions(c *change.Checks, regions, supported []string) {
	other := without(regions, supported)
	c.Refuse(len(other) > 0, "INVALID_REGIONS", "Requested regions [a, b, c] are invalid or unavailable. Only supported values are [x, y, z].", other, supported)
	c.Refuse(len(regions) == 0, "INVALID_INPUT", "Regions can't be empty.")
}

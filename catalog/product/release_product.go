package product

import "souk/catalog/change"

// ReleaseProduct publishes a product from Draft to Limited. It has no fields.
//
// Work with seller products, "Publish a product".
type ReleaseProduct struct{}

// Check lists what buyers would miss. The logo may come later.
func (r *ReleaseProduct) Check(f *Facets, c *change.Checks) {
	c.Refuse(f.Description.Visibility != Draft, "VALIDATION_FAILED", "Use an existing Draft product.")

	var missing []string
	for _, field := range []struct {
		name string
		have bool
	}{
		{"ProductTitle", f.Description.ProductTitle != ""},
		{"ShortDescription", f.Description.ShortDescription != ""},
		{"LongDescription", f.Description.LongDescription != ""},
		{"Categories", len(f.Description.Categories) > 0},
	} {
		if !field.have {
			missing = append(missing, field.name)
		}
	}
	c.Refuse(len(missing) > 0, "VALIDATION_FAILED", "Provide Description information. Missing: [x].", missing)
	c.Refuse(f.SupportInformation.Description == "", "VALIDATION_FAILED", "Provide SupportInformation information. Missing: SupportDescription.")
}

// Apply makes the product Limited.
func (r *ReleaseProduct) Apply(f *Facets, _ *change.Applying) { f.Description.Visibility = Limited }

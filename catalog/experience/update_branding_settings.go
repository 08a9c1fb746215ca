package experience

import (
	"context"

	"souk/catalog/change"
)

// UpdateBrandingSettings changes how an experience looks to its users. What is
// not given stays.
//
// Working with a private marketplace, "Changing the branding of a private
// marketplace experience".
type UpdateBrandingSettings struct{ brandingDetails }

// Valid has what is refused at once.
func (b *UpdateBrandingSettings) Valid(c *change.Checks) {
	var s schema
	if b.Name == nil && !b.Description.Given && b.Configuration == nil {
		s.add("JSON at / must have at least one of the properties ['Name', 'Description', 'Configuration']")
	}
	b.check(&s)
	s.refuse(c)
}

// Check demands settings.
func (b *UpdateBrandingSettings) Check(x *Experience, c *change.Checks) {
	c.Refuse(x.Branding == nil, "ENTITY_NOT_FOUND", "Branding settings missing from Experience")
}

// Probe copies a new logo.
func (b *UpdateBrandingSettings) Probe(ctx context.Context, x *Experience, c *change.Checks) error {
	return b.copyLogo(ctx, x.Branding.LogoUrl, c)
}

// Apply writes what was given.
func (b *UpdateBrandingSettings) Apply(x *Experience, a *change.Applying) { b.write(x.Branding, a) }

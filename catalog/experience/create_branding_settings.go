package experience

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"souk/catalog/change"
)

// CreateBrandingSettings says how an experience looks to its users. "The details
// facet is the same for CreateBrandingSettings and UpdateBrandingSettings."
//
// Working with a private marketplace, "Changing the branding of a private
// marketplace experience".
type CreateBrandingSettings struct{ brandingDetails }

// brandingDetails are what both change types of branding settings have.
type brandingDetails struct {
	Name          *string                 // 1 to 255 characters
	Description   change.Optional[string] // 1 to 1,000 characters
	Configuration *brandingMembers
}

// brandingMembers is the Configuration of branding settings. A null goes back to
// the default.
type brandingMembers struct {
	Title       change.Optional[string] // 1 to 50 characters
	Information change.Optional[string] // 1 to 1,000 characters
	ThemeColor  change.Optional[string] // #RRGGBB
	LogoUrl     change.Optional[string] // up to 2,048 characters
}

var themeColors = regexp.MustCompile(`^#[0-9A-Fa-f]{6}$`)

// check notes what is wrong with the form.
func (b *brandingDetails) check(s *schema) {
	if b.Name != nil {
		s.text("/Name", *b.Name, 255)
	}
	s.given("/Description", b.Description, 1000)
	m := b.Configuration
	if m == nil {
		return
	}
	s.given("/Configuration/Title", m.Title, 50)
	s.given("/Configuration/Information", m.Information, 1000)
	if m.ThemeColor.Given && !m.ThemeColor.Null && !themeColors.MatchString(m.ThemeColor.Value) {
		s.add("String at /Configuration/ThemeColor must match the pattern ^#[0-9A-Fa-f]{6}$")
	}
	s.given("/Configuration/LogoUrl", m.LogoUrl, 2048)
}

// copyLogo makes our own copy of the logo: "if you remove or change the URL at
// that path, it will not affect your private marketplace". now is the URL that is
// shown; giving that again changes nothing.
func (b *brandingDetails) copyLogo(ctx context.Context, now string, c *change.Checks) error {
	if b.Configuration == nil || b.Configuration.LogoUrl.Value == "" || b.Configuration.LogoUrl.Value == now {
		return nil
	}
	kept, err := c.World.Branding.Copy(ctx, b.Configuration.LogoUrl.Value)
	unreachable, unsuitable := errors.Is(err, change.ErrLogoUnreachable), errors.Is(err, change.ErrLogoNotSupported)
	c.Refuse(unreachable, "INVALID_URL", "Image could not be fetched from the input URL")
	c.Refuse(unsuitable, "INVALID_IMAGE", "Image verification for type, content, or file size failed. Only .png and .svg file types with sizes less than or equal to 500KB are supported.")
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

// write puts what was given into branding settings.
func (b *brandingDetails) write(to *Branding, a *change.Applying) {
	if b.Name != nil {
		to.Name = *b.Name
	}
	b.Description.Update(&to.Description)
	m := b.Configuration
	if m == nil {
		return
	}
	m.Title.Update(&to.Title)
	m.Information.Update(&to.Information)
	m.ThemeColor.Update(&to.ThemeColor)
	kept, copied := a.Found["LogoUrl"]
	switch {
	case copied:
		to.LogoUrl = kept
	case m.LogoUrl.Null:
		to.LogoUrl = ""
	}
}

// Valid has what is refused at once.
func (b *CreateBrandingSettings) Valid(c *change.Checks) {
	var s schema
	if b.Name == nil {
		s.missing("/", "Name")
	}
	b.check(&s)
	s.refuse(c)
}

// Check refuses second settings.
func (b *CreateBrandingSettings) Check(x *Experience, c *change.Checks) {
	c.Refuse(x.Branding != nil, "ENTITY_ALREADY_EXISTS", "Branding settings exists for Experience")
}

// Probe copies the logo.
func (b *CreateBrandingSettings) Probe(ctx context.Context, _ *Experience, c *change.Checks) error {
	return b.copyLogo(ctx, "", c)
}

// Apply makes the settings.
func (b *CreateBrandingSettings) Apply(x *Experience, a *change.Applying) {
	x.Branding = &Branding{ID: a.IDs.Entity("brandsettings-")}
	b.write(x.Branding, a)
}

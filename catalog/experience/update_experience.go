package experience

import "souk/catalog/change"

// UpdateExperience renames an experience, describes it, enables or disables it.
// "Disabling a private marketplace keeps your list of both allowed and denied
// products, as well as customizations, such as branding."
//
// Working with a private marketplace, "Enabling or disabling a private
// marketplace experience".
type UpdateExperience struct {
	Name        *string                 // 1 to 50 of [a-zA-Z0-9 _-]
	Description change.Optional[string] // 1 to 1,000 characters; null unsets it
	Status      *string                 // Enabled or Disabled
}

// The values of Status.
const (
	statusEnabled  = "Enabled"
	statusDisabled = "Disabled"
)

// Valid has what is refused at once.
func (u *UpdateExperience) Valid(c *change.Checks) {
	var s schema
	if u.Name == nil && !u.Description.Given && u.Status == nil {
		s.add("JSON at / must have at least one of the properties ['Name', 'Description', 'Status']")
	}
	if u.Name != nil {
		s.name("/Name", *u.Name)
	}
	s.given("/Description", u.Description, 1000)
	if u.Status != nil {
		s.among("/Status", *u.Status, statusEnabled, statusDisabled)
	}
	s.refuse(c)
}

// Check refuses to enable what is archived.
func (u *UpdateExperience) Check(x *Experience, c *change.Checks) {
	enable := u.Status != nil && *u.Status == statusEnabled
	c.Refuse(enable && x.Archived, "VALIDATION_FAILED", "The experience is archived. Revive it by ReviveExperience before you enable it.")
}

// Apply writes what was given.
func (u *UpdateExperience) Apply(x *Experience, _ *change.Applying) {
	if u.Name != nil {
		x.Name = *u.Name
	}
	u.Description.Update(&x.Description)
	if u.Status != nil {
		x.Enabled = *u.Status == statusEnabled
	}
}

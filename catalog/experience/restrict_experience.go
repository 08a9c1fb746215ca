package experience

import "souk/catalog/change"

// RestrictExperience archives an experience that is disabled. It keeps all that
// it has, its audience too; ReviveExperience takes it back.
//
// Work with the private marketplace, "Archiving and reactivating a private
// marketplace experience".
type RestrictExperience struct{}

// Check refuses what is enabled or archived.
func (r *RestrictExperience) Check(x *Experience, c *change.Checks) {
	c.Refuse(x.Enabled, "VALIDATION_FAILED", "The experience is enabled. Disable it by UpdateExperience before you archive it.")
	c.Refuse(x.Archived, "VALIDATION_FAILED", "The experience is archived already.")
}

// Apply archives it.
func (r *RestrictExperience) Apply(x *Experience, _ *change.Applying) { x.Archived = true }

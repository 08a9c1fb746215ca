package experience

import "souk/catalog/change"

// ReviveExperience takes an experience out of the archive. It is disabled then.
//
// Work with the private marketplace, "Archiving and reactivating a private
// marketplace experience".
type ReviveExperience struct{}

// Check refuses what is not archived.
func (r *ReviveExperience) Check(x *Experience, c *change.Checks) {
	c.Refuse(!x.Archived, "VALIDATION_FAILED", "The experience is not archived.")
}

// Apply takes it back.
func (r *ReviveExperience) Apply(x *Experience, _ *change.Applying) { x.Archived = false }

package offer

import (
	"context"

	"souk/catalog/change"
)

// UpdateAvailability sets the last day on which the offer can be found and
// accepted: "in the future to restrict the discoverability of your offer or in
// the past to expire your offer".
//
// Work with private offers, "Update the discoverability of the offer".
type UpdateAvailability struct {
	AvailabilityEndDate Date
}

// Valid has the page's synchronous validation.
func (u *UpdateAvailability) Valid(c *change.Checks) {
	var s schema
	s.date("/AvailabilityEndDate", u.AvailabilityEndDate)
	s.refuse(c)
}

// Check states the page's errors of the offer alone. Only a released offer can
// expire.
func (u *UpdateAvailability) Check(o *Offer, c *change.Checks) {
	c.Refuse(o.public(), "INVALID_AVAILABILITY_END_DATE", "AvailabilityEndDate isn't supported for public offers.")
	c.Refuse(o.State == Draft && u.AvailabilityEndDate <= o.today(), "INVALID_AVAILABILITY_END_DATE", "Provide a future AvailabilityEndDate.", change.In("AvailabilityEndDate", u.AvailabilityEndDate))
}

// Probe compares the date with that of agreements, where the same set does not
// set it anew.
func (u *UpdateAvailability) Probe(_ context.Context, o *Offer, c *change.Checks) error {
	validity := o.term(validityTerm)
	late := validity != nil && validity.AgreementEndDate != "" && u.AvailabilityEndDate >= validity.AgreementEndDate
	c.Refuse(late && !besideThis(c, "UpdateValidityTerms", c.Entity.ID), "INVALID_AVAILABILITY_END_DATE", "Provide an AvailabilityEndDate that is before AgreementEndDate.", change.In("AvailabilityEndDate", u.AvailabilityEndDate))
	return nil
}

// Apply sets the date.
func (u *UpdateAvailability) Apply(o *Offer, _ *change.Applying) {
	o.AvailabilityEndDate = u.AvailabilityEndDate
}

package offer

import "souk/catalog/change"

// UpdateValidityTerms says how long an agreement holds that comes of the offer.
//
// Work with private offers, "Define the expiration date of agreements created
// using the offer".
type UpdateValidityTerms struct {
	Terms []Term // a ValidityTerm, or none to remove it
}

// Valid has the page's synchronous validations.
func (u *UpdateValidityTerms) Valid(c *change.Checks) {
	var s schema
	s.terms(u.Terms, 0, 1, validityTerm)
	s.refuse(c)
}

// Check states the page's errors.
func (u *UpdateValidityTerms) Check(o *Offer, c *change.Checks) {
	var present, wanted Term
	if t := o.term(validityTerm); t != nil {
		present = *t
	}
	if len(u.Terms) > 0 {
		wanted = u.Terms[0]
	}
	lasts, from, until := wanted.AgreementDuration, wanted.AgreementStartDate, wanted.AgreementEndDate
	released := o.State == Released
	c.Refuse(released && until != present.AgreementEndDate, "INCOMPATIBLE_AGREEMENT_END_DATE", "AgreementEndDate can't be updated after the offer is released.")
	c.Refuse(released && from != present.AgreementStartDate, "INCOMPATIBLE_AGREEMENT_START_DATE", "AgreementStartDate can't be updated after the offer is released.")
	c.Refuse(o.public() && len(u.Terms) > 0, "INCOMPATIBLE_TERMS", "ValidityTerm isn't supported for public offers.")
	c.Refuse(o.expired(), "INCOMPATIBLE_TERMS", "The requested change can't be performed after the offer is expired.")

	c.Refuse(until != "" && until <= o.today(), "INVALID_AGREEMENT_END_DATE", "Provide a future AgreementEndDate.", change.In("AgreementEndDate", until))
	c.Refuse(from != "" && o.AvailabilityEndDate != "" && from <= o.AvailabilityEndDate, "INVALID_AGREEMENT_START_DATE", "Provide an AgreementStartDate that is after AvailabilityEndDate.", change.In("AgreementStartDate", from))
	c.Refuse(from != "" && until != "" && from >= until, "INVALID_AGREEMENT_START_DATE", "Provide an AgreementStartDate that is before the AgreementEndDate.", change.In("AgreementStartDate", from))
	c.Refuse(lasts != "" && until != "", "INVALID_AGREEMENT_TIME_INTERVAL", "ValidityTerm with both AgreementDuration and AgreementEndDate isn't supported.")
	c.Refuse(from != "" && lasts == "" && until == "", "INVALID_AGREEMENT_TIME_INTERVAL", "ValidityTerm with only AgreementStartDate isn't supported.")
	c.Refuse(until != "" && from <= o.today(), "INVALID_AGREEMENT_TIME_INTERVAL", "AgreementEndDate isn't supported unless it's used in combination with a future AgreementStartDate or for replacement offers.")
}

// Apply replaces the validity terms.
func (u *UpdateValidityTerms) Apply(o *Offer, _ *change.Applying) {
	o.replace([]string{validityTerm}, u.Terms)
}

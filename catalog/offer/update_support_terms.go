package offer

import "souk/catalog/change"

// UpdateSupportTerms replaces the refund policy.
//
// Work with private offers, "Update refund policy".
type UpdateSupportTerms struct {
	Terms []Term // a SupportTerm, or none to remove it
}

// Valid has the page's synchronous validations.
func (u *UpdateSupportTerms) Valid(c *change.Checks) {
	var s schema
	s.terms(u.Terms, 0, 1, supportTerm)
	s.refuse(c)
}

// Check states the page's errors.
func (u *UpdateSupportTerms) Check(o *Offer, c *change.Checks) { checkStillOpen(o, c) }

// Apply replaces the support terms.
func (u *UpdateSupportTerms) Apply(o *Offer, _ *change.Applying) {
	o.replace([]string{supportTerm}, u.Terms)
}

package offer

import "souk/catalog/change"

// CreateReplacementOffer makes an offer that replaces an agreement.
//
// Work with private offers, "Create a replacement offer".
type CreateReplacementOffer struct {
	AgreementId string                  // "The unique identifier for the current agreement to be replaced."
	Name        change.Optional[string] // as in CreateOffer
}

// Valid has the page's synchronous validations of form.
func (r *CreateReplacementOffer) Valid(c *change.Checks) {
	var s schema
	s.text("/AgreementId", r.AgreementId, 1, 64)
	s.name(r.Name)
	s.refuse(c)
}

// Check refuses every agreement: nobody accepts offers in this marketplace, so
// there is none to be replaced.
func (r *CreateReplacementOffer) Check(_ *Offer, c *change.Checks) {
	c.Refuse(r.AgreementId != "", "INCOMPATIBLE_AGREEMENT", "Use an existing agreement. There is no agreement [x].", shown(r.AgreementId))
}

// Apply makes a Draft. Check lets nothing come here.
func (r *CreateReplacementOffer) Apply(o *Offer, _ *change.Applying) {
	*o = Offer{Name: r.Name.Value, State: Draft, Terms: []Term{}, now: o.now}
}

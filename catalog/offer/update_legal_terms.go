package offer

import (
	"slices"

	"souk/catalog/change"
)

// UpdateLegalTerms replaces the legal documents, such as the end user license
// agreement (EULA). Documents of one's own are named by URL, as they are.
//
// Work with private offers, "Update legal resources".
type UpdateLegalTerms struct {
	Terms []Term // one LegalTerm
}

// Valid has the page's synchronous validations.
func (u *UpdateLegalTerms) Valid(c *change.Checks) {
	var s schema
	s.terms(u.Terms, 1, 1, legalTerm)
	s.refuse(c)
}

// Check states the page's errors.
func (u *UpdateLegalTerms) Check(o *Offer, c *change.Checks) {
	checkStillOpen(o, c)
	newest := standardEulas[len(standardEulas)-1]
	old := slices.ContainsFunc(u.Terms, func(t Term) bool {
		return slices.ContainsFunc(t.Documents, func(d Document) bool { return d.Type == "StandardEula" && d.Version != newest })
	})
	c.Refuse(o.State == Draft && old, "INVALID_LEGAL_DOCUMENTS", "Only the most recent version of StandardEula is supported for new offers.")
}

// Apply replaces the legal terms.
func (u *UpdateLegalTerms) Apply(o *Offer, _ *change.Applying) {
	o.replace([]string{legalTerm}, u.Terms)
}

// checkStillOpen refuses changes of terms that buyers may have seen: those of a
// private offer that is released, and of any that is expired.
func checkStillOpen(o *Offer, c *change.Checks) {
	c.Refuse(o.State == Released && o.private(), "INCOMPATIBLE_TERMS", "The requested change can't be performed after the offer is released.")
	c.Refuse(o.expired(), "INCOMPATIBLE_TERMS", "The requested change can't be performed after the offer is expired.")
}

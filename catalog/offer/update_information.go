package offer

import (
	"souk/catalog/change"
)

// UpdateInformation changes what an offer is called. "All other information will
// remain unchanged." A null unsets a field.
//
// Work with private offers, "Update offer information".
type UpdateInformation struct {
	Name        change.Optional[string] // 1 to 150 characters, without \, < and >
	Description change.Optional[string] // 1 to 255 characters; "never [...] visible to buyers"
	// "Determines if this offer is a renewal for an existing agreement with an
	// existing customer for the same underlying product."
	PreExistingAgreement change.Optional[PreExistingAgreement]
}

// Valid has the page's synchronous validations.
func (u *UpdateInformation) Valid(c *change.Checks) {
	var s schema
	if !u.Name.Given && !u.Description.Given && !u.PreExistingAgreement.Given {
		s.add("JSON at / must have at least one of the properties ['Name', 'Description', 'PreExistingAgreement']")
	}
	s.name(u.Name)
	if u.Description.Given && !u.Description.Null {
		s.text("/Description", u.Description.Value, 1, 255)
	}
	if u.PreExistingAgreement.Given && !u.PreExistingAgreement.Null {
		s.among("/PreExistingAgreement/AcquisitionChannel", u.PreExistingAgreement.Value.AcquisitionChannel, "AwsMarketplace", "External")
		s.among("/PreExistingAgreement/PricingModel", u.PreExistingAgreement.Value.PricingModel, pricingModels...)
	}
	s.refuse(c)
}

// Check states what can't change any more.
func (u *UpdateInformation) Check(o *Offer, c *change.Checks) {
	released := o.State == Released
	c.Refuse(released && u.PreExistingAgreement.Given && !same(u.agreement(), o.PreExistingAgreement), "INCOMPATIBLE_PRE_EXISTING_AGREEMENT", "PreExistingAgreement can't be changed after the offer is released.")
	c.Refuse(released && (u.Name.Null || u.Description.Null), "INVALID_UPDATE_REQUEST", "Name and Description can't be removed after the offer is released.")
}

// Apply writes what was given.
func (u *UpdateInformation) Apply(o *Offer, _ *change.Applying) {
	u.Name.Update(&o.Name)
	u.Description.Update(&o.Description)
	if u.PreExistingAgreement.Given {
		o.PreExistingAgreement = u.agreement()
	}
}

// agreement is what is given as PreExistingAgreement, nil to remove it.
func (u *UpdateInformation) agreement() *PreExistingAgreement {
	if u.PreExistingAgreement.Null {
		return nil
	}
	given := u.PreExistingAgreement.Value
	return &given
}

func same(a, b *PreExistingAgreement) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}

package experience

import "souk/catalog/change"

// UpdateProcurementPolicy renames or describes a policy, and says whether users
// may ask for products that it does not allow.
//
// Working with a private marketplace, "Enabling or disabling user requests".
type UpdateProcurementPolicy struct{ policyDetails }

// Valid has what is refused at once.
func (p *UpdateProcurementPolicy) Valid(c *change.Checks) {
	var s schema
	if !p.Name.Given && !p.Description.Given && p.Configuration == nil {
		s.add("JSON at / must have at least one of the properties ['Name', 'Description', 'Configuration']")
	}
	p.check(&s)
	s.refuse(c)
}

// Check demands a policy.
func (p *UpdateProcurementPolicy) Check(x *Experience, c *change.Checks) {
	c.Refuse(x.Policy == nil, "ENTITY_NOT_FOUND", "Procurement policy missing from Experience")
}

// Apply writes what was given.
func (p *UpdateProcurementPolicy) Apply(x *Experience, _ *change.Applying) { p.write(x.Policy) }

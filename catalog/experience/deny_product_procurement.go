package experience

import "souk/catalog/change"

// DenyProductProcurement puts products on the list of those that the audience
// may not obtain, and takes them off the list of allowed ones.
//
// Working with a private marketplace, "Adding or removing products from a
// private marketplace".
type DenyProductProcurement struct{ productDetails }

// Valid has what is refused at once.
func (p *DenyProductProcurement) Valid(c *change.Checks) { p.refuseAtOnce(c) }

// Check demands a policy.
func (p *DenyProductProcurement) Check(x *Experience, c *change.Checks) {
	c.Refuse(x.Policy == nil, "ENTITY_NOT_FOUND", "Procurement policy missing from Experience")
}

// Apply moves the products.
func (p *DenyProductProcurement) Apply(x *Experience, _ *change.Applying) {
	ids := p.ids()
	x.Policy.Allow = without(x.Policy.Allow, ids)
	x.Policy.Deny = append(without(x.Policy.Deny, ids), p.Products...)
}

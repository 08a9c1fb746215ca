package experience

import "souk/catalog/change"

// CreateProcurementPolicy gives an experience a policy that allows nothing yet:
// "An Experience entity with an empty procurement policy has no products
// available to users to procure."
//
// Working with a private marketplace, "Create a ProcurementPolicy entity".
type CreateProcurementPolicy struct{ policyDetails }

// policyDetails are what both change types of a policy itself have.
type policyDetails struct {
	Name          change.Optional[string] // 1 to 50 characters
	Description   change.Optional[string] // 1 to 100 characters
	Configuration *policySettings
}

// policySettings is the Configuration of a policy.
type policySettings struct {
	PolicyResourceRequests *string // required; Allow (the default) or Deny
}

// The values of PolicyResourceRequests: whether users may ask for products that
// they may not obtain.
const (
	requestsAllow = "Allow"
	requestsDeny  = "Deny"
)

// check notes what is wrong with the form.
func (p *policyDetails) check(s *schema) {
	s.given("/Name", p.Name, 50)
	s.given("/Description", p.Description, 100)
	switch {
	case p.Configuration == nil:
	case p.Configuration.PolicyResourceRequests == nil:
		s.missing("/Configuration", "PolicyResourceRequests")
	default:
		s.among("/Configuration/PolicyResourceRequests", *p.Configuration.PolicyResourceRequests, requestsAllow, requestsDeny)
	}
}

// write puts what was given into a policy.
func (p *policyDetails) write(to *Policy) {
	p.Name.Update(&to.Name)
	p.Description.Update(&to.Description)
	if p.Configuration != nil {
		to.NoRequests = *p.Configuration.PolicyResourceRequests == requestsDeny
	}
}

// Valid has what is refused at once. The page's example has a name alone.
func (p *CreateProcurementPolicy) Valid(c *change.Checks) {
	var s schema
	p.check(&s)
	s.refuse(c)
}

// Check refuses a second policy.
func (p *CreateProcurementPolicy) Check(x *Experience, c *change.Checks) {
	c.Refuse(x.Policy != nil, "ENTITY_ALREADY_EXISTS", "Procurement policy exists for Experience")
}

// Apply makes the policy.
func (p *CreateProcurementPolicy) Apply(x *Experience, a *change.Applying) {
	x.Policy = &Policy{ID: a.IDs.Entity("procpolicy-")}
	p.write(x.Policy)
}

package experience

import (
	"fmt"

	"souk/catalog/change"
)

// AllowProductProcurement puts products on the list of those that the audience
// may obtain, and takes them off the list of denied ones. What was on the list
// already gets the new notes.
//
// Working with a private marketplace, "Adding or removing products from a
// private marketplace".
type AllowProductProcurement struct{ productDetails }

// productDetails are what both change types of products have.
type productDetails struct {
	Products []Products // 1 to 50, with 1 to 50 ids of 1 to 50 characters each
}

// ids are all ids that are given.
func (p *productDetails) ids() []string {
	var ids []string
	for _, products := range p.Products {
		ids = append(ids, products.Ids...)
	}
	return ids
}

// refuseAtOnce has what StartChangeSet refuses.
func (p *productDetails) refuseAtOnce(c *change.Checks) {
	ids := p.ids()
	seen, twice := map[string]bool{}, false
	for _, id := range ids {
		twice = twice || seen[id]
		seen[id] = true
	}
	c.Refuse(twice, "422", "Values in Ids array must be unique")
	c.Refuse(len(ids) > 50, "422", "Cumulative number of values in Ids array must be less than or equal to 50")
	var s schema
	if p.Products == nil {
		s.missing("/", "Products")
	} else {
		s.items("/Products", len(p.Products))
	}
	for i, products := range p.Products {
		at := fmt.Sprintf("/Products/%d", i)
		if products.Ids == nil {
			s.missing(at, "Ids")
		} else {
			s.items(at+"/Ids", len(products.Ids))
		}
		for j, id := range products.Ids {
			s.text(fmt.Sprintf("%s/Ids/%d", at, j), id, 50)
		}
		if products.Notes != "" {
			s.text(at+"/Notes", products.Notes, 50)
		}
	}
	s.refuse(c)
}

// Valid has what is refused at once.
func (p *AllowProductProcurement) Valid(c *change.Checks) { p.refuseAtOnce(c) }

// Check demands a policy.
func (p *AllowProductProcurement) Check(x *Experience, c *change.Checks) {
	c.Refuse(x.Policy == nil, "ENTITY_NOT_FOUND", "Procurement policy missing from Experience")
}

// Apply moves the products.
func (p *AllowProductProcurement) Apply(x *Experience, _ *change.Applying) {
	ids := p.ids()
	x.Policy.Deny = without(x.Policy.Deny, ids)
	x.Policy.Allow = append(without(x.Policy.Allow, ids), p.Products...)
}

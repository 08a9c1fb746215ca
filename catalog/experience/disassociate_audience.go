package experience

import (
	"context"
	"slices"

	"souk/catalog/change"
)

// DisassociateAudience takes principals away from those whom an experience
// governs.
//
// Working with a private marketplace, "Associating accounts to experiences".
type DisassociateAudience struct{ principalDetails }

// Valid has what is refused at once.
func (p *DisassociateAudience) Valid(c *change.Checks) {
	var s schema
	p.check(&s)
	s.refuse(c)
}

// Check demands that all of them are associated with this experience.
func (p *DisassociateAudience) Check(x *Experience, c *change.Checks) {
	var others []string
	for _, id := range p.each() {
		if !x.has(id) {
			others = append(others, id)
		}
	}
	c.Refuse(len(others) > 0, "ENTITY_NOT_FOUND", "The experience is not associated with [x].", others)
}

// Probe finds principals whose association another set changes.
func (p *DisassociateAudience) Probe(ctx context.Context, _ *Experience, c *change.Checks) error {
	used, err := inUse(ctx, p.each(), c)
	c.Refuse(len(used) > 0, "ENTITY_IN_USE", "There is already a conflicting changing in progress for the selected account(s). Try again later")
	return err
}

// Apply takes the principals away.
func (p *DisassociateAudience) Apply(x *Experience, a *change.Applying) {
	ids := p.each()
	x.Audience.Principals = slices.DeleteFunc(x.Audience.Principals, func(id string) bool { return slices.Contains(ids, id) })
	for _, id := range ids {
		a.Release(Principals, id)
	}
}

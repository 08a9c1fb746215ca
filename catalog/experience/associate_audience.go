package experience

import (
	"context"
	"fmt"
	"regexp"
	"slices"

	"souk/catalog/change"
)

// AssociateAudience adds principals to those whom an experience governs: "After
// the first call, subsequent calls to the AssociateAudience change type will add
// principals to the association for the experience." The first call makes the
// Audience entity; later ones may rename it.
//
// Working with a private marketplace, "Associating accounts to experiences".
type AssociateAudience struct {
	Name        change.Optional[string] // 1 to 255 characters
	Description change.Optional[string] // 1 to 1,000 characters
	principalDetails
}

// principalDetails are what both change types of audiences have.
type principalDetails struct {
	Principals []string // 1 to 50 ids of accounts, organisational units, organisations
}

var principalIDs = regexp.MustCompile(`^(?:[0-9]{12}|ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}|o-[0-9a-z]{10,32})$`)

// check notes what is wrong with the form.
func (p *principalDetails) check(s *schema) {
	if p.Principals == nil {
		s.missing("/", "Principals")
		return
	}
	s.items("/Principals", len(p.Principals))
	for i, id := range p.Principals {
		if !principalIDs.MatchString(id) {
			s.add("String '%s' at /Principals/%d must be the id of an account, an organizational unit or an organization", cut(id), i)
		}
	}
}

// each returns the principals, each once.
func (p *principalDetails) each() []string {
	var ids []string
	for _, id := range p.Principals {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// Marks implements change.Marker: the association of a principal is changed by
// one set at a time.
func (p *principalDetails) Marks() []string {
	var marks []string
	for _, id := range p.each() {
		marks = append(marks, mark(id))
	}
	return marks
}

func mark(principal string) string { return Principals + "/" + principal }

// inUse returns those of some principals whose association another set changes.
func inUse(ctx context.Context, ids []string, c *change.Checks) ([]string, error) {
	var used []string
	for _, id := range ids {
		ahead, err := c.World.Marks.Ahead(ctx, mark(id))
		if err != nil {
			return nil, fmt.Errorf("asking who changes the association of %s: %w", id, err)
		}
		if ahead {
			used = append(used, id)
		}
	}
	return used, nil
}

// Valid has what is refused at once.
func (p *AssociateAudience) Valid(c *change.Checks) {
	var s schema
	s.given("/Name", p.Name, 255)
	s.given("/Description", p.Description, 1000)
	p.check(&s)
	s.refuse(c)
}

// Check states nothing: who is associated with what is asked by Probe.
func (p *AssociateAudience) Check(*Experience, *change.Checks) {}

// Probe finds strangers, principals whose association another set changes, and
// those that are associated already.
func (p *AssociateAudience) Probe(ctx context.Context, _ *Experience, c *change.Checks) error {
	ids := p.each()
	strangers, taken := 0, []string(nil)
	for _, id := range ids {
		ours, err := c.World.Organization.Has(ctx, id)
		if err != nil {
			return fmt.Errorf("asking whether %s is of the organisation: %w", id, err)
		}
		if !ours {
			strangers++
		}
	}
	used, err := inUse(ctx, ids, c) // before what is associated: a set that ends meanwhile is seen in one of the two
	if err != nil {
		return err
	}
	for _, id := range ids {
		associated, err := c.World.Names.Taken(ctx, Principals, id)
		if err != nil {
			return fmt.Errorf("asking with what %s is associated: %w", id, err)
		}
		if associated && !slices.Contains(used, id) {
			taken = append(taken, id)
		}
	}
	c.Refuse(strangers > 0, "CALLER_NOT_AUTHORIZED", "Caller not authorized to execute the action")
	c.Refuse(len(used) > 0, "ENTITY_IN_USE", "There is already a conflicting changing in progress for the selected account(s). Try again later")
	c.Refuse(len(taken) > 0, "ENTITY_ALREADY_EXISTS", "An experience is already associated with the account {accountId}. Disassociate previous experience before updating", taken)
	return nil
}

// Apply adds the principals.
func (p *AssociateAudience) Apply(x *Experience, a *change.Applying) {
	if x.Audience == nil {
		x.Audience = &Audience{ID: a.IDs.Entity("audience-"), Experience: a.Entity.ID}
	}
	p.Name.Update(&x.Audience.Name)
	p.Description.Update(&x.Audience.Description)
	for _, id := range p.each() {
		x.Audience.Principals = append(x.Audience.Principals, id)
		a.Claim(Principals, id, []byte(a.Entity.ID))
	}
}

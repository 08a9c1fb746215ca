package experience

import (
	"context"
	"fmt"

	"souk/catalog/change"
)

// CreateExperience makes an experience: disabled, with all products allowed,
// the default look, and nobody associated with it.
//
// Working with a private marketplace, "Create the Experience entity".
type CreateExperience struct {
	Name        *string                 // required; 1 to 50 of [a-zA-Z0-9 _-]
	Description change.Optional[string] // 1 to 1,000 characters
	Catalog     *string                 // AWSMarketplace
}

// The unique name that says that there is a private marketplace: its first
// experience has it.
const (
	marketplaces = "privatemarketplace"
	theOne       = "organization"
)

// Valid has what is refused at once.
func (e *CreateExperience) Valid(c *change.Checks) {
	var s schema
	if e.Name == nil {
		s.missing("/", "Name")
	} else {
		s.name("/Name", *e.Name)
	}
	s.given("/Description", e.Description, 1000)
	if e.Catalog != nil {
		s.among("/Catalog", *e.Catalog, "AWSMarketplace")
	}
	s.refuse(c)
}

// Check states nothing: the experience is new.
func (e *CreateExperience) Check(*Experience, *change.Checks) {}

// Probe finds out whether it is the first: "You must create the first Experience
// of your private marketplace from within the management account."
func (e *CreateExperience) Probe(ctx context.Context, _ *Experience, c *change.Checks) error {
	open, err := c.World.Names.Taken(ctx, marketplaces, theOne)
	if err != nil {
		return fmt.Errorf("looking for the first experience: %w", err)
	}
	if open {
		return nil
	}
	management, err := c.World.Organization.Management(ctx)
	if err != nil {
		return fmt.Errorf("asking for the management account: %w", err)
	}
	c.Refuse(c.Seller.Account != management, "CALLER_NOT_AUTHORIZED", "Caller not authorized to create experience. Initial experience must be created from management account, if AWS Orgs is enabled.")
	c.Keep("First", "yes")
	return nil
}

// Apply fills the new experience.
func (e *CreateExperience) Apply(x *Experience, a *change.Applying) {
	x.Name = *e.Name
	e.Description.Update(&x.Description)
	if a.Found["First"] != "" {
		a.Claim(marketplaces, theOne, []byte(a.Entity.ID))
	}
}

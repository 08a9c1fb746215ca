package product

import (
	"regexp"
	"slices"

	"souk/catalog/change"
)

// Targeting says who sees a Limited product beside its seller. It is shown by
// DescribeEntity as it stands.
type Targeting struct {
	PositiveTargeting PositiveTargeting
}

// PositiveTargeting is who is invited.
type PositiveTargeting struct {
	BuyerAccounts []string // 12 digits each, in the seller's order
}

// UpdateTargeting replaces the list of accounts that are invited to a product;
// an empty list invites nobody.
//
// Work with seller products, "Update targeting configuration".
type UpdateTargeting struct {
	PositiveTargeting *struct {
		BuyerAccounts *[]string // up to 5,000 account ids, and not those that are invited already
	}
}

var accountID = regexp.MustCompile(`^[0-9]{12}$`)

// Valid refuses documents without the list.
func (u *UpdateTargeting) Valid(c *change.Checks) {
	var missing Missing
	if u.PositiveTargeting == nil {
		missing.Require("/", "PositiveTargeting", "")
	} else if u.PositiveTargeting.BuyerAccounts == nil {
		missing.Require("/PositiveTargeting", "BuyerAccounts", "")
	}
	c.Refuse(len(missing) > 0, "422", "Provided Details is not valid. [x].", []string(missing))
}

// Check states the page's codes.
func (u *UpdateTargeting) Check(f *Facets, c *change.Checks) {
	accounts := u.accounts()
	var malformed []string
	for _, id := range accounts {
		if !accountID.MatchString(id) {
			malformed = append(malformed, id)
		}
	}
	repeated := Repeated(accounts)
	wanted, present := slices.Sorted(slices.Values(accounts)), slices.Sorted(slices.Values(f.Invited()))
	c.Refuse(f.Description.Visibility == Restricted, "INVALID_PRODUCT_VISIBILITY", "Use an existing Public, Limited or Draft product.")
	c.Refuse(len(malformed) > 0, "INVALID_AWS_ACCOUNT_IDS", "Provide valid AWS account IDs. AWS accounts not found: [x, y, z].", malformed)
	c.Refuse(len(repeated) > 0, "INVALID_AWS_ACCOUNT_IDS", "Provide unique AWS account IDs. Duplicates: [x].", repeated)
	c.Refuse(len(accounts) > 5000, "INVALID_AWS_ACCOUNT_IDS", "Provide fewer than [x] AWS account IDs.", 5000)
	c.Refuse(slices.Equal(wanted, present), "INVALID_AWS_ACCOUNT_IDS", "Provide AWS account IDs that differ from the existing ones.")
}

// Apply writes the list.
func (u *UpdateTargeting) Apply(f *Facets, _ *change.Applying) {
	f.Targeting = nil
	if accounts := u.accounts(); len(accounts) > 0 {
		f.Targeting = &Targeting{PositiveTargeting{BuyerAccounts: list(accounts)}}
	}
}

func (u *UpdateTargeting) accounts() []string {
	if u.PositiveTargeting == nil || u.PositiveTargeting.BuyerAccounts == nil {
		return nil
	}
	return *u.PositiveTargeting.BuyerAccounts
}

// Invited returns the accounts that see the product while it is Limited, beside its seller.
func (f *Facets) Invited() []string {
	if f.Targeting == nil {
		return nil
	}
	return f.Targeting.PositiveTargeting.BuyerAccounts
}

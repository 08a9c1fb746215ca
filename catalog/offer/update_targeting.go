package offer

import (
	_ "embed"
	"regexp"
	"slices"
	"strings"

	"souk/catalog/change"
	"souk/catalog/product"
)

// UpdateTargeting says who may accept the offer. "All existing targeting options
// that aren't included in the latest request [...] will be removed from the offer."
//
// Work with private offers, "Update targeting configuration".
type UpdateTargeting struct {
	// "defines the criteria which any buyer's profile should fulfill in order to
	// be allowed to access the offer": 1 to 244 CountryCodes, and 1 to 26
	// BuyerAccounts, which make the offer private.
	PositiveTargeting *NewTarget
	// "to be restricted to access the offer": CountryCodes alone.
	NegativeTargeting *NewTarget
}

// NewTarget is the buyers that a request names.
type NewTarget struct {
	CountryCodes  []string // ISO 3166-1 alpha-2
	BuyerAccounts []string // 12 digits each
}

var (
	accountForm = regexp.MustCompile(`^[0-9]{12}$`)
	countryForm = regexp.MustCompile(`^[A-Z]{2}$`)
)

//go:embed countries.txt
var countries string

// Valid has the page's synchronous validations of form.
func (u *UpdateTargeting) Valid(c *change.Checks) {
	var s schema
	if p := u.PositiveTargeting; p != nil {
		if p.CountryCodes == nil && p.BuyerAccounts == nil {
			s.add("JSON at /PositiveTargeting must have at least one of the properties ['CountryCodes', 'BuyerAccounts']")
		}
		if p.CountryCodes != nil {
			s.countries("/PositiveTargeting/CountryCodes", p.CountryCodes)
		}
		if p.BuyerAccounts != nil {
			s.items("/PositiveTargeting/BuyerAccounts", len(p.BuyerAccounts), 1, 26)
			if slices.ContainsFunc(p.BuyerAccounts, func(a string) bool { return !accountForm.MatchString(a) }) {
				s.add("Strings at /PositiveTargeting/BuyerAccounts must have 12 digits")
			}
		}
	}
	if n := u.NegativeTargeting; n != nil {
		if n.CountryCodes == nil || n.BuyerAccounts != nil {
			s.add("JSON at /NegativeTargeting must have the property 'CountryCodes' alone")
		}
		if n.CountryCodes != nil {
			s.countries("/NegativeTargeting/CountryCodes", n.CountryCodes)
		}
	}
	s.refuse(c)
}

func (s *schema) countries(at string, codes []string) {
	s.items(at, len(codes), 1, 244)
	if slices.ContainsFunc(codes, func(code string) bool { return !countryForm.MatchString(code) }) {
		s.add("Strings at %s must be country codes of two letters", at)
	}
}

// Check states the page's errors.
func (u *UpdateTargeting) Check(o *Offer, c *change.Checks) {
	wanted := u.targeting()
	invalid := product.Repeated(wanted.positive().BuyerAccounts)
	c.Refuse(len(invalid) > 0, "INVALID_BUYER_ACCOUNTS", "Provide valid buyer accounts. Invalid accounts: [x].", invalid)
	codes := slices.Concat(wanted.positive().CountryCodes, wanted.negative().CountryCodes)
	unknown := slices.DeleteFunc(slices.Clone(codes), func(code string) bool { return !unknownCountry(code) })
	c.Refuse(len(unknown) > 0, "INVALID_COUNTRY_CODES", "Provide supported country codes.", change.In("CountryCodes", unknown...))
	c.Refuse(len(wanted.positive().CountryCodes) > 0 && len(wanted.negative().CountryCodes) > 0, "INVALID_TARGETING", "Use either negative or positive targeting on the same attribute.")

	released, before, after := o.State == Released, o.buyers(), wanted.positive().BuyerAccounts
	c.Refuse(released && o.private() && !o.Targeting.sameCountries(wanted), "INCOMPATIBLE_TARGETING", "The requested change can't be performed after the offer is released.")
	c.Refuse(o.expired(), "INCOMPATIBLE_TARGETING", "The requested change can't be performed after the offer is expired.")
	c.Refuse(released && !subset(before, after), "INCOMPATIBLE_TARGETING", "BuyerAccounts can't be removed after the offer is released.")
	c.Refuse(released && !subset(after, before), "INCOMPATIBLE_TARGETING", "BuyerAccounts can't be added after the offer is released.")
}

// Apply replaces the targeting.
func (u *UpdateTargeting) Apply(o *Offer, _ *change.Applying) { o.Targeting = u.targeting() }

// targeting is what the offer would have.
func (u *UpdateTargeting) targeting() *Targeting {
	target := func(n *NewTarget) *Target {
		if n == nil {
			return nil
		}
		return &Target{CountryCodes: n.CountryCodes, BuyerAccounts: n.BuyerAccounts}
	}
	return &Targeting{PositiveTargeting: target(u.PositiveTargeting), NegativeTargeting: target(u.NegativeTargeting)}
}

func (t *Targeting) positive() Target {
	if t == nil || t.PositiveTargeting == nil {
		return Target{}
	}
	return *t.PositiveTargeting
}

func (t *Targeting) negative() Target {
	if t == nil || t.NegativeTargeting == nil {
		return Target{}
	}
	return *t.NegativeTargeting
}

func (t *Targeting) sameCountries(other *Targeting) bool {
	equal := func(a, b []string) bool { return subset(a, b) && subset(b, a) }
	return equal(t.positive().CountryCodes, other.positive().CountryCodes) && equal(t.negative().CountryCodes, other.negative().CountryCodes)
}

// without returns the values of a that are not among those of b.
func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(v string) bool { return slices.Contains(b, v) })
}

// subset says whether all values of a are in b.
func subset(a, b []string) bool {
	return !slices.ContainsFunc(a, func(v string) bool { return !slices.Contains(b, v) })
}

// unknownCountry says whether a code is no country's.
func unknownCountry(code string) bool {
	for line := range strings.Lines(countries) {
		if strings.TrimSpace(line) == code {
			return false
		}
	}
	return true
}

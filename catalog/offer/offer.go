// Package offer is Offer@1.0: the terms and rules under which buyers get a
// product. One file for each change type, named as the page names it; what an
// offer is stands here, its terms in terms.go, what DescribeEntity shows in
// describe.go.
//
// It is not the product, which it reads by the ports of catalog/change, and no
// agreement: nobody accepts offers here.
package offer

import (
	"slices"
	"time"
)

// State is the state of an offer's life.
type State string

// The states of an offer: a new one is a Draft until ReleaseOffer.
const (
	Draft    State = "Draft"    // only its seller works on it
	Released State = "Released" // buyers may find it
)

// Offer is the state of an offer as it is stored.
type Offer struct {
	Name                 string
	Description          string // for the seller alone
	ProductID            string
	State                State
	ReleaseDate          string                `json:",omitempty"` // RFC 3339, UTC, whole seconds
	PreExistingAgreement *PreExistingAgreement `json:",omitempty"`
	Targeting            *Targeting            `json:",omitempty"` // nil: no rule
	AvailabilityEndDate  string                `json:",omitempty"` // YYYY-MM-DD, the last day
	PricingModel         string                // Byol, Free, Usage or Contract; "" before UpdatePricingTerms
	Terms                []Term

	now func() time.Time
}

// PreExistingAgreement says that the offer renews an agreement.
type PreExistingAgreement struct {
	AcquisitionChannel string // AwsMarketplace or External
	PricingModel       string // Byol, Free, Usage or Contract
}

// Targeting says who may accept the offer.
type Targeting struct {
	PositiveTargeting *Target `json:",omitempty"`
	NegativeTargeting *Target `json:",omitempty"`
}

// Target is the buyers that a targeting names.
type Target struct {
	CountryCodes  []string `json:",omitempty"` // ISO 3166-1 alpha-2
	BuyerAccounts []string `json:",omitempty"` // 12 digits each; never of a NegativeTargeting
}

// Product returns the id of the product that is offered.
func (o *Offer) Product() string { return o.ProductID }

// Priced says whether any term has a price above 0.
func (o *Offer) Priced() bool {
	return slices.ContainsFunc(o.Terms, func(t Term) bool { return t.priced() })
}

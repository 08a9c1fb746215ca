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

	"souk/catalog/change"
)

// EntityType declares Offer@1.0. Dates are compared with those of now; nil is
// time.Now.
func EntityType(now func() time.Time) *change.EntityType {
	if now == nil {
		now = time.Now
	}
	// Each change is checked against what the ones before it make of the offer,
	// so those that look at others' terms come after these.
	created := []string{"CreateOffer", "CreateReplacementOffer"}
	after := func(more ...string) []string { return append(slices.Clone(created), more...) }
	return &change.EntityType{
		Name:    "Offer",
		Version: "1.0",
		Types: []change.Type{
			change.Of[Offer, CreateOffer](change.Type{Name: "CreateOffer", Creates: true, AfterAll: []string{"CreateProduct"}}),
			change.Of[Offer, CreateReplacementOffer](change.Type{Name: "CreateReplacementOffer", Creates: true}),
			change.Of[Offer, UpdateInformation](change.Type{Name: "UpdateInformation", After: created}),
			change.Of[Offer, UpdateTargeting](change.Type{Name: "UpdateTargeting", After: created}),
			change.Of[Offer, UpdateAvailability](change.Type{Name: "UpdateAvailability", After: after("UpdateTargeting")}),
			change.Of[Offer, UpdateLegalTerms](change.Type{Name: "UpdateLegalTerms", After: after("UpdateTargeting")}),
			change.Of[Offer, UpdateSupportTerms](change.Type{Name: "UpdateSupportTerms", After: after("UpdateTargeting")}),
			change.Of[Offer, UpdateValidityTerms](change.Type{Name: "UpdateValidityTerms", After: after("UpdateTargeting", "UpdateAvailability")}),
			change.Of[Offer, UpdatePaymentScheduleTerms](change.Type{
				Name: "UpdatePaymentScheduleTerms", After: after("UpdateTargeting", "UpdateAvailability", "UpdateValidityTerms"),
			}),
			change.Of[Offer, UpdatePricingTerms](change.Type{
				Name:     "UpdatePricingTerms",
				After:    after("UpdateTargeting", "UpdateValidityTerms", "UpdatePaymentScheduleTerms"),
				AfterAll: []string{"CreateProduct", "AddDimensions", "UpdateDimensions"},
			}),
			change.Of[Offer, UpdateRenewalTerms](change.Type{Name: "UpdateRenewalTerms", After: after("UpdateTargeting", "UpdatePaymentScheduleTerms", "UpdatePricingTerms")}),
			change.Of[Offer, ReleaseOffer](change.Type{Name: "ReleaseOffer", After: after(
				"UpdateInformation", "UpdateTargeting", "UpdateAvailability", "UpdateLegalTerms", "UpdateSupportTerms",
				"UpdateValidityTerms", "UpdatePaymentScheduleTerms", "UpdatePricingTerms", "UpdateRenewalTerms",
			)}),
		},
		Fields: []string{
			"ProductId", "State", "ReleaseDate", "AvailabilityEndDate", "BuyerAccounts", "Targeting", "CreatedBySource",
		},
		New:      func() any { return &Offer{now: now} },
		NewID:    func(ids *change.IDs) string { return ids.Entity("offer-") },
		List:     func(state any) change.Listing { return state.(*Offer).listing() },
		Describe: func(state any, e change.Entity) any { return state.(*Offer).describe(e.ID) },
	}
}

// State is the state of an offer's life.
type State string

// The states of an offer: a new one is a Draft until ReleaseOffer.
const (
	Draft    State = "Draft"    // only its seller works on it
	Released State = "Released" // buyers may find it
)

// Offer is the state of an offer as it is stored. An offer to BuyerAccounts is
// private; one without is public.
type Offer struct {
	Name                 string
	Description          string // for the seller alone
	ProductID            string
	State                State
	ReleaseDate          string                `json:",omitempty"` // RFC 3339, UTC, whole seconds
	PreExistingAgreement *PreExistingAgreement `json:",omitempty"`
	Targeting            *Targeting            `json:",omitempty"` // nil: nobody is named, nobody excluded
	AvailabilityEndDate  Date                  `json:",omitempty"` // the last day on which it can be accepted
	PricingModel         string                // Byol, Free, Usage or Contract; "" before UpdatePricingTerms
	Terms                []Term

	now func() time.Time // set by EntityType.New
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

// Target is the buyers that a Targeting names.
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

// buyers returns the accounts that a private offer is made to.
func (o *Offer) buyers() []string {
	if o.Targeting == nil || o.Targeting.PositiveTargeting == nil {
		return nil
	}
	return o.Targeting.PositiveTargeting.BuyerAccounts
}

func (o *Offer) private() bool { return len(o.buyers()) > 0 }

// public says that the offer is known to be public. One in Draft that has no
// targeting yet may still become either.
func (o *Offer) public() bool { return !o.private() && (o.State == Released || o.Targeting != nil) }

// freeTrial says whether the offer has no other pricing term than a free trial.
func (o *Offer) freeTrial() bool {
	pricing := termsOf(o.Terms, pricingTerms)
	return len(pricing) == 1 && pricing[0].Type == freeTrialPricingTerm
}

func (o *Offer) today() Date { return dateOf(o.now()) }

func (o *Offer) expired() bool {
	return o.AvailabilityEndDate != "" && o.AvailabilityEndDate < o.today()
}

// term returns the offer's term of a type, nil if it has none.
func (o *Offer) term(kind string) *Term {
	i := slices.IndexFunc(o.Terms, func(t Term) bool { return t.Type == kind })
	if i < 0 {
		return nil
	}
	return &o.Terms[i]
}

// replace puts terms in the place of all of the kinds: what an update does not
// name is removed.
func (o *Offer) replace(kinds []string, terms []Term) {
	kept := []Term{}
	for _, t := range o.Terms {
		if !slices.Contains(kinds, t.Type) {
			kept = append(kept, t)
		}
	}
	o.Terms = append(kept, terms...)
}

// publicOffers is the field of a Listing by which ReleaseOffer finds the public
// offers of a product. No list shows it.
const publicOffers = "PublicOfferOf"

// listing is what ListEntities shows of the offer. Its Visibility is who can
// see it: nobody (Draft), the buyers that it names (Limited), everybody (Public).
func (o *Offer) listing() change.Listing {
	l := change.Listing{Name: o.Name, Visibility: "Draft", Fields: map[string][]string{
		"ProductId": {o.ProductID}, "State": {string(o.State)}, "CreatedBySource": {"Seller"}, "Targeting": {"None"},
	}}
	if o.State == Released {
		l.Visibility = "Public"
		if o.private() {
			l.Visibility = "Limited"
		}
		l.Fields["ReleaseDate"] = []string{o.ReleaseDate}
	}
	if o.AvailabilityEndDate != "" {
		l.Fields["AvailabilityEndDate"] = []string{string(o.AvailabilityEndDate) + "T23:59:59Z"}
	}
	if !o.private() {
		l.Fields[publicOffers] = []string{o.ProductID}
	}
	var targeting []string
	if o.private() {
		l.Fields["BuyerAccounts"] = slices.Clone(o.buyers())
		targeting = append(targeting, "BuyerAccounts")
	}
	if len(o.Targeting.positive().CountryCodes)+len(o.Targeting.negative().CountryCodes) > 0 {
		targeting = append(targeting, "CountryCodes")
	}
	if targeting != nil {
		l.Fields["Targeting"] = targeting
	}
	return l
}

package offer

import (
	"slices"
	"strings"
)

// Term is one term of an offer, in the shape of the wire: Type says which of
// the other members it has.
type Term struct {
	Type string

	// Of LegalTerm and SupportTerm.
	Documents    []Document `json:",omitempty"`
	RefundPolicy string     `json:",omitempty"`

	// Of pricing and payment terms.
	CurrencyCode  string     `json:",omitempty"` // ISO 4217
	Price         string     `json:",omitempty"` // of FixedUpfrontPricingTerm, RecurringPaymentTerm
	BillingPeriod string     `json:",omitempty"` // of RecurringPaymentTerm: Monthly
	Duration      string     `json:",omitempty"` // ISO 8601, of FixedUpfrontPricingTerm, FreeTrialPricingTerm
	Grants        []Grant    `json:",omitempty"` // of the same
	RateCards     []RateCard `json:",omitempty"` // of UsageBasedPricingTerm, ConfigurableUpfrontPricingTerm
	Schedule      []Charge   `json:",omitempty"` // of PaymentScheduleTerm
}

// Document is a legal document that a buyer agrees to.
type Document struct {
	Type    string // CustomEula, StandardEula, CustomDsa, StandardDsa
	Url     string `json:",omitempty"` // of the custom ones
	Version string `json:",omitempty"` // of the standard ones
}

// Grant is what a buyer gets of a dimension.
type Grant struct {
	DimensionKey string
	MaxQuantity  *int64 `json:",omitempty"` // nil: unlimited
}

// RateCard is prices of dimensions; those of a ConfigurableUpfrontPricingTerm
// are told apart by their Selector.
type RateCard struct {
	Selector    *Selector    `json:",omitempty"`
	RateCard    []Rate       // DimensionKey and Price
	Constraints *Constraints `json:",omitempty"`
}

// Rate is the price of a unit of a dimension.
type Rate struct {
	DimensionKey string
	Price        string
}

// Selector is what a buyer chooses a rate card by.
type Selector struct {
	Type  string // Duration
	Value string // ISO 8601
}

// Constraints say what a buyer may configure: Allowed or Disallowed.
type Constraints struct {
	MultipleDimensionSelection string
	QuantityConfiguration      string
}

// Charge is one installment.
type Charge struct {
	ChargeDate   string // YYYY-MM-DD
	ChargeAmount string
}

// prices returns all prices and charges of a term.
func (t *Term) prices() []string {
	var prices []string
	if t.Price != "" {
		prices = append(prices, t.Price)
	}
	for _, card := range t.RateCards {
		for _, rate := range card.RateCard {
			prices = append(prices, rate.Price)
		}
	}
	for _, charge := range t.Schedule {
		prices = append(prices, charge.ChargeAmount)
	}
	return prices
}

// priced says whether the term has a price above 0.
func (t *Term) priced() bool { return slices.ContainsFunc(t.prices(), aboveZero) }

// aboveZero says whether a price, whose form was checked, is more than 0.
func aboveZero(price string) bool { return strings.Trim(price, "0.") != "" }

package offer

import (
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"souk/catalog/product"
)

// The types of terms.
const (
	legalTerm                      = "LegalTerm"
	supportTerm                    = "SupportTerm"
	byolPricingTerm                = "ByolPricingTerm"
	freeTrialPricingTerm           = "FreeTrialPricingTerm"
	usageBasedPricingTerm          = "UsageBasedPricingTerm"
	configurableUpfrontPricingTerm = "ConfigurableUpfrontPricingTerm"
	fixedUpfrontPricingTerm        = "FixedUpfrontPricingTerm"
	recurringPaymentTerm           = "RecurringPaymentTerm"
	paymentScheduleTerm            = "PaymentScheduleTerm"
	validityTerm                   = "ValidityTerm"
	renewalTerm                    = "RenewalTerm"
)

// pricingTerms are those of UpdatePricingTerms.
var pricingTerms = []string{
	byolPricingTerm, freeTrialPricingTerm, usageBasedPricingTerm,
	configurableUpfrontPricingTerm, fixedUpfrontPricingTerm, recurringPaymentTerm,
}

// Term is one term of an offer in the shape of the wire, where all kinds of
// terms stand in one list: Type says which of the other members it has.
type Term struct {
	Type string

	Documents    []Document `json:",omitempty"` // of LegalTerm
	RefundPolicy string     `json:",omitempty"` // of SupportTerm

	// Of pricing and payment terms. Prices are decimals.
	CurrencyCode  string     `json:",omitempty"` // ISO 4217
	Price         string     `json:",omitempty"` // of FixedUpfrontPricingTerm and RecurringPaymentTerm
	BillingPeriod string     `json:",omitempty"` // of RecurringPaymentTerm: Monthly
	Duration      string     `json:",omitempty"` // ISO 8601; of FixedUpfrontPricingTerm and FreeTrialPricingTerm
	Grants        []Grant    `json:",omitempty"` // of the same two
	RateCards     []RateCard `json:",omitempty"` // of UsageBasedPricingTerm and ConfigurableUpfrontPricingTerm
	Schedule      []Charge   `json:",omitempty"` // of PaymentScheduleTerm

	// Of ValidityTerm: how long an agreement holds, and from when.
	AgreementDuration  string `json:",omitempty"` // ISO 8601
	AgreementStartDate Date   `json:",omitempty"`
	AgreementEndDate   Date   `json:",omitempty"`

	// Of RenewalTerm, which may have none of them.
	LockoutPeriod      string              `json:",omitempty"` // ISO 8601, in days
	AdjustmentDeadline string              `json:",omitempty"` // ISO 8601, in days
	MaxRenewals        *int64              `json:",omitempty"` // nil: no limit
	PriceIncrease      *PriceIncrease      `json:",omitempty"`
	TermTemplates      []PaymentPercentage `json:",omitempty"` // at most one
}

// Date is a day as YYYY-MM-DD, in UTC; such texts sort as their days do.
// DescribeEntity shows some with a time, and programs send back what it shows:
// it is read as the day.
type Date string

// UnmarshalText implements encoding.TextUnmarshaler. What is no date stays as it
// is, for Valid to refuse.
func (d *Date) UnmarshalText(text []byte) error {
	*d = Date(text)
	if t, err := time.Parse(time.RFC3339, string(text)); err == nil {
		*d = dateOf(t)
	}
	return nil
}

func dateOf(t time.Time) Date { return Date(t.UTC().Format(time.DateOnly)) }

// Document is a legal document that a buyer agrees to.
type Document struct {
	Type    string // CustomEula, StandardEula, CustomDsa, StandardDsa
	Url     string `json:",omitempty"` // of the custom ones
	Version string `json:",omitempty"` // of the standard ones: YYYY-MM-DD
}

// Grant is what a buyer gets of a dimension.
type Grant struct {
	DimensionKey string
	MaxQuantity  *int64 `json:",omitempty"` // nil: without limit
}

// RateCard is the prices of dimensions. A ConfigurableUpfrontPricingTerm has one
// for each duration among which buyers choose.
type RateCard struct {
	Selector    *Selector `json:",omitempty"`
	RateCard    []Rate
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
	ChargeDate   Date
	ChargeAmount string
}

// PriceIncrease is what a renewed agreement costs more, in percent.
type PriceIncrease struct {
	Type  string           // FixedPercentage or PercentageRange
	Value string           `json:",omitempty"` // of FixedPercentage
	Range *PercentageRange `json:",omitempty"` // of PercentageRange
}

// PercentageRange is what a seller may set a price increase to.
type PercentageRange struct {
	MinValue     string
	MaxValue     string
	DefaultValue string
}

// PaymentPercentage is a PaymentScheduleTermTemplate: the payment schedule of a
// renewed agreement.
type PaymentPercentage struct {
	Type     string // PaymentScheduleTermTemplate
	Schedule []ChargePercentage
}

// ChargePercentage is one installment of a renewed agreement.
type ChargePercentage struct {
	ChargeDateOffset string // ISO 8601, from the start of the agreement
	ChargePercentage string
	DayOfMonth       *int64 `json:",omitempty"`
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom for requests: a member that
// the term's Type does not have is ignored, as unknown ones are.
func (t *Term) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	type members Term
	var m members
	if err := json.UnmarshalDecode(d, &m); err != nil {
		return err
	}
	*t = Term(m).own()
	return nil
}

// own returns the term with the members that its Type has.
func (t Term) own() Term {
	switch t.Type {
	case legalTerm:
		return Term{Type: t.Type, Documents: t.Documents}
	case supportTerm:
		return Term{Type: t.Type, RefundPolicy: t.RefundPolicy}
	case freeTrialPricingTerm:
		return Term{Type: t.Type, Duration: t.Duration, Grants: t.Grants}
	case usageBasedPricingTerm, configurableUpfrontPricingTerm:
		return Term{Type: t.Type, CurrencyCode: t.CurrencyCode, RateCards: t.RateCards}
	case fixedUpfrontPricingTerm:
		return Term{Type: t.Type, CurrencyCode: t.CurrencyCode, Price: t.Price, Duration: t.Duration, Grants: t.Grants}
	case recurringPaymentTerm:
		return Term{Type: t.Type, CurrencyCode: t.CurrencyCode, Price: t.Price, BillingPeriod: t.BillingPeriod}
	case paymentScheduleTerm:
		return Term{Type: t.Type, CurrencyCode: t.CurrencyCode, Schedule: t.Schedule}
	case validityTerm:
		return Term{Type: t.Type, AgreementDuration: t.AgreementDuration, AgreementStartDate: t.AgreementStartDate, AgreementEndDate: t.AgreementEndDate}
	case renewalTerm:
		return Term{
			Type: t.Type, LockoutPeriod: t.LockoutPeriod, AdjustmentDeadline: t.AdjustmentDeadline,
			MaxRenewals: t.MaxRenewals, PriceIncrease: t.PriceIncrease, TermTemplates: t.TermTemplates,
		}
	}
	return Term{Type: t.Type}
}

// termsOf returns those of the kinds.
func termsOf(terms []Term, kinds []string) []Term {
	return slices.DeleteFunc(slices.Clone(terms), func(t Term) bool { return !slices.Contains(kinds, t.Type) })
}

// has says whether a term of the type is among terms.
func has(terms []Term, kind string) bool { return len(termsOf(terms, []string{kind})) > 0 }

// kinds returns the types of terms, each once.
func kinds(terms []Term) []string {
	var list []string
	for _, t := range terms {
		if !slices.Contains(list, t.Type) {
			list = append(list, t.Type)
		}
	}
	return list
}

// prices returns all prices and charges of the term.
func (t *Term) prices() []string {
	var list []string
	if t.Price != "" {
		list = append(list, t.Price)
	}
	for _, card := range t.RateCards {
		for _, rate := range card.RateCard {
			list = append(list, rate.Price)
		}
	}
	for _, charge := range t.Schedule {
		list = append(list, charge.ChargeAmount)
	}
	return list
}

// priced says whether the term has a price above 0.
func (t *Term) priced() bool { return slices.ContainsFunc(t.prices(), aboveZero) }

// aboveZero says whether a price, whose form was checked, is more than 0.
func aboveZero(price string) bool { return strings.Trim(price, "0.") != "" }

// repeated are the dimensions that a rate card has a price for more than once.
func (c *RateCard) repeated() []string {
	var keys []string
	for _, rate := range c.RateCard {
		keys = append(keys, rate.DimensionKey)
	}
	return product.Repeated(keys)
}

// rateKeys returns the dimensions of the term's rate cards, each once.
func (t *Term) rateKeys() []string {
	var list []string
	for _, card := range t.RateCards {
		for _, rate := range card.RateCard {
			if !slices.Contains(list, rate.DimensionKey) {
				list = append(list, rate.DimensionKey)
			}
		}
	}
	return list
}

// keys returns the dimensions that the term names, each once.
func (t *Term) keys() []string {
	list := t.rateKeys()
	for _, grant := range t.Grants {
		if !slices.Contains(list, grant.DimensionKey) {
			list = append(list, grant.DimensionKey)
		}
	}
	return list
}

// selectors returns the durations of the term's rate cards.
func (t *Term) selectors() []string {
	var list []string
	for _, card := range t.RateCards {
		if card.Selector != nil {
			list = append(list, card.Selector.Value)
		}
	}
	return list
}

// constraints returns those of the term's first rate card.
func (t *Term) constraints() Constraints {
	if len(t.RateCards) == 0 || t.RateCards[0].Constraints == nil {
		return Constraints{}
	}
	return *t.RateCards[0].Constraints
}

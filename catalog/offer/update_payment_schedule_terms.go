package offer

import (
	"context"
	"slices"

	"souk/catalog/change"
)

// UpdatePaymentScheduleTerms says when which part of the price is due.
//
// Work with private offers, "Update payment schedule details".
type UpdatePaymentScheduleTerms struct {
	Terms []Term // a PaymentScheduleTerm, or none to remove it
}

// mostCharges is how many installments a schedule may have.
const mostCharges = 60

// Valid has the page's synchronous validations.
func (u *UpdatePaymentScheduleTerms) Valid(c *change.Checks) {
	var s schema
	s.terms(u.Terms, 0, 1, paymentScheduleTerm)
	s.refuse(c)
}

// Check states the page's errors. UpdateAvailability and UpdateValidityTerms of
// the same set are applied before.
func (u *UpdatePaymentScheduleTerms) Check(o *Offer, c *change.Checks) {
	dates := u.dates()
	var last Date
	if t := o.term(validityTerm); t != nil {
		last = t.AgreementEndDate
	}
	backdated := 0
	for _, date := range dates {
		if date <= o.AvailabilityEndDate {
			backdated++
		}
	}
	c.Refuse(repeated(dates), "DUPLICATE_CHARGE_DATES", "Provide unique charge dates in PaymentScheduleTerm.", change.In("ChargeDate", dates...))
	c.Refuse(o.State == Released, "INCOMPATIBLE_TERMS", "The requested change can't be performed after the offer is released.")
	c.Refuse(o.expired(), "INCOMPATIBLE_TERMS", "The requested change can't be performed after the offer is expired.")
	c.Refuse(last != "" && len(dates) > 0 && slices.Max(dates) >= last, "INVALID_CHARGE_DATES", "Provide charge dates before AgreementEndDate.", change.In("ChargeDate", dates...))
	c.Refuse(backdated > 1, "TOO_MANY_BACKDATED_CHARGES", "Provide up to 1 scheduled payment before AvailabilityEndDate.")
	c.Refuse(len(dates) > 0 && slices.Min(dates) < o.today(), "INVALID_CHARGE_DATES", "Provide a first charge date that isn't in the past.", change.In("ChargeDate", dates...))
	c.Refuse(len(dates) > mostCharges, "TOO_MANY_CHARGES", "Provide up to [x] scheduled payments in PaymentScheduleTerm.", mostCharges)
}

// Probe compares the currency with that of the prices, where the same set does
// not set them anew.
func (u *UpdatePaymentScheduleTerms) Probe(_ context.Context, o *Offer, c *change.Checks) error {
	mixed := len(u.Terms) > 0 && len(currenciesOf(append(termsOf(o.Terms, pricingTerms), u.Terms...))) > 1
	c.Refuse(mixed && !besideThis(c, "UpdatePricingTerms", c.Entity.ID), "INVALID_CURRENCY_CODE", "Provide the same CurrencyCode across all pricing and payment terms.")
	return nil
}

// Apply replaces the schedule.
func (u *UpdatePaymentScheduleTerms) Apply(o *Offer, _ *change.Applying) {
	o.replace([]string{paymentScheduleTerm}, u.Terms)
}

func (u *UpdatePaymentScheduleTerms) dates() []Date {
	var dates []Date
	for _, t := range u.Terms {
		for _, charge := range t.Schedule {
			dates = append(dates, charge.ChargeDate)
		}
	}
	return dates
}

// currenciesOf returns the currencies of terms, each once.
func currenciesOf(terms []Term) []string {
	var list []string
	for _, t := range terms {
		if t.CurrencyCode != "" && !slices.Contains(list, t.CurrencyCode) {
			list = append(list, t.CurrencyCode)
		}
	}
	return list
}

// repeated says whether a date stands twice.
func repeated(dates []Date) bool {
	sorted := slices.Sorted(slices.Values(dates))
	return len(slices.Compact(sorted)) < len(dates)
}

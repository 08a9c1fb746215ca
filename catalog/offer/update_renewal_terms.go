package offer

import (
	"math/big"

	"souk/catalog/change"
)

// UpdateRenewalTerms allows agreements that come of the offer to renew
// themselves: "auto-renewal remains disabled by default".
//
// Work with private offers, "Modify renewal options".
type UpdateRenewalTerms struct {
	Terms []Term // a RenewalTerm, or none to remove it
}

// Valid has the page's synchronous validations.
func (u *UpdateRenewalTerms) Valid(c *change.Checks) {
	var s schema
	s.terms(u.Terms, 0, 1, renewalTerm)
	s.refuse(c)
}

// Check states the page's errors. All other terms of the same set are applied
// before.
func (u *UpdateRenewalTerms) Check(o *Offer, c *change.Checks) {
	checkStillOpen(o, c)
	if len(u.Terms) == 0 {
		return
	}
	t := u.Terms[0]
	scheduled := o.term(paymentScheduleTerm) != nil
	details := t.LockoutPeriod != "" || t.AdjustmentDeadline != "" || t.MaxRenewals != nil || t.PriceIncrease != nil
	c.Refuse(o.PricingModel != "" && o.PricingModel != "Contract", "INCOMPATIBLE_TERMS", "RenewalTerm isn't supported with the PricingModel.", change.In("PricingModel", o.PricingModel))
	c.Refuse(o.public() && details, "INCOMPATIBLE_TERMS", "RenewalTerm isn't supported for public offers with the following fields: [LockoutPeriod, MaxRenewals, AdjustmentDeadline, PriceIncrease].")
	c.Refuse(len(t.TermTemplates) > 0 && !scheduled, "INCOMPATIBLE_TERMS", "PaymentScheduleTermTemplate in RenewalTerm isn't supported without a PaymentScheduleTerm in the offer.")
	c.Refuse(len(t.TermTemplates) == 0 && scheduled, "MISSING_PAYMENT_SCHEDULE_TERM_TEMPLATE", "Provide a PaymentScheduleTermTemplate in RenewalTerm when the offer contains a PaymentScheduleTerm.")
	c.Refuse(o.private() && t.PriceIncrease == nil, "MISSING_PRICE_INCREASE", "Provide PriceIncrease in RenewalTerm.")
	u.checkPriceIncrease(t, c)
	u.checkInstallments(t, c)
	u.checkAgainstDuration(o, t, c)
}

// checkPriceIncrease says how increase and deadline go together.
func (u *UpdateRenewalTerms) checkPriceIncrease(t Term, c *change.Checks) {
	var invalid, equal change.Wrong
	adjustable := t.PriceIncrease != nil && t.PriceIncrease.Type == "PercentageRange"
	if adjustable {
		r := t.PriceIncrease.Range
		equal.If(compare(r.MinValue, r.MaxValue) == 0, "MinValue and MaxValue", r.MinValue)
		invalid.If(compare(r.MinValue, r.DefaultValue) > 0 || compare(r.DefaultValue, r.MaxValue) > 0, "MinValue, DefaultValue, MaxValue", []string{r.MinValue, r.DefaultValue, r.MaxValue})
	}
	deadline := change.In("AdjustmentDeadline", t.AdjustmentDeadline)
	early := t.AdjustmentDeadline != "" && t.LockoutPeriod != "" && lengthOf(t.AdjustmentDeadline) <= lengthOf(t.LockoutPeriod)
	c.Refuse(len(invalid) > 0, "INVALID_PERCENTAGE_RANGE", "Provide a valid PercentageRange for PriceIncrease in RenewalTerm.", invalid)
	c.Refuse(len(equal) > 0, "INVALID_PERCENTAGE_RANGE", "Use FixedPercentage instead of a PercentageRange with equal MinValue and MaxValue for PriceIncrease in RenewalTerm.", equal)
	c.Refuse(adjustable && t.AdjustmentDeadline == "", "MISSING_ADJUSTMENT_DEADLINE", "Provide an AdjustmentDeadline in RenewalTerm with the provided PriceIncrease.")
	c.Refuse(!adjustable && t.AdjustmentDeadline != "", "INVALID_ADJUSTMENT_DEADLINE", "AdjustmentDeadline isn't supported with the provided PriceIncrease.", deadline)
	c.Refuse(early, "INVALID_ADJUSTMENT_DEADLINE", "Provide an AdjustmentDeadline that is at least 1 days longer than LockoutPeriod in RenewalTerm.", append(deadline, change.In("LockoutPeriod", t.LockoutPeriod)...))
}

// checkInstallments says what the installments of a renewed agreement come to.
func (u *UpdateRenewalTerms) checkInstallments(t Term, c *change.Checks) {
	var twice, incomplete change.Wrong
	for _, template := range t.TermTemplates {
		type due struct {
			offset string
			day    int64
		}
		seen := map[due]bool{}
		sum := new(big.Rat)
		for _, charge := range template.Schedule {
			d := due{offset: charge.ChargeDateOffset}
			if charge.DayOfMonth != nil {
				d.day = *charge.DayOfMonth
			}
			twice.If(seen[d], "ChargeDateOffset", d.offset)
			seen[d] = true
			if part, ok := new(big.Rat).SetString(charge.ChargePercentage); ok {
				sum.Add(sum, part)
			}
		}
		incomplete.If(sum.Cmp(big.NewRat(100, 1)) != 0, "sum", sum.FloatString(2))
	}
	c.Refuse(len(twice) > 0, "DUPLICATE_CHARGE_DATE_OFFSETS", "Provide unique ChargeDateOffset and DayOfMonth combinations in PaymentScheduleTermTemplate.", twice)
	c.Refuse(len(incomplete) > 0, "INVALID_CHARGE_PERCENTAGES", "ChargePercentage values in PaymentScheduleTermTemplate in the RenewalTerm must sum to 100.", incomplete)
}

// checkAgainstDuration compares with how long the agreement lasts, where the
// offer says it as a duration.
func (u *UpdateRenewalTerms) checkAgainstDuration(o *Offer, t Term, c *change.Checks) {
	validity := o.term(validityTerm)
	if validity == nil || validity.AgreementDuration == "" {
		return
	}
	lasts := lengthOf(validity.AgreementDuration)
	var beyond change.Wrong
	for _, template := range t.TermTemplates {
		for _, charge := range template.Schedule {
			beyond.If(lengthOf(charge.ChargeDateOffset) > lasts, "ChargeDateOffset", charge.ChargeDateOffset)
		}
	}
	c.Refuse(t.AdjustmentDeadline != "" && lengthOf(t.AdjustmentDeadline) >= lasts, "INVALID_ADJUSTMENT_DEADLINE", "Provide an AdjustmentDeadline in RenewalTerm that is less than agreement duration.", change.In("AdjustmentDeadline", t.AdjustmentDeadline))
	c.Refuse(t.LockoutPeriod != "" && lengthOf(t.LockoutPeriod) >= lasts, "INVALID_LOCKOUT_PERIOD", "Provide a LockoutPeriod in RenewalTerm that is less than agreement duration.", change.In("LockoutPeriod", t.LockoutPeriod))
	c.Refuse(len(beyond) > 0, "INVALID_CHARGE_DATE_OFFSETS", "ChargeDateOffset(s) in PaymentScheduleTermTemplate may fall beyond AgreementDuration. Provide ChargeDateOffset(s) that are within AgreementDuration.", beyond)
}

// Apply replaces the renewal terms.
func (u *UpdateRenewalTerms) Apply(o *Offer, _ *change.Applying) {
	o.replace([]string{renewalTerm}, u.Terms)
}

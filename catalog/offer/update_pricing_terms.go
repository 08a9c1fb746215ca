package offer

import (
	"context"
	"slices"

	"souk/catalog/change"
	"souk/catalog/product"
)

// UpdatePricingTerms replaces the pricing terms completely. "The pricing terms
// that aren't included in the latest request will be removed from the offer."
//
// Work with private offers, "Update pricing".
type UpdatePricingTerms struct {
	PricingModel string // Usage, Contract, Free or Byol
	Terms        []Term // pricing terms, one of a type
}

// pricingModels are the values of a PricingModel.
var pricingModels = []string{"Byol", "Free", "Usage", "Contract"}

// modelTerms are the terms that a pricing model may have.
var modelTerms = map[string][]string{
	"Byol":     {byolPricingTerm, fixedUpfrontPricingTerm},
	"Free":     {freeTrialPricingTerm, usageBasedPricingTerm, configurableUpfrontPricingTerm},
	"Usage":    {usageBasedPricingTerm, freeTrialPricingTerm, configurableUpfrontPricingTerm, fixedUpfrontPricingTerm, recurringPaymentTerm},
	"Contract": {configurableUpfrontPricingTerm, fixedUpfrontPricingTerm, usageBasedPricingTerm, freeTrialPricingTerm},
}

// modelNeeds are the terms of which a pricing model needs at least one.
var modelNeeds = map[string][]string{
	"Usage":    {usageBasedPricingTerm, recurringPaymentTerm},
	"Contract": {configurableUpfrontPricingTerm, fixedUpfrontPricingTerm},
}

// addable are the terms that a released offer may get; the free trial alone may
// leave it, too.
var addable = []string{freeTrialPricingTerm, usageBasedPricingTerm, configurableUpfrontPricingTerm}

const (
	mostMonths        = 60 // that a contract lasts
	mostFreeTrialDays = 90
)

// Valid has the page's synchronous validations.
func (u *UpdatePricingTerms) Valid(c *change.Checks) {
	var s schema
	s.among("/PricingModel", u.PricingModel, pricingModels...)
	s.terms(u.Terms, 0, 20, pricingTerms...)
	s.refuse(c)
}

// Check states the page's errors that need no product. All other terms of the
// same set are applied before.
func (u *UpdatePricingTerms) Check(o *Offer, c *change.Checks) {
	checkStillOpen(o, c)
	u.checkTermTypes(o, c)
	u.checkRateCards(o, c)
	u.checkDurations(o, c)
	u.checkReleased(o, c)

	schedule := termsOf(o.Terms, []string{paymentScheduleTerm})
	money := currenciesOf(u.Terms)
	c.Refuse(!o.private() && !subset(money, []string{"USD"}) || u.otherThanDollars(), "INVALID_CURRENCY_CODE", "Provide a supported CurrencyCode.", change.In("CurrencyCode", money...))
	c.Refuse(len(currenciesOf(append(schedule, u.Terms...))) > 1, "INVALID_CURRENCY_CODE", "Provide the same CurrencyCode across all pricing and payment terms.", change.In("CurrencyCode", currenciesOf(append(schedule, u.Terms...))...))
	priced := slices.ContainsFunc(append(schedule, u.Terms...), func(t Term) bool { return t.priced() })
	c.Refuse(u.PricingModel == "Free" && priced, "INCOMPATIBLE_RATES", "Set all charge amounts and prices to zero (0) when using Free pricing model.")
}

// checkTermTypes says which terms may stand beside each other.
func (u *UpdatePricingTerms) checkTermTypes(o *Offer, c *change.Checks) {
	given := kinds(u.Terms)
	scheduled := o.term(paymentScheduleTerm) != nil
	fixed := has(u.Terms, fixedUpfrontPricingTerm)
	var repeatedTypes, unfit []string
	for _, kind := range given {
		if len(termsOf(u.Terms, []string{kind})) > 1 {
			repeatedTypes = append(repeatedTypes, kind)
		}
		if !slices.Contains(modelTerms[u.PricingModel], kind) {
			unfit = append(unfit, kind)
		}
	}
	c.Refuse(len(repeatedTypes) > 0, "DUPLICATE_TERM_TYPES", "Provide a unique list of term types.", change.In("Type", repeatedTypes...))
	c.Refuse(len(unfit) > 0, "INCOMPATIBLE_TERMS", "The following terms aren't compatible with the PricingModel: [x,y,z].", unfit)
	c.Refuse(fixed && has(u.Terms, configurableUpfrontPricingTerm), "INCOMPATIBLE_TERMS", "[x] isn't supported together with the following terms: [y,z].", fixedUpfrontPricingTerm, []string{configurableUpfrontPricingTerm})
	c.Refuse(o.private() && has(u.Terms, freeTrialPricingTerm), "INCOMPATIBLE_TERMS", "[x] isn't supported for private offers.", freeTrialPricingTerm)
	costly := slices.ContainsFunc(u.Terms, func(t Term) bool { return t.Type == fixedUpfrontPricingTerm && t.priced() })
	c.Refuse(scheduled && costly, "INCOMPATIBLE_TERMS", "Provide zero (0) price for FixedUpfrontPricingTerm when the offer contains a PaymentScheduleTerm.")
	c.Refuse(fixed && !scheduled && !has(u.Terms, byolPricingTerm), "MISSING_MANDATORY_TERMS", "FixedUpfrontPricingTerm is only supported when paired with ByolPricingTerm or PaymentScheduleTerm.")
	needs := modelNeeds[u.PricingModel]
	c.Refuse(needs != nil && len(termsOf(u.Terms, needs)) == 0, "MISSING_MANDATORY_TERMS", "Provide at least one of [x,y,z].", needs)
	c.Refuse(u.PricingModel == "Byol" && !has(u.Terms, byolPricingTerm), "MISSING_MANDATORY_TERMS", "Provide a ByolPricingTerm when using Byol pricing model.")
}

// checkRateCards says what rate cards and grants have to have in common.
func (u *UpdatePricingTerms) checkRateCards(_ *Offer, c *change.Checks) {
	var twiceGranted, twicePriced, gaps []string
	var grantKeys, rateKeys, selectors, unequal, mixed, uneven, unlimited change.Wrong
	for _, t := range u.Terms {
		var granted []string
		for _, grant := range t.Grants {
			granted = append(granted, grant.DimensionKey)
			unlimited.If(t.Type == fixedUpfrontPricingTerm && grant.MaxQuantity == nil, "DimensionKey", grant.DimensionKey)
			uneven.If(t.Type == freeTrialPricingTerm && !sameQuantity(grant.MaxQuantity, t.Grants[0].MaxQuantity), "DimensionKey", grant.DimensionKey)
		}
		if twice := product.Repeated(granted); len(twice) > 0 {
			twiceGranted = append(twiceGranted, t.Type)
			grantKeys = append(grantKeys, change.In("DimensionKey", twice...)...)
		}
		for _, card := range t.RateCards {
			keys := (&Term{RateCards: []RateCard{card}}).rateKeys()
			if len(keys) < len(card.RateCard) {
				twicePriced = append(twicePriced, t.Type)
				rateKeys = append(rateKeys, change.In("DimensionKey", card.repeated()...)...)
			}
			if t.Type != configurableUpfrontPricingTerm {
				continue
			}
			if !subset(t.rateKeys(), keys) {
				gaps = append(gaps, card.Selector.Value)
			}
			unequal.If(card.Constraints.MultipleDimensionSelection != card.Constraints.QuantityConfiguration, "Constraints of "+card.Selector.Value, *card.Constraints)
			mixed.If(*card.Constraints != t.constraints(), "Constraints of "+card.Selector.Value, *card.Constraints)
		}
		selectors = append(selectors, change.In("Selector", product.Repeated(t.selectors())...)...)
	}
	c.Refuse(len(twiceGranted) > 0, "DUPLICATE_DIMENSION_KEYS", "Provide Grants with a unique list of dimension keys in [x].", twiceGranted, grantKeys)
	c.Refuse(len(twicePriced) > 0, "DUPLICATE_DIMENSION_KEYS", "Provide RateCard with a unique list of dimension keys in [x].", slices.Compact(twicePriced), rateKeys)
	c.Refuse(len(selectors) > 0, "DUPLICATE_SELECTORS", "Provide a unique list of Selectors in ConfigurableUpfrontPricingTerm.", selectors)
	c.Refuse(len(unequal) > 0, "INCOMPATIBLE_RATE_CARD_CONSTRAINTS", "Set both MultipleDimensionSelection and QuantityConfiguration to the same value (Allowed or Disallowed) in ConfigurableUpfrontPricingTerm.", unequal)
	c.Refuse(len(mixed) > 0, "INCOMPATIBLE_RATE_CARD_CONSTRAINTS", "Provide the same constraints for all rate cards in ConfigurableUpfrontPricingTerm.", mixed)
	c.Refuse(len(gaps) > 0, "INVALID_RATE_CARD", "ConfigurableUpfrontPricingTerm is missing one or more-dimension keys for duration [x]. Provide prices for the same set of dimension keys for all durations.", gaps)
	c.Refuse(len(uneven) > 0, "INVALID_GRANTS", "Provide the same MaxQuantity for all Grants in FreeTrialPricingTerm.", uneven)
	c.Refuse(len(unlimited) > 0, "INVALID_GRANTS", "Provide MaxQuantity for all Grants in FixedUpfrontPricingTerm.", unlimited)
}

// checkDurations says how long contracts and free trials may be.
func (u *UpdatePricingTerms) checkDurations(o *Offer, c *change.Checks) {
	var missing bool
	var long, odd, longSelector, longTrial change.Wrong
	for _, t := range u.Terms {
		switch t.Type {
		case freeTrialPricingTerm:
			d, _ := parseDuration(t.Duration)
			longTrial.If(d.length() < 1 || d.length() > mostFreeTrialDays, "Duration", t.Duration)
		case fixedUpfrontPricingTerm:
			missing = missing || t.Duration == "" && o.term(validityTerm) == nil
			long.If(t.Duration != "" && !within(t.Duration, 1, mostMonths), "Duration", t.Duration)
		case configurableUpfrontPricingTerm:
			for _, value := range t.selectors() {
				longSelector.If(!within(value, 1, mostMonths), "Selector", value)
				odd.If(!slices.Contains(publicDurations, lengthOf(value)), "Selector", value)
			}
		}
	}
	c.Refuse(len(longTrial) > 0, "INVALID_DURATION", "Ensure Duration in FreeTrialPricingTerm is within the allowed range.", longTrial)
	c.Refuse(len(long) > 0, "INVALID_DURATION", "Provide duration between [x] and [y] months.", 1, mostMonths, long)
	c.Refuse(missing, "MISSING_DURATION", "Provide Duration in FixedUpfrontPricingTerm.")
	c.Refuse(len(longSelector) > 0, "INVALID_SELECTOR_DURATION_VALUE", "Provide duration between [x] and [y] months.", 1, mostMonths, longSelector)
	c.Refuse(o.public() && len(odd) > 0 && len(longSelector) == 0, "INVALID_SELECTOR_DURATION_VALUE", "Provide one or more supported contract durations.", odd)
}

// publicDurations are those of a public offer's contracts, in days: a month, and
// one, two or three years.
var publicDurations = []int{30, 365, 730, 1095}

func lengthOf(value string) int {
	d, _ := parseDuration(value)
	return d.length()
}

// checkReleased states what buyers rely on once the offer is released.
func (u *UpdatePricingTerms) checkReleased(o *Offer, c *change.Checks) {
	if o.State != Released {
		return
	}
	present := termsOf(o.Terms, pricingTerms)
	var added, removed, lessRates []string
	for _, t := range u.Terms {
		if !has(present, t.Type) && !slices.Contains(addable, t.Type) {
			added = append(added, t.Type)
		}
	}
	var was, will Constraints
	var gone change.Wrong
	var shorter, money change.Wrong
	for _, before := range present {
		i := slices.IndexFunc(u.Terms, func(t Term) bool { return t.Type == before.Type })
		if i < 0 {
			if before.Type != freeTrialPricingTerm {
				removed = append(removed, before.Type)
			}
			continue
		}
		after := u.Terms[i]
		if !subset(before.rateKeys(), after.rateKeys()) {
			lessRates = append(lessRates, before.Type)
			gone = append(gone, change.In("DimensionKey", without(before.rateKeys(), after.rateKeys())...)...)
		}
		money.If(before.CurrencyCode != after.CurrencyCode, "CurrencyCode", after.CurrencyCode)
		if before.Type == configurableUpfrontPricingTerm {
			shorter = change.In("Selector", without(before.selectors(), after.selectors())...)
			was, will = before.constraints(), after.constraints()
		}
	}
	c.Refuse(o.PricingModel != u.PricingModel, "INCOMPATIBLE_PRICING_MODEL", "PricingModel can't change from [x] to [y].", o.PricingModel, u.PricingModel)
	c.Refuse(len(money) > 0, "INCOMPATIBLE_CURRENCY_CODE", "CurrencyCode can't be changed after the offer is released.", money)
	c.Refuse(was.QuantityConfiguration != will.QuantityConfiguration, "INCOMPATIBLE_RATE_CARD_CONSTRAINTS", "QuantityConfiguration in ConfigurableUpfrontPricingTerm can't be changed after the offer is released.", change.In("QuantityConfiguration", will.QuantityConfiguration))
	c.Refuse(was.MultipleDimensionSelection != will.MultipleDimensionSelection, "INCOMPATIBLE_RATE_CARD_CONSTRAINTS", "MultipleDimensionSelection in ConfigurableUpfrontPricingTerm can't be changed after the offer is released.", change.In("MultipleDimensionSelection", will.MultipleDimensionSelection))
	c.Refuse(len(shorter) > 0, "INCOMPATIBLE_SELECTOR_DURATION", "Durations aren't allowed to be removed from rate cards in ConfigurableUpfrontPricingTerm after the offer released.", shorter)
	c.Refuse(len(added) > 0, "INCOMPATIBLE_TERMS", "The following terms can't be added after the offer is released: [x,y,z].", added)
	c.Refuse(len(removed) > 0, "INCOMPATIBLE_TERMS", "The following terms can't be removed after the offer is released: [x,y,z].", removed)
	c.Refuse(len(lessRates) > 0, "INVALID_RATE_CARD", "Rates can't be removed from [x]. Provide prices for all dimensions in the existing rate card.", lessRates, gone)
}

// Probe compares the terms with the product's dimensions, those that the same
// set adds included.
//
// What an offer has a price for keeps it when the dimension is restricted, in
// the same set or before.
func (u *UpdatePricingTerms) Probe(ctx context.Context, o *Offer, c *change.Checks) error {
	p, err := readProduct(ctx, c, o.ProductID)
	if err != nil {
		return err
	}
	facets := p.facets
	if facets == nil {
		facets = &product.Facets{}
	}
	restricting := besideThis(c, "RestrictDimensions", o.ProductID)
	var unknown, unentitled []string
	var unknownKeys, unmetered, unentitledKeys change.Wrong
	for _, t := range u.Terms {
		present := &Term{}
		if was := o.term(t.Type); was != nil {
			present = was
		}
		types := dimensionTypes(u.PricingModel, t.Type)
		for _, key := range t.keys() {
			fit, any := facets.Dimension(key, types...), facets.Dimension(key)
			closed := fit != nil && !fit.Offers() && !restricting && !slices.Contains(present.keys(), key)
			switch {
			case any == nil || closed:
				unknown = append(unknown, t.Type)
				unknownKeys.If(true, "DimensionKey", key)
			case fit == nil && t.Type == usageBasedPricingTerm:
				unmetered.If(true, "DimensionKey", key)
			case fit == nil:
				unentitled = append(unentitled, t.Type)
				unentitledKeys.If(true, "DimensionKey", key)
			}
		}
	}
	c.Refuse(len(unknown) > 0, "INCOMPATIBLE_PRODUCT", "Use existing, available dimensions in the product in [x].", slices.Compact(unknown), unknownKeys)
	c.Refuse(len(unmetered) > 0, "INVALID_RATE_CARD", "Provide a rate card for only metered dimensions in UsageBasedPricingTerm.", unmetered)
	c.Refuse(len(unentitled) > 0, "INVALID_RATE_CARD", "Provide only entitled dimensions in [x].", slices.Compact(unentitled), unentitledKeys)
	free := u.PricingModel == "Free" && p.kind == "SaaSProduct" && len(u.Terms) == 0
	c.Refuse(free, "MISSING_MANDATORY_TERMS", "Provide at least one of [x,y,z].", modelTerms["Free"])
	return nil
}

// Apply replaces the pricing terms.
func (u *UpdatePricingTerms) Apply(o *Offer, _ *change.Applying) {
	o.PricingModel = u.PricingModel
	o.replace(pricingTerms, u.Terms)
}

// dimensionTypes are the types of dimensions that a term has prices for; none
// given means any. Beside prices by use, those in advance may be of dimensions
// that are metered, as an AMI's prices by the hour and by the year are.
func dimensionTypes(model, termType string) []string {
	switch {
	case termType == usageBasedPricingTerm:
		return []string{product.Metered, product.ExternallyMetered}
	case termType != freeTrialPricingTerm && model == "Contract":
		return []string{product.Entitled}
	}
	return nil
}

// otherThanDollars says whether a term has another currency that is offered in
// USD alone.
func (u *UpdatePricingTerms) otherThanDollars() bool {
	return !subset(currenciesOf(termsOf(u.Terms, []string{usageBasedPricingTerm, recurringPaymentTerm})), []string{"USD"})
}

func sameQuantity(a, b *int64) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}

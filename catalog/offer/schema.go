package offer

import (
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"souk/catalog/change"
	"souk/catalog/product"
)

// schema collects what StartChangeSet refuses at once, in the words of AWS's
// schema errors: the tables "Synchronous Validations" of the page. Paths are JSON
// pointers.
type schema []string

func (s *schema) add(format string, args ...any) { *s = append(*s, fmt.Sprintf(format, args...)) }

// missing notes a member that has to be there.
func (s *schema) missing(at, name string) {
	s.add("JSON at %s is missing required properties: ['%s']", at, name)
}

// text notes a text whose length in characters is not between least and most.
func (s *schema) text(at, text string, least, most int) {
	if n := utf8.RuneCountInString(text); n < least || n > most {
		s.add("String at %s must have between %d and %d characters", at, least, most)
	}
}

// plain is text, without the characters that no name may have.
func (s *schema) plain(at, text string, least, most int) {
	s.text(at, text, least, most)
	if strings.ContainsAny(text, `\<>`) {
		s.add(`String at %s must not contain \, < or >`, at)
	}
}

// name is what an offer is called, if it is given and not null.
func (s *schema) name(given change.Optional[string]) {
	if given.Given && !given.Null {
		s.plain("/Name", given.Value, 1, 150)
	}
}

// items notes a list whose length is not between least and most.
func (s *schema) items(at string, n, least, most int) {
	if n < least || n > most {
		s.add("List at %s must have between %d and %d items", at, least, most)
	}
}

// among notes a value that is none of the allowed ones.
func (s *schema) among(at, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		s.add("String '%s' at %s must be one of ['%s']", shown(value), at, strings.Join(allowed, "', '"))
	}
}

// date notes what is no date.
func (s *schema) date(at string, value Date) {
	if _, err := time.Parse(time.DateOnly, string(value)); err != nil {
		s.add("String '%s' at %s must be a date of the form YYYY-MM-DD", shown(string(value)), at)
	}
}

// duration notes what is no ISO 8601 duration of years, months, weeks or days.
func (s *schema) duration(at, value string) {
	if _, ok := parseDuration(value); !ok {
		s.add("String '%s' at %s must be an ISO 8601 duration, such as P12M or P365D", shown(value), at)
	}
}

// inDays notes what is no duration in days, of at least one day.
func (s *schema) inDays(at, value string) {
	if d, ok := parseDuration(value); !ok || d.months > 0 || d.days < 1 {
		s.add("String '%s' at %s must be an ISO 8601 duration in days of at least one day, such as P30D", shown(value), at)
	}
}

var decimal = regexp.MustCompile(`^[0-9]{1,15}(?:\.([0-9]+))?$`)

// price notes what is no decimal with at most the given number of places.
func (s *schema) price(at, value string, places int) {
	m := decimal.FindStringSubmatch(value)
	if m == nil || len(m[1]) > places {
		s.add("String '%s' at %s must be a non-negative decimal with up to %d decimal places", shown(value), at, places)
	}
}

// percentage notes what is no percentage between least and 100.00.
func (s *schema) percentage(at, value, least string) {
	m := decimal.FindStringSubmatch(value)
	if m == nil || len(m[1]) > 2 || compare(value, least) < 0 || compare(value, "100") > 0 {
		s.add("String '%s' at %s must be a percentage between %s and 100.00 with up to two decimal places", shown(value), at, least)
	}
}

// currencies are those that the published shapes know.
var currencies = []string{"USD", "EUR", "GBP", "AUD", "JPY", "CAD"}

// fields notes what a term of a type lacks or has in a wrong form.
func (s *schema) fields(at string, t Term) {
	switch t.Type {
	case usageBasedPricingTerm:
		s.among(at+"/CurrencyCode", t.CurrencyCode, currencies...)
		s.items(at+"/RateCards", len(t.RateCards), 1, 1)
		s.rateCards(at, t, 8)
	case configurableUpfrontPricingTerm:
		s.among(at+"/CurrencyCode", t.CurrencyCode, currencies...)
		s.items(at+"/RateCards", len(t.RateCards), 1, 5)
		s.rateCards(at, t, 3)
		for i, card := range t.RateCards {
			s.configurable(at+"/RateCards/"+strconv.Itoa(i), card)
		}
	case fixedUpfrontPricingTerm:
		s.among(at+"/CurrencyCode", t.CurrencyCode, currencies...)
		s.price(at+"/Price", t.Price, 3)
		if t.Duration != "" {
			s.duration(at+"/Duration", t.Duration)
		}
		s.grants(at, t, 200)
	case freeTrialPricingTerm:
		s.duration(at+"/Duration", t.Duration)
		s.grants(at, t, 800)
	case recurringPaymentTerm:
		s.among(at+"/CurrencyCode", t.CurrencyCode, currencies...)
		s.among(at+"/BillingPeriod", t.BillingPeriod, "Monthly")
		s.price(at+"/Price", t.Price, 3)
	case paymentScheduleTerm:
		s.among(at+"/CurrencyCode", t.CurrencyCode, currencies...)
		if t.Schedule == nil {
			s.missing(at, "Schedule")
		}
		for i, charge := range t.Schedule {
			s.date(at+"/Schedule/"+strconv.Itoa(i)+"/ChargeDate", charge.ChargeDate)
			s.price(at+"/Schedule/"+strconv.Itoa(i)+"/ChargeAmount", charge.ChargeAmount, 2)
		}
	case validityTerm:
		if t.AgreementDuration != "" {
			s.duration(at+"/AgreementDuration", t.AgreementDuration)
		}
		if t.AgreementStartDate != "" {
			s.date(at+"/AgreementStartDate", t.AgreementStartDate)
		}
		if t.AgreementEndDate != "" {
			s.date(at+"/AgreementEndDate", t.AgreementEndDate)
		}
	case supportTerm:
		s.text(at+"/RefundPolicy", t.RefundPolicy, 1, 500)
		if strings.TrimSpace(t.RefundPolicy) != t.RefundPolicy {
			s.add("String at %s/RefundPolicy must not begin or end with spaces", at)
		}
	case legalTerm:
		s.items(at+"/Documents", len(t.Documents), 1, 1)
		for i, document := range t.Documents {
			s.document(at+"/Documents/"+strconv.Itoa(i), document)
		}
	case renewalTerm:
		s.renewal(at, t)
	}
}

func (s *schema) rateCards(at string, t Term, places int) {
	for i, card := range t.RateCards {
		rates := at + "/RateCards/" + strconv.Itoa(i) + "/RateCard"
		s.items(rates, len(card.RateCard), 1, 800)
		for j, rate := range card.RateCard {
			s.text(rates+"/"+strconv.Itoa(j)+"/DimensionKey", rate.DimensionKey, 1, 100)
			s.price(rates+"/"+strconv.Itoa(j)+"/Price", rate.Price, places)
		}
	}
}

// configurable notes what a rate card lacks that buyers choose and configure.
func (s *schema) configurable(at string, card RateCard) {
	if card.Selector == nil {
		s.missing(at, "Selector")
	} else {
		s.among(at+"/Selector/Type", card.Selector.Type, "Duration")
		s.duration(at+"/Selector/Value", card.Selector.Value)
	}
	if card.Constraints == nil {
		s.missing(at, "Constraints")
	} else {
		s.among(at+"/Constraints/MultipleDimensionSelection", card.Constraints.MultipleDimensionSelection, "Allowed", "Disallowed")
		s.among(at+"/Constraints/QuantityConfiguration", card.Constraints.QuantityConfiguration, "Allowed", "Disallowed")
	}
}

func (s *schema) grants(at string, t Term, most int) {
	s.items(at+"/Grants", len(t.Grants), 1, most)
	for i, grant := range t.Grants {
		one := at + "/Grants/" + strconv.Itoa(i)
		s.text(one+"/DimensionKey", grant.DimensionKey, 1, 100)
		if grant.MaxQuantity != nil && *grant.MaxQuantity < 1 {
			s.add("Integer at %s/MaxQuantity must be greater than 0", one)
		}
	}
}

// standardEulas are the versions of the Standard Contract for AWS Marketplace,
// the newest last.
var standardEulas = []string{"2019-04-24", "2022-07-14"}

func (s *schema) document(at string, d Document) {
	s.among(at+"/Type", d.Type, "CustomEula", "StandardEula", "CustomDsa", "StandardDsa")
	switch d.Type {
	case "CustomEula", "CustomDsa":
		if !product.IsURL(d.Url) {
			s.add("String '%s' at %s/Url must be a valid URL", shown(d.Url), at)
		}
	case "StandardEula":
		s.among(at+"/Version", d.Version, standardEulas...)
	case "StandardDsa":
		s.date(at+"/Version", Date(d.Version))
	}
}

func (s *schema) renewal(at string, t Term) {
	if t.LockoutPeriod != "" {
		s.inDays(at+"/LockoutPeriod", t.LockoutPeriod)
	}
	if t.AdjustmentDeadline != "" {
		s.inDays(at+"/AdjustmentDeadline", t.AdjustmentDeadline)
	}
	if t.MaxRenewals != nil && *t.MaxRenewals < 1 {
		s.add("Integer at %s/MaxRenewals must be greater than 0", at)
	}
	if p := t.PriceIncrease; p != nil {
		s.among(at+"/PriceIncrease/Type", p.Type, "FixedPercentage", "PercentageRange")
		switch {
		case p.Type == "FixedPercentage":
			s.percentage(at+"/PriceIncrease/Value", p.Value, "0.00")
		case p.Type == "PercentageRange" && p.Range == nil:
			s.missing(at+"/PriceIncrease", "Range")
		case p.Type == "PercentageRange":
			s.percentage(at+"/PriceIncrease/Range/MinValue", p.Range.MinValue, "0.00")
			s.percentage(at+"/PriceIncrease/Range/MaxValue", p.Range.MaxValue, "0.00")
			s.percentage(at+"/PriceIncrease/Range/DefaultValue", p.Range.DefaultValue, "0.00")
		}
	}
	s.items(at+"/TermTemplates", len(t.TermTemplates), 0, 1)
	for i, template := range t.TermTemplates {
		s.template(at+"/TermTemplates/"+strconv.Itoa(i), template)
	}
}

func (s *schema) template(at string, p PaymentPercentage) {
	s.among(at+"/Type", p.Type, "PaymentScheduleTermTemplate")
	s.items(at+"/Schedule", len(p.Schedule), 1, 86)
	var inMonths, inDays bool
	for i, charge := range p.Schedule {
		one := at + "/Schedule/" + strconv.Itoa(i)
		s.duration(one+"/ChargeDateOffset", charge.ChargeDateOffset)
		s.percentage(one+"/ChargePercentage", charge.ChargePercentage, "0.01")
		months := strings.HasSuffix(charge.ChargeDateOffset, "M")
		inMonths, inDays = inMonths || months, inDays || !months
		if day := charge.DayOfMonth; day != nil && (*day < 1 || *day > 31 || !months) {
			s.add("Integer at %s/DayOfMonth must be between 1 and 31, beside a ChargeDateOffset in months", one)
		}
	}
	if inMonths && inDays {
		s.add("ChargeDateOffset at %s/Schedule must have the same unit for all charges", at)
	}
}

// terms checks the list of an update: between least and most terms, all of the
// allowed types.
func (s *schema) terms(terms []Term, least, most int, allowed ...string) {
	if terms == nil {
		s.missing("/", "Terms")
		return
	}
	s.items("/Terms", len(terms), least, most)
	for i := range terms {
		at := "/Terms/" + strconv.Itoa(i)
		s.among(at+"/Type", terms[i].Type, allowed...)
		if slices.Contains(allowed, terms[i].Type) {
			s.fields(at, terms[i])
		}
	}
}

// refuse refuses at once what was collected.
func (s schema) refuse(c *change.Checks) {
	c.Refuse(len(s) > 0, "422", "Provided Details is not valid. [x].", []string(s))
}

// shown cuts a value for a message.
func shown(value string) string {
	if len(value) > 64 {
		return strings.ToValidUTF8(value[:64], "") + "..."
	}
	return value
}

// duration is a parsed ISO 8601 duration without a time of day.
type duration struct{ months, days int }

var durationForm = regexp.MustCompile(`^P(?:([0-9]{1,4})Y)?(?:([0-9]{1,4})M)?(?:([0-9]{1,4})W)?(?:([0-9]{1,5})D)?$`)

func parseDuration(value string) (duration, bool) {
	m := durationForm.FindStringSubmatch(value)
	if m == nil || value == "P" {
		return duration{}, false
	}
	n := func(i int) int {
		v, _ := strconv.Atoi(m[i]) // digits; "" is 0
		return v
	}
	return duration{months: 12*n(1) + n(2), days: 7*n(3) + n(4)}, true
}

// length is the duration in days, months being a twelfth of a year.
func (d duration) length() int { return d.months*365/12 + d.days }

// within says whether a duration, whose form was checked, has between least and
// most months. A month may have 28 days.
func within(value string, least, most int) bool {
	d, ok := parseDuration(value)
	return ok && d.length() >= least*28 && d.length() <= most*366/12
}

// compare compares two decimals whose form was checked.
func compare(a, b string) int {
	x, okX := new(big.Rat).SetString(a)
	y, okY := new(big.Rat).SetString(b)
	if !okX || !okY {
		return 0
	}
	return x.Cmp(y)
}

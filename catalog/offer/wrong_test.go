package offer_test

import (
	"strings"
	"testing"

	"souk/catalog/change"
	"souk/catalog/product/producttest"
	"souk/spec"
)

// TestTheLogSaysWhichValuesAreWrong replays samples whose documented text names
// no value: the operator's log has it.
func TestTheLogSaysWhichValuesAreWrong(t *testing.T) {
	t.Parallel()
	members := map[string]string{
		"DUPLICATE_DIMENSION_KEYS":           "DimensionKey ",
		"DUPLICATE_SELECTORS":                "Selector ",
		"INCOMPATIBLE_RATE_CARD_CONSTRAINTS": "Constraints of P",
		"INVALID_GRANTS":                     "DimensionKey ",
		"INVALID_PERCENTAGE_RANGE":           "MinValue",
		"INVALID_CHARGE_PERCENTAGES":         "sum ",
		"DUPLICATE_CHARGE_DATE_OFFSETS":      "ChargeDateOffset ",
		"INVALID_LOCKOUT_PERIOD":             "LockoutPeriod ",
		"INVALID_SELECTOR_DURATION_VALUE":    "Selector ",
	}
	samples, err := spec.ReadSamples(family.Testdata)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, sample := range samples {
		member, ok := members[sample.Code]
		if !ok || sample.Probe || strings.Contains(sample.Message, "after the offer is released") {
			continue
		}
		seen[sample.Code] = true
		t.Run(sample.Name, func(t *testing.T) {
			t.Parallel()
			i := family.Given(t, sample.Given)
			details, err := spec.Expand(sample.Details, family.Placeholders(t, i))
			if err != nil {
				t.Fatal(err)
			}
			decoded, _ := i.Refusals(sample.ChangeType, details)
			c := &change.Checks{Seller: producttest.Seller, Entity: i.Entity}
			decoded.Check(i.State, c)
			if reason := c.Reason(); reason == nil || !strings.Contains(reason.Error(), sample.Code+": "+member) {
				t.Errorf("the log says %v, want %s: %s...", reason, sample.Code, member)
			}
		})
	}
	for code := range members {
		if !seen[code] {
			t.Errorf("no sample of %s", code)
		}
	}
}

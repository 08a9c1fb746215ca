package offer_test

import (
	"encoding/json"
	"testing"

	"souk/spec"
)

// FuzzDetails feeds every change type documents of all kinds, on an offer of each
// kind: nothing panics, the same document is judged and applied the same way
// twice, and what was applied can be stored, read, listed and shown.
func FuzzDetails(f *testing.F) {
	samples, err := spec.ReadSamples(testdata)
	if err != nil {
		f.Fatal(err)
	}
	for _, sample := range samples {
		details, err := spec.Expand(sample.Details, products)
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(details))
	}
	setups, err := spec.ReadSetups(testdata)
	if err != nil {
		f.Fatal(err)
	}
	for _, setup := range setups {
		for _, c := range setup.Changes {
			details, err := spec.Expand(c.Details, products)
			if err != nil {
				f.Fatal(err)
			}
			f.Add([]byte(details))
		}
	}
	for _, document := range []string{`{}`, `[]`, `null`, `{"Terms":[null]}`, `{"Terms":[{}]}`, `{"PositiveTargeting":null,"NegativeTargeting":{}}`} {
		f.Add([]byte(document))
	}
	names := changeTypes()
	type start struct {
		*item
		stored string
	}
	var starts []start
	for _, name := range []string{"draft", "contract", "scheduled prices", "dated release"} {
		i := given(f, name)
		starts = append(starts, start{i, i.stored()})
	}
	copied := func(t *testing.T, s start) *item {
		i := *s.item
		i.state = i.kind.New()
		if err := json.Unmarshal([]byte(s.stored), i.state); err != nil {
			t.Fatal(err)
		}
		return &i
	}
	f.Fuzz(func(t *testing.T, details []byte) {
		for _, start := range starts {
			for _, changeType := range names {
				one, other := copied(t, start), copied(t, start)
				decoded, refusals, _ := one.refusals(t, changeType, details)
				again, same, _ := other.refusals(t, changeType, details)
				if len(refusals) != len(same) {
					t.Fatalf("%s: refused as %+v, then as %+v", changeType, refusals, same)
				}
				for _, refusal := range refusals {
					if refusal.ErrorCode == "" || refusal.ErrorMessage == "" || len(refusal.ErrorMessage) > 2048 {
						t.Errorf("%s: refused as %+v", changeType, refusal)
					}
				}
				if decoded.Apply == nil || len(refusals) > 0 {
					continue
				}
				one.apply(decoded, "seed")
				other.apply(again, "seed")
				if a, b := one.stored(), other.stored(); a != b {
					t.Errorf("%s: applied twice it gives\n%s\nand\n%s", changeType, a, b)
				}
				one.described(t)
				one.kind.List(one.state)
			}
		}
	})
}

package producttest

import (
	"testing"

	"souk/spec"
)

// Fuzz feeds every change type documents of all kinds, on an entity of each of
// the starts: nothing panics, the same document is judged and applied the same
// way twice, and what was applied can be stored, read, listed and shown. The
// seeds are all samples, the changes of all states, and documents.
func (f Family) Fuzz(fuzz *testing.F, placeholders map[string]string, starts []*Item, documents ...string) {
	for _, document := range append([]string{`{}`, `[]`, `null`}, documents...) {
		fuzz.Add([]byte(document))
	}
	seed := func(details []byte) {
		expanded, err := spec.Expand(details, placeholders)
		if err != nil {
			fuzz.Fatal(err)
		}
		fuzz.Add([]byte(expanded))
	}
	samples, err := spec.ReadSamples(f.Testdata)
	if err != nil {
		fuzz.Fatal(err)
	}
	for _, sample := range samples {
		seed(sample.Details)
	}
	setups, err := spec.ReadSetups(f.Testdata)
	if err != nil {
		fuzz.Fatal(err)
	}
	for _, setup := range setups {
		for _, c := range setup.Changes {
			seed(c.Details)
		}
	}
	names := f.ChangeTypes()
	stored := make([]string, len(starts))
	for n, start := range starts {
		stored[n] = start.store(fuzz)
	}
	fuzz.Fuzz(func(t *testing.T, details []byte) {
		for n, start := range starts {
			copied := func() *Item {
				i := *start
				i.Claims, i.State = nil, i.read(t, []byte(stored[n]))
				return &i
			}
			for _, changeType := range names {
				same(t, copied(), copied(), changeType, details)
			}
		}
	})
}

// same changes two equal items with the same document, and fails unless they
// stay equal.
func same(t *testing.T, one, other *Item, changeType string, details []byte) {
	t.Helper()
	v, again := one.Judge(t, changeType, details), other.Judge(t, changeType, details)
	if len(v.Refusals) != len(again.Refusals) {
		t.Fatalf("%s: refused as %+v, then as %+v", changeType, v.Refusals, again.Refusals)
	}
	for _, refusal := range v.Refusals {
		if refusal.ErrorCode == "" || refusal.ErrorMessage == "" || len(refusal.ErrorMessage) > 2048 {
			t.Errorf("%s: refused as %+v", changeType, refusal)
		}
	}
	if v.Change.Apply == nil || len(v.Refusals) > 0 {
		return
	}
	one.apply(t, v, "seed")
	other.apply(t, again, "seed")
	if a, b := one.store(t), other.store(t); a != b {
		t.Errorf("%s: applied twice it gives\n%s\nand\n%s", changeType, a, b)
	}
	one.Described(t)
	one.Listed()
}

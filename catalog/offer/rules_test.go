package offer_test

import (
	"slices"
	"testing"

	"souk/catalog/change"
	"souk/spec"
	"souk/spec/spectest"
)

func TestRulesAreThoseOfTheDocumentation(t *testing.T) {
	t.Parallel()
	spectest.CompareRules(t, "Offer", changeTypes(), ".")
}

func TestEveryRowOfTheDocumentationHasASample(t *testing.T) {
	t.Parallel()
	spectest.CompareSamples(t, "Offer", changeTypes(), testdata)
}

func TestSamplesAreRefusedAsTheySay(t *testing.T) {
	t.Parallel()
	samples, err := spec.ReadSamples(testdata)
	if err != nil {
		t.Fatal(err)
	}
	for _, sample := range samples {
		t.Run(sample.Name, func(t *testing.T) {
			t.Parallel()
			i := given(t, sample.Given)
			details, err := spec.Expand(sample.Details, products)
			if err != nil {
				t.Fatal(err)
			}
			_, refusals, probed := i.refusals(t, sample.ChangeType, details)
			want := change.Refusal{ErrorCode: sample.Code, ErrorMessage: spec.ExpandText(sample.Message, products)}
			if !slices.Contains(refusals, want) {
				t.Errorf("got  %+v\nwant %+v", refusals, want)
			}
			if probed != sample.Probe {
				t.Errorf("found by asking the world: %t, the sample says %t", probed, sample.Probe)
			}
		})
	}
}

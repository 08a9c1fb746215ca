package amiproduct_test

import (
	"testing"

	"souk/catalog/change"
	"souk/spec"
	"souk/spec/spectest"
)

func changeTypes() []string {
	var names []string
	for _, t := range newItem().kind.Types {
		names = append(names, t.Name)
	}
	return names
}

func TestRulesAreThoseOfTheDocumentation(t *testing.T) {
	t.Parallel()
	spectest.CompareRules(t, "AmiProduct", changeTypes(), ".", "../product")
}

func TestEveryRowOfTheDocumentationHasASample(t *testing.T) {
	t.Parallel()
	spectest.CompareSamples(t, "AmiProduct", changeTypes(), testdata)
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
			placeholders := i.placeholders(t)
			details, err := spec.Expand(sample.Details, placeholders)
			if err != nil {
				t.Fatal(err)
			}
			decoded, refusals := i.refusals(sample.ChangeType, details)
			if sample.Probe {
				if len(refusals) > 0 {
					t.Fatalf("refused before the world is asked: %+v", refusals)
				}
				refusals = i.probe(t, decoded, false).Refusals()
			}
			want := change.Refusal{ErrorCode: sample.Code, ErrorMessage: spec.ExpandText(sample.Message, placeholders)}
			for _, refusal := range refusals {
				if refusal == want {
					return
				}
			}
			t.Errorf("got  %+v\nwant %+v", refusals, want)
		})
	}
}

// Package producttest is what the tests of the catalog's entity types share: an
// entity without the engine, led to the states of testdata/states.json, and the
// tests that every entity type passes.
//
// A package of change types declares its Family once and keeps in its own tests
// what is its own: the world that its probes ask, and how its entities live. The
// engine itself is tested in catalog/changeset, the whole in conformance.
package producttest

import (
	"io/fs"
	"slices"
	"testing"

	"souk/catalog/change"
	"souk/spec"
	"souk/spec/spectest"
)

// Seller is whose change sets all tests run.
var Seller = change.Seller{Account: "111122223333", Namespace: "sample-seller"}

// Family is an entity type with its samples and states.
type Family struct {
	// Testdata holds the samples and the starting states, in the form of
	// catalog/containerproduct/testdata/README.md.
	Testdata fs.FS
	// New returns an entity before the change that creates it.
	New func() *Item
	// Placeholders gives the names of samples and states their values.
	Placeholders func(t testing.TB, i *Item) map[string]string
	// Set has the other changes of the sets that lead to a state, such as the
	// release of an offer. Samples stand alone in their sets.
	Set []change.Beside
}

// ChangeTypes are the names of the family's change types, in their order.
func (f Family) ChangeTypes() []string {
	var names []string
	for _, t := range f.New().Kind.Types {
		names = append(names, t.Name)
	}
	return names
}

// Given leads an entity to a state of testdata/states.json; "" is before it is
// created.
func (f Family) Given(t testing.TB, name string) *Item {
	t.Helper()
	setups, err := spec.ReadSetups(f.Testdata)
	if err != nil {
		t.Fatal(err)
	}
	i := f.New()
	i.Set = f.Set
	f.lead(t, i, setups, name)
	i.Set = nil
	return i
}

func (f Family) lead(t testing.TB, i *Item, setups map[string]spec.Setup, name string) {
	t.Helper()
	if name == "" {
		return
	}
	setup, ok := setups[name]
	if !ok {
		t.Fatalf("testdata/states.json has no state %q", name)
	}
	f.lead(t, i, setups, setup.From)
	for _, c := range setup.Changes {
		details, err := spec.Expand(c.Details, f.Placeholders(t, i))
		if err != nil {
			t.Fatal(err)
		}
		i.Do(t, c.ChangeType, string(details))
	}
}

// Test runs the tests that every entity type passes. Folders are those, beside
// the working folder, whose functions the rules of change types call.
func (f Family) Test(t *testing.T, folders ...string) {
	t.Parallel()
	name, changeTypes := f.New().Kind.Name, f.ChangeTypes()
	t.Run("RulesAreThoseOfTheDocumentation", func(t *testing.T) {
		t.Parallel()
		spectest.CompareRules(t, name, changeTypes, ".", folders...)
	})
	t.Run("EveryRowOfTheDocumentationHasASample", func(t *testing.T) {
		t.Parallel()
		spectest.CompareSamples(t, name, changeTypes, f.Testdata)
	})
	t.Run("SamplesAreRefusedAsTheySay", func(t *testing.T) {
		t.Parallel()
		f.testSamples(t)
	})
	t.Run("AfterNamesChangeTypesThatThereAre", func(t *testing.T) {
		t.Parallel()
		for n, changeType := range f.New().Kind.Types {
			for _, before := range changeType.After {
				if at := slices.Index(changeTypes, before); at < 0 || at >= n {
					t.Errorf("%s comes after %s, which does not stand before it", changeType.Name, before)
				}
			}
		}
	})
}

// testSamples replays every sample: it is refused as it says, and by a probe if
// and only if it says so. Where items have no World, samples of probes are only
// refused by nothing before; the package's own tests ask the world.
func (f Family) testSamples(t *testing.T) {
	t.Helper()
	samples, err := spec.ReadSamples(f.Testdata)
	if err != nil {
		t.Fatal(err)
	}
	for _, sample := range samples {
		t.Run(sample.Name, func(t *testing.T) {
			t.Parallel()
			i := f.Given(t, sample.Given)
			placeholders := f.Placeholders(t, i)
			details, err := spec.Expand(sample.Details, placeholders)
			if err != nil {
				t.Fatal(err)
			}
			v := i.Judge(t, sample.ChangeType, details)
			if sample.Probe && i.World == nil {
				if len(v.Refusals) > 0 {
					t.Errorf("refused before the world is asked: %+v", v.Refusals)
				}
				return
			}
			want := change.Refusal{ErrorCode: sample.Code, ErrorMessage: spec.ExpandText(sample.Message, placeholders)}
			if !slices.Contains(v.Refusals, want) {
				t.Errorf("got  %+v\nwant %+v", v.Refusals, want)
			}
			if v.Probed != sample.Probe {
				t.Errorf("found by asking the world: %t, the sample says %t", v.Probed, sample.Probe)
			}
		})
	}
}

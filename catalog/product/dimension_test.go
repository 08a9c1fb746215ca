package product

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"souk/catalog/change"
)

// AddDimensions of an entity, as its package declares it.
type addDimensions struct{ AddDimensions }

func (r *addDimensions) Check(f *Facets, c *change.Checks)   { r.AddDimensions.Check(f, c) }
func (r *addDimensions) Apply(f *Facets, a *change.Applying) { r.AddDimensions.Apply(f, a) }

type restrictDimensions struct{ RestrictDimensions }

func (r *restrictDimensions) Check(f *Facets, c *change.Checks)   { r.RestrictDimensions.Check(f, c) }
func (r *restrictDimensions) Apply(f *Facets, a *change.Applying) { r.RestrictDimensions.Apply(f, a) }

var dimensionTypes = map[string]change.Type{
	"AddDimensions":      change.Of[Facets, addDimensions](change.Type{Name: "AddDimensions"}),
	"UpdateDimensions":   change.Of[Facets, UpdateDimensions](change.Type{Name: "UpdateDimensions"}),
	"RestrictDimensions": change.Of[Facets, restrictDimensions](change.Type{Name: "RestrictDimensions"}),
	"UpdateTargeting":    change.Of[Facets, UpdateTargeting](change.Type{Name: "UpdateTargeting"}),
}

// run checks a change and applies it where nothing is refused.
func run(t *testing.T, f *Facets, entityType, changeType, details string) []string {
	t.Helper()
	decoded, err := dimensionTypes[changeType].Decode([]byte(details))
	if err != nil {
		t.Fatalf("decoding %s: %v", details, err)
	}
	c := &change.Checks{Entity: change.Entity{Type: entityType}}
	if decoded.Valid != nil {
		decoded.Valid(c)
	}
	if len(c.Refusals()) == 0 {
		decoded.Check(f, c)
	}
	var codes []string
	for _, refusal := range c.Refusals() {
		codes = append(codes, refusal.ErrorCode)
	}
	if len(codes) == 0 {
		decoded.Apply(f, &change.Applying{})
	}
	return codes
}

func TestDimensionsComeInAnArray(t *testing.T) {
	t.Parallel()
	for document, want := range map[string]string{
		`{"Key":"a"}`:             "JSON at / is of the wrong type: object can't be used for array",
		`[{"Key":"a","Types":1}]`: "JSON at /0/Types is of the wrong type: number can't be used for array",
		`[null]`:                  "JSON at /0 is of the wrong type: null can't be used for an element of an array",
	} {
		_, err := dimensionTypes["AddDimensions"].Decode([]byte(document))
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", document, err, want)
		}
	}
}

func TestARestrictedDimensionStaysAndCanComeBack(t *testing.T) {
	t.Parallel()
	var f Facets
	do := func(changeType, details string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, run(t, &f, "AmiProduct@1.0", changeType, details)); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", changeType, details, diff)
		}
	}
	do("AddDimensions", `[{"Key":"m5.large","Name":"m5.large","Description":"Hours","Unit":"Hrs","Types":["Metered"]},
		{"Key":"m5.large","Name":"m5.large","Description":"Years","Unit":"Units","Types":["Entitled"]},
		{"Key":"c5.large","Name":"c5.large","Description":"Years","Unit":"Units","Types":["Entitled"]}]`)
	do("RestrictDimensions", `[{"Key":"m5.large","Types":["Metered"]}]`, "INVALID_DIMENSION") // the years stay behind
	do("RestrictDimensions", `[{"Key":"m5.large","Types":["Metered"]},{"Key":"m5.large","Types":["Entitled"]}]`)
	if d := f.Dimension("m5.large", Metered); d == nil || d.Offers() || d.Description != "Hours" {
		t.Errorf("a restricted dimension is %+v", d)
	}
	if d := f.Dimension("c5.large"); d == nil || !d.Offers() || !d.Offers(Entitled) || d.Offers(Metered) {
		t.Errorf("a dimension that is not restricted is %+v", d)
	}
	do("UpdateDimensions", `[{"Key":"m5.large","Types":["Entitled"],"Description":"All years"}]`, "INVALID_DIMENSION")
	do("UpdateDimensions", `[{"Key":"c5.large","Types":["Entitled"],"Description":"All years"}]`)
	do("AddDimensions", `[{"Key":"m5.large","Name":"m5.large","Description":"Years","Unit":"Users","Types":["Entitled"]}]`, "INVALID_DIMENSION") // of another unit
	do("AddDimensions", `[{"Key":"m5.large","Name":"m5.large","Description":"Again","Unit":"Units","Types":["Entitled"]}]`)
	want := []Dimension{
		{Key: "m5.large", Name: "m5.large", Description: "Hours", Unit: "Hrs", Types: []string{Metered}, Restricted: true},
		{Key: "m5.large", Name: "m5.large", Description: "Again", Unit: "Units", Types: []string{Entitled}},
		{Key: "c5.large", Name: "c5.large", Description: "All years", Unit: "Units", Types: []string{Entitled}},
	}
	if diff := cmp.Diff(want, f.Dimensions); diff != "" {
		t.Errorf("dimensions (-want +got):\n%s", diff)
	}
	if d := f.Dimension("m5.large"); d.Restricted {
		t.Errorf("of a restricted and an open dimension of one key, %+v is found", d)
	}
}

func TestInstanceTypesOfAnAMIProductAreNotCounted(t *testing.T) {
	t.Parallel()
	var many []map[string]any
	for i := range 201 {
		many = append(many, map[string]any{"Key": "k" + strconv.Itoa(i), "Name": "n" + strconv.Itoa(i), "Description": "d", "Unit": "Hrs", "Types": []string{"Metered"}})
	}
	document, err := json.Marshal(many)
	if err != nil {
		t.Fatal(err)
	}
	for entityType, want := range map[string][]string{"SaaSProduct@1.0": {"INVALID_DIMENSION"}, "ContainerProduct@1.0": {"INVALID_DIMENSION"}, "AmiProduct@1.0": nil} {
		if diff := cmp.Diff(want, run(t, new(Facets), entityType, "AddDimensions", string(document))); diff != "" {
			t.Errorf("201 dimensions of %s (-want +got):\n%s", entityType, diff)
		}
	}
}

func TestTargetingIsReplacedAndTakenAway(t *testing.T) {
	t.Parallel()
	var f Facets
	for _, step := range []struct {
		details       string
		codes, wanted []string
	}{
		{`{"PositiveTargeting":{"BuyerAccounts":[]}}`, []string{"INVALID_AWS_ACCOUNT_IDS"}, nil},
		{`{"PositiveTargeting":{"BuyerAccounts":["222222222222","111111111111"]}}`, nil, []string{"222222222222", "111111111111"}},
		{`{"PositiveTargeting":{"BuyerAccounts":["111111111111","222222222222"]}}`, []string{"INVALID_AWS_ACCOUNT_IDS"}, []string{"222222222222", "111111111111"}},
		{`{"PositiveTargeting":{"BuyerAccounts":["333333333333"]}}`, nil, []string{"333333333333"}},
		{`{"PositiveTargeting":{"BuyerAccounts":[]}}`, nil, nil},
	} {
		if diff := cmp.Diff(step.codes, run(t, &f, "SaaSProduct@1.0", "UpdateTargeting", step.details)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.details, diff)
		}
		if diff := cmp.Diff(step.wanted, f.Invited()); diff != "" {
			t.Errorf("after %s (-want +got):\n%s", step.details, diff)
		}
	}
}

func TestStatesWithoutDimensionsAndTargetingAreRead(t *testing.T) {
	t.Parallel()
	var f Facets
	if err := json.Unmarshal([]byte(`{"Description":{"ProductTitle":"Old"}}`), &f); err != nil || f.Dimensions != nil || f.Targeting != nil {
		t.Errorf("%v, read as %+v", err, f)
	}
}

// A change can't keep the engine busy by the length of its list.
func TestLongListsOfDimensionsAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	many := "[" + strings.Repeat("{},", 3000) + "{}]"
	for _, changeType := range []string{"AddDimensions", "UpdateDimensions", "RestrictDimensions"} {
		if diff := cmp.Diff([]string{"422"}, run(t, new(Facets), "AmiProduct@1.0", changeType, many)); diff != "" {
			t.Errorf("%s of 3,001 dimensions (-want +got):\n%s", changeType, diff)
		}
	}
	types := `[{"Key":"a","Name":"a","Description":"a","Unit":"Units","Types":["Entitled","Metered","ExternallyMetered","Metered"]}]`
	if diff := cmp.Diff([]string{"422"}, run(t, new(Facets), "AmiProduct@1.0", "AddDimensions", types)); diff != "" {
		t.Errorf("four types (-want +got):\n%s", diff)
	}
}

package producttest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestLife fails unless the states of products named "Sample product" are listed
// with these visibilities, and a product that is Restricted becomes Limited and
// Public again.
func (f Family) TestLife(t *testing.T, visibilities map[string]string) {
	t.Helper()
	for state, want := range visibilities {
		if got := f.Given(t, state).Listed(); got.Name != "Sample product" || got.Visibility != want {
			t.Errorf("%s: listed as %+v, want %s", state, got, want)
		}
	}
	i := f.Given(t, "restricted")
	i.Do(t, "UpdateVisibility", `{"TargetVisibility":"Limited"}`)
	i.Do(t, "UpdateVisibility", `{"TargetVisibility":"Public"}`)
}

// Created creates a product of nothing, fails unless its description shows the
// empty members that every product has, and returns what is shown.
func (i *Item) Created(t *testing.T) map[string]any {
	t.Helper()
	i.Do(t, "CreateProduct", `{}`)
	d := i.Described(t)
	description, _ := d["Description"].(map[string]any)
	for name, want := range map[string]any{
		"ProductTitle": "", "ShortDescription": "", "LongDescription": "", "Visibility": "Draft", "ProductState": "Active",
		"Highlights": []any{}, "SearchKeywords": []any{}, "Categories": []any{}, "Sku": nil,
	} {
		if got, ok := description[name]; !ok || !cmp.Equal(got, want) {
			t.Errorf("Description.%s is %v, want %v", name, got, want)
		}
	}
	if code, _ := description["ProductCode"].(string); len(code) != 25 {
		t.Errorf("ProductCode is %q, want 25 characters", code)
	}
	want := map[string]any{"LogoUrl": "", "AdditionalResources": []any{}, "Videos": []any{}}
	if diff := cmp.Diff(want, d["PromotionalResources"]); diff != "" {
		t.Errorf("PromotionalResources (-want +got):\n%s", diff)
	}
	return d
}

package containerproduct_test

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"souk/catalog/change"
	"souk/catalog/product/producttest"
)

func TestAnAddOnIsLimitedUntilItIsMadePublic(t *testing.T) {
	t.Parallel()
	i := family.Given(t, "add-on")
	if got := visibility(t, i, "Add-on"); got != "Limited" {
		t.Errorf("a new add-on is %s, want Limited", got)
	}
	if got := visibility(t, family.Given(t, "add-on public"), "Add-on"); got != "Public" {
		t.Errorf("after UpdateDeliveryOptionsVisibility the add-on is %s, want Public", got)
	}
	claim := func(c change.Claim) bool { return c.Kind == "addon" && c.ID == namespace+"_sample" }
	if !slices.ContainsFunc(i.Claims, claim) {
		t.Errorf("the add-on's name is not claimed: %+v", i.Claims)
	}
	claims := len(slices.DeleteFunc(slices.Clone(family.Given(t, "two add-ons").Claims), func(c change.Claim) bool { return !claim(c) }))
	if claims != 1 {
		t.Errorf("the name of a product with two add-ons is claimed %d times", claims)
	}
}

func TestAnAddOnIsShownAsTheDocumentationHasIt(t *testing.T) {
	t.Parallel()
	i := family.Given(t, "add-on")
	version := i.Described(t)["Versions"].([]any)[1].(map[string]any)
	source, option := version["Sources"].([]any)[0].(map[string]any), version["DeliveryOptions"].([]any)[0].(map[string]any)
	if source["Type"] != "HelmChart" || source["HelmChartUri"] != host+"/"+namespace+"/charts:1.0" || source["Id"] != option["SourceId"] {
		t.Errorf("source is %v", source)
	}
	want := map[string]any{
		"Id": option["Id"], "SourceId": option["SourceId"], "Type": "EksAddOn", "Title": "Add-on",
		"ShortDescription": "Installed by EKS.", "isRecommended": false, "Visibility": "Limited",
		"Compatibility":   map[string]any{"AWSServices": []any{"EKS"}, "KubernetesVersions": []any{"1.31", "1.32"}, "Architectures": []any{"amd64", "arm64"}},
		"Instructions":    map[string]any{"Usage": "Choose it in the console."},
		"Recommendations": map[string]any{"AdditionalArtifacts": []any{}},
		"Namespace":       "sample", "AddOnName": "sample", "DisplayAddOnName": namespace + "_sample", "AddOnVersion": "1.0.0", "AddOnType": "observability",
		"EnvironmentOverrideParameters": []any{map[string]any{"Key": "HelmKeyName1", "Value": "${AWS_REGION}"}},
	}
	if diff := cmp.Diff(want, option); diff != "" {
		t.Errorf("add-on (-want +got):\n%s", diff)
	}
}

func TestAnAddOnIsUpdated(t *testing.T) {
	t.Parallel()
	i := family.Given(t, "add-on")
	i.Do(t, "UpdateDeliveryOptions", `{"DeliveryOptions":[{"Id":"`+family.Placeholders(t, i)["option:Add-on"]+`","Details":{"EksAddOnDeliveryOptionDetails":{
		"AddOnVersion":"1.0.1","AddOnType":"Observability","CompatibleKubernetesVersions":["1.33"],"SupportedArchitectures":["arm64"],"EnvironmentOverrideParameters":[]}}}]}`)
	option := i.Described(t)["Versions"].([]any)[1].(map[string]any)["DeliveryOptions"].([]any)[0].(map[string]any)
	want := map[string]any{"AWSServices": []any{"EKS"}, "KubernetesVersions": []any{"1.33"}, "Architectures": []any{"arm64"}}
	if diff := cmp.Diff(want, option["Compatibility"]); diff != "" || option["AddOnVersion"] != "1.0.1" {
		t.Errorf("version %v, compatibility (-want +got):\n%s", option["AddOnVersion"], diff)
	}
}

// takenNames are names that other products have.
type takenNames []string

func (n takenNames) Taken(_ context.Context, kind, id string) (bool, error) {
	return slices.Contains(n, kind+" "+id), nil
}

func TestTheNameOfAnAddOnBelongsToOneProduct(t *testing.T) {
	t.Parallel()
	for state, want := range map[string]bool{"second product": true, "add-on": false} {
		i := family.Given(t, state)
		decoded, refusals := i.Refusals("AddDeliveryOptions", []byte(`{"Version":{"VersionTitle":"3.0","ReleaseNotes":"x"},"DeliveryOptions":[{"DeliveryOptionTitle":"Next","Details":{"EksAddOnDeliveryOptionDetails":{
			"ContainerImages":["`+host+`/x/y:1"],"HelmChartUri":"`+host+`/x/z:1","Description":"d","UsageInstructions":"u","AddOnName":"sample","AddOnVersion":"2.0.0","AddOnType":"observability",
			"CompatibleKubernetesVersions":["1.31"],"SupportedArchitectures":["amd64"],"Namespace":"sample"}}}]}`))
		if len(refusals) > 0 {
			t.Fatalf("%s: refused before the world is asked: %+v", state, refusals)
		}
		c := &change.Checks{Seller: seller, Entity: i.Entity, World: change.World{Images: &deleted{}, Entities: producttest.Offers{}, Names: takenNames{"addon " + namespace + "_sample"}}}
		if err := decoded.Probe(t.Context(), i.State, c); err != nil {
			t.Fatal(err)
		}
		got := slices.ContainsFunc(c.Refusals(), func(r change.Refusal) bool { return r.ErrorCode == "DUPLICATE_ADDON_NAME" })
		if got != want {
			t.Errorf("%s: the name is refused: %t, want %t", state, got, want)
		}
	}
}

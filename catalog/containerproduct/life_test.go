package containerproduct_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"souk/catalog/change"
	"souk/catalog/containerproduct"
	"souk/catalog/product/producttest"
)

func visibility(t *testing.T, i *producttest.Item, title string) string {
	t.Helper()
	for _, v := range i.Described(t)["Versions"].([]any) {
		for _, o := range v.(map[string]any)["DeliveryOptions"].([]any) {
			if option := o.(map[string]any); option["Title"] == title {
				return option["Visibility"].(string)
			}
		}
	}
	t.Fatalf("no option %q", title)
	return ""
}

func TestAProductGoesFromDraftToPublicAndBack(t *testing.T) {
	t.Parallel()
	family.TestLife(t, map[string]string{"draft": "Draft", "informed": "Draft", "limited": "Limited", "public": "Public", "restricted": "Restricted"})
	if got := family.Given(t, "draft"); got.Listed().Fields != nil {
		t.Errorf("without a version, listed with %v", got.Listed().Fields)
	}
	if got := family.Given(t, "public"); !slices.Equal(got.Listed().Fields["CompatibleAWSServices"], []string{"ECS,EKS"}) {
		t.Errorf("listed with %v", got.Listed().Fields)
	}
}

func TestRestrictedOptionsStayAndOthersStayPublic(t *testing.T) {
	t.Parallel()
	i := family.Given(t, "one option restricted")
	if a, b := visibility(t, i, "ECR option"), visibility(t, i, "Helm option"); a != "Restricted" || b != "Public" {
		t.Errorf("options are %s and %s, want Restricted and Public", a, b)
	}
}

func TestVersionsAndRepositoriesMayComeInDraft(t *testing.T) {
	t.Parallel()
	i := family.Given(t, "draft")
	i.Do(t, "AddRepositories", `{"Repositories":[{"RepositoryName":"tools/nginx-web-app","RepositoryType":"ECR"}]}`)
	i.Do(t, "AddDeliveryOptions", fmt.Sprintf(`{"Version":{"VersionTitle":"0.1","ReleaseNotes":"Early."},"DeliveryOptions":[{"DeliveryOptionTitle":"Early","Details":{"EcrDeliveryOptionDetails":{
		"ContainerImages":["%s/%s/app:1.0"],"CompatibleServices":["EKS"],"Description":"d","UsageInstructions":"u"}}}]}`, host, namespace))
	i.Do(t, "UpdateDeliveryOptions", fmt.Sprintf(`{"DeliveryOptions":[{"Id":%q,"Details":{"EcrDeliveryOptionDetails":{"Description":"better"}}}]}`, family.Placeholders(t, i)["option:Early"]))
}

func TestIdentifiersHaveTheDocumentedForms(t *testing.T) {
	t.Parallel()
	i := family.Given(t, "limited")
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	if !regexp.MustCompile(`^prod-[a-z0-9]{13}$`).MatchString(i.Entity.ID) {
		t.Errorf("product id %q", i.Entity.ID)
	}
	seen := map[string]bool{}
	for name, id := range family.Placeholders(t, i) {
		if name != "registry" && name != "namespace" && name != "product" && name != "report" && (!uuid.MatchString(id) || seen[id]) {
			t.Errorf("%s has id %q, want a UUID of its own", name, id)
		}
		seen[id] = true
	}
	version := i.Described(t)["Versions"].([]any)[0].(map[string]any)
	if got := version["CreationDate"]; got != "2021-03-02T00:00:00.000Z" {
		t.Errorf("CreationDate is %v", got)
	}
}

func TestRepositoriesAndTagsAreClaimedOnce(t *testing.T) {
	t.Parallel()
	i := family.Given(t, "limited")
	got := map[string]string{}
	for _, claim := range i.Claims {
		key := claim.Kind + " " + claim.ID
		if _, twice := got[key]; twice {
			t.Errorf("%s is claimed twice by one change", key)
		}
		got[key] = string(claim.Body)
	}
	repository, err := json.Marshal(containerproduct.RepositoryClaim{Account: seller.Account, Product: i.Entity.ID})
	if err != nil {
		t.Fatal(err)
	}
	tag, err := json.Marshal(containerproduct.TagClaim{Product: i.Entity.ID, Digest: i.Found[host+"/"+namespace+"/app:1.0"]})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"repository sample-seller/app": string(repository), "repository sample-seller/charts": string(repository),
		"tag sample-seller/app:1.0": string(tag), "tag sample-seller/charts:1.0": string(tag),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
}

func TestAnUpdateChangesOnlyWhatItNames(t *testing.T) {
	t.Parallel()
	i := family.Given(t, "limited")
	ids := family.Placeholders(t, i)
	before := i.State.(*containerproduct.Product).Versions[0]
	i.Do(t, "UpdateDeliveryOptions", fmt.Sprintf(`{"Version":{"ReleaseNotes":"Other notes."},"DeliveryOptions":[{"Id":%q,"Details":{"HelmDeliveryOptionDetails":{
		"Namespace":null,"ContainerImages":["%s/%s/app:1.1"],"DeliveryOptionTitle":"Chart"}}}]}`, ids["option:Helm option"], host, namespace))
	after := i.State.(*containerproduct.Product).Versions[0]

	want := before
	want.ReleaseNotes = "Other notes."
	want.DeliveryOptions = slices.Clone(before.DeliveryOptions)
	helm := *before.DeliveryOptions[1].Helm
	helm.Namespace = ""
	want.DeliveryOptions[1].Helm = &helm
	want.DeliveryOptions[1].Title = "Chart"
	uri := host + "/" + namespace + "/app:1.1"
	want.DeliveryOptions[1].Images = []containerproduct.Image{{URI: uri, Digest: i.Found[uri]}}
	if diff := cmp.Diff(want, after); diff != "" {
		t.Errorf("version (-want +got):\n%s", diff)
	}
}

// What DescribeEntity shows is sent back by programs that change a part of it.
func TestWhatIsShownMayBeSentBack(t *testing.T) {
	t.Parallel()
	i := family.Given(t, "public")
	d := i.Described(t)
	description, promotion := d["Description"].(map[string]any), d["PromotionalResources"].(map[string]any)
	information := map[string]any{
		"ProductTitle": description["ProductTitle"], "ShortDescription": description["ShortDescription"], "LongDescription": description["LongDescription"],
		"Sku": description["Sku"], "Highlights": description["Highlights"], "SearchKeywords": description["SearchKeywords"],
		"Categories": description["Categories"], "AssociatedProducts": description["AssociatedProducts"],
		"AdditionalResources": promotion["AdditionalResources"],
		"SupportDescription":  d["SupportInformation"].(map[string]any)["Description"],
	}
	i.Do(t, "UpdateInformation", encode(t, information))

	version := d["Versions"].([]any)[0].(map[string]any)
	option, source := version["DeliveryOptions"].([]any)[0].(map[string]any), version["Sources"].([]any)[0].(map[string]any)
	i.Do(t, "UpdateDeliveryOptions", encode(t, map[string]any{
		"Version": map[string]any{"VersionTitle": version["VersionTitle"], "ReleaseNotes": version["ReleaseNotes"]},
		"DeliveryOptions": []any{map[string]any{"Id": option["Id"], "Details": map[string]any{"EcrDeliveryOptionDetails": map[string]any{
			"DeliveryOptionTitle": option["Title"], "ContainerImages": source["Images"], "CompatibleServices": []string{"ECS"},
			"Description": option["ShortDescription"], "UsageInstructions": option["Instructions"].(map[string]any)["Usage"],
		}}}},
	}))
	if after := i.Described(t); !cmp.Equal(after["Description"], d["Description"]) {
		t.Errorf("the description changed:\n%s", cmp.Diff(d["Description"], after["Description"]))
	}
}

func encode(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestNullUnsetsWhatCanBeUnset(t *testing.T) {
	t.Parallel()
	i := family.Given(t, "limited")
	i.Do(t, "UpdateInformation", `{"Sku":"123example456","VideoUrls":["https://example.com/film"],"AdditionalResources":[{"Text":"Manual","Url":"https://example.com"}]}`)
	d := i.Described(t)
	if got := d["Description"].(map[string]any)["Sku"]; got != "123example456" {
		t.Errorf("Sku is %v", got)
	}
	promotion := d["PromotionalResources"].(map[string]any)
	if diff := cmp.Diff([]any{map[string]any{"Type": "Link", "Title": "", "Url": "https://example.com/film"}}, promotion["Videos"]); diff != "" {
		t.Errorf("Videos (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]any{map[string]any{"Type": "Link", "Text": "Manual", "Url": "https://example.com"}}, promotion["AdditionalResources"]); diff != "" {
		t.Errorf("AdditionalResources (-want +got):\n%s", diff)
	}
	i.Do(t, "UpdateInformation", `{"Sku":null,"VideoUrls":null,"AdditionalResources":null,"Highlights":null}`)
	d = i.Described(t)
	description, promotion := d["Description"].(map[string]any), d["PromotionalResources"].(map[string]any)
	if description["Sku"] != nil || !cmp.Equal(description["Highlights"], []any{}) || !cmp.Equal(promotion["Videos"], []any{}) || !cmp.Equal(promotion["AdditionalResources"], []any{}) {
		t.Errorf("after null: %v, %v", description, promotion)
	}
}

func TestWrongJSONTypesAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	i := family.Given(t, "limited")
	for _, test := range []struct{ changeType, details, want string }{
		{"RestrictDeliveryOptions", `{"DeliveryOptionIds":[null]}`, "JSON at /DeliveryOptionIds/0 is of the wrong type: null can't be used for an element of an array"},
		{"UpdateInformation", `{"SearchKeywords":"123example456"}`, "JSON at /SearchKeywords is of the wrong type: string can't be used for array"},
		{"UpdateInformation", `{"AdditionalResources":"123example456"}`, "JSON at /AdditionalResources is of the wrong type: string can't be used for array"},
		{"AddDeliveryOptions", `{"DeliveryOptions":[{"Details":{"EcrDeliveryOptionDetails":{"CompatibleServices":"EKS"}}}]}`,
			"JSON at /DeliveryOptions/0/Details/EcrDeliveryOptionDetails/CompatibleServices is of the wrong type: string can't be used for array"},
		{"UpdateDeliveryOptions", `{"DeliveryOptions":[{"Details":{"HelmDeliveryOptionDetails":{"OverrideParameters":{}}}}]}`,
			"JSON at /DeliveryOptions/0/Details/HelmDeliveryOptionDetails/OverrideParameters is of the wrong type: object can't be used for array"},
		{"AddDeliveryOptions", `{"DeliveryOptions":[{"Details":"{}"}]}`, "JSON at /DeliveryOptions/0/Details is of the wrong type: string can't be used for object"},
		{"UpdateVisibility", `{"TargetVisibility":{}}`, "JSON at /TargetVisibility is of the wrong type: object can't be used for string"},
		{"UpdateDeliveryOptions", `{"DeliveryOptions":[{"Id":"a"},{"Id":"b"},{"Id":"c"},{"Id":"d"},{"Id":"e"}]}`, "/DeliveryOptions has more than 4 items."},
	} {
		_, refusals := i.Refusals(test.changeType, []byte(test.details))
		want := []change.Refusal{{ErrorCode: "422", ErrorMessage: "Provided Details is not valid. " + test.want}}
		if diff := cmp.Diff(want, refusals); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", test.changeType, test.details, diff)
		}
	}
}

func TestSeveralProblemsAreListedTogether(t *testing.T) {
	t.Parallel()
	i := family.Given(t, "limited")
	_, refusals := i.Refusals("AddDeliveryOptions", []byte(`{"Version":{"VersionTitle":" ®","ReleaseNotes":"x"},"DeliveryOptions":[{"DeliveryOptionTitle":"a","Details":{"EcrDeliveryOptionDetails":{}}}]}`))
	var codes []string
	for _, refusal := range refusals {
		codes = append(codes, refusal.ErrorCode)
	}
	want := []string{"INVALID_VERSION_TITLE", "INVALID_VERSION_TITLE", "NO_SERVICE_SPECIFIED", "INVALID_USAGE_INSTRUCTIONS", "INVALID_SHORT_DESCRIPTION", "MISSING_CONTAINER_IMAGES"}
	if diff := cmp.Diff(want, codes); diff != "" {
		t.Errorf("codes (-want +got):\n%s", diff)
	}
}

func TestOverlapsAreThoseOfTheDocumentation(t *testing.T) {
	t.Parallel()
	kind := containerproduct.EntityType(host)
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"UpdateInformation", "AddDeliveryOptions", true},
		{"AddDeliveryOptions", "AddRepositories", true},
		{"AddDeliveryOptions", "RestrictDeliveryOptions", true},
		{"UpdateInformation", "UpdateInformation", false},
		{"UpdateDeliveryOptions", "AddDeliveryOptions", false},
		{"AddDeliveryOptions", "UpdateDeliveryOptions", false},
		{"RestrictDeliveryOptions", "UpdateDeliveryOptions", false},
		{"UpdateVisibility", "UpdateInformation", false},
		{"UpdateInformation", "UpdateVisibility", true},
	} {
		if got := kind.Overlaps(test.a, test.b); got != test.want {
			t.Errorf("%s may start beside %s: %t, want %t", test.b, test.a, got, test.want)
		}
	}
}

package containerproduct_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"souk/spec/examples"
)

// exampleDocument is the DetailsDocument that the documentation shows.
func exampleDocument(t *testing.T) []byte {
	t.Helper()
	all, err := examples.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, example := range all {
		if example.Name != "003/0339-describe-entity-response" {
			continue
		}
		var response struct{ DetailsDocument json.RawMessage }
		if err := json.Unmarshal([]byte(example.Verbatim()), &response); err != nil {
			t.Fatal(err)
		}
		return response.DetailsDocument
	}
	t.Fatal("the example of DescribeEntity is gone")
	return nil
}

// members lists the paths of all members of a document in their order.
func members(t *testing.T, document []byte) []string {
	t.Helper()
	var paths []string
	d := jsontext.NewDecoder(bytes.NewReader(document))
	for {
		if _, err := d.ReadToken(); err != nil {
			return paths
		}
		if p := string(d.StackPointer()); len(paths) == 0 || paths[len(paths)-1] != p {
			paths = append(paths, p)
		}
	}
}

// beyond are the members that Souk shows beside the example's: programs in
// production read them.
var beyond = []string{"/Description/ProductState", "/RegionAvailability/Restrict"}

func TestDescribeEntityShowsTheDocumentationsExample(t *testing.T) {
	t.Parallel()
	example := exampleDocument(t)

	const registry = "111122223333.dkr.ecr.us-east-1.amazonaws.com"
	i := newItem(registry)
	i.Do(t, "CreateProduct", `{"ProductTitle":"Container Product 1"}`)
	i.Found["LogoUrl"] = "https://awsmp-logos.s3.amazonaws.com/PLACEHOLDER_Logo_for_Containers_products.png"
	i.Do(t, "UpdateInformation", `{
		"ShortDescription": "Description of my product", "LongDescription": "Description of my product",
		"SupportDescription": "Description of support information.", "Categories": ["Operating Systems"],
		"Highlights": ["Some highlight"], "SearchKeywords": ["some keyword"], "LogoUrl": "https://example.com/logo.png"}`)
	i.Do(t, "ReleaseProduct", `{}`)
	i.Do(t, "AddRepositories", `{"Repositories":[{"RepositoryName":"my-repo-1","RepositoryType":"ECR"}]}`)
	i.Do(t, "AddDeliveryOptions", `{
		"Version": {"VersionTitle": "1.0", "ReleaseNotes": "My release notes"},
		"DeliveryOptions": [{"DeliveryOptionTitle": "New delivery option 1", "Visibility": "Limited", "Details": {"EcrDeliveryOptionDetails": {
			"ContainerImages": ["111122223333.dkr.ecr.us-east-1.amazonaws.com/some-seller-prefix/my-repo-1:some-tag"],
			"CompatibleServices": ["ECS", "EKS"], "Description": "Delivery option 1", "UsageInstructions": "test"}}}]}`)

	version := i.Described(t)["Versions"].([]any)[0].(map[string]any)
	option := version["DeliveryOptions"].([]any)[0].(map[string]any)
	got := strings.NewReplacer(
		version["Id"].(string), "example2-0000-aaaa-5ef6-7890abcdef12",
		option["SourceId"].(string), "example3-1111-bbbb-5ef6-7890abcdef12",
		option["Id"].(string), "example4-2222-cccc-2222-cccccccccccc",
		i.Described(t)["Description"].(map[string]any)["ProductCode"].(string), "123456789012abcdef1234567",
		"/"+namespace+"/", "/some-seller-prefix/",
	).Replace(string(i.Document(t)))

	var gotValue, wantValue map[string]any
	if err := json.Unmarshal([]byte(got), &gotValue); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(example, &wantValue); err != nil {
		t.Fatal(err)
	}
	if gotValue["Description"].(map[string]any)["ProductState"] != "Active" {
		t.Error("Description.ProductState is not Active")
	}
	delete(gotValue["Description"].(map[string]any), "ProductState")
	delete(gotValue["RegionAvailability"].(map[string]any), "Restrict")
	if diff := cmp.Diff(wantValue, gotValue); diff != "" {
		t.Errorf("DetailsDocument (-example +shown):\n%s", diff)
	}

	var order []string
	for _, path := range members(t, []byte(got)) {
		if path != beyond[0] && path != beyond[1] {
			order = append(order, path)
		}
	}
	if diff := cmp.Diff(members(t, example), order); diff != "" {
		t.Errorf("order of members (-example +shown):\n%s", diff)
	}
}

func TestANewProductShowsEmptyMembersAndNoNullLists(t *testing.T) {
	t.Parallel()
	d := family.New().Created(t)
	if !cmp.Equal(d["Versions"], []any{}) || !cmp.Equal(d["Repositories"], []any{}) {
		t.Errorf("Versions are %v, Repositories %v, want two empty lists", d["Versions"], d["Repositories"])
	}
}

func TestAHelmOptionIsShownWithTheRenamesOfTheDocument(t *testing.T) {
	t.Parallel()
	i := family.Given(t, "limited")
	version := i.Described(t)["Versions"].([]any)[0].(map[string]any)
	source, option := version["Sources"].([]any)[1].(map[string]any), version["DeliveryOptions"].([]any)[1].(map[string]any)
	if source["Type"] != "HelmChart" || source["HelmChartUri"] != host+"/"+namespace+"/charts:1.0" || source["Id"] != option["SourceId"] {
		t.Errorf("source is %v", source)
	}
	want := map[string]any{
		"Id": option["Id"], "SourceId": option["SourceId"], "Type": "Helm", "Title": "Helm option",
		"ShortDescription": "Installs the chart.", "isRecommended": false, "Visibility": "Public",
		"Compatibility":      map[string]any{"AWSServices": []any{"EKS"}},
		"Instructions":       map[string]any{"Usage": "helm install it."},
		"Recommendations":    map[string]any{"AdditionalArtifacts": []any{}},
		"QuickLaunchEnabled": true, "ReleaseName": "sample", "Namespace": "sample",
		"OverrideParameters": []any{map[string]any{"Key": "HelmKeyName1", "Default": "one",
			"Metadata": map[string]any{"Label": "One", "Description": "The first value", "Obfuscate": false}}},
	}
	if diff := cmp.Diff(want, option); diff != "" {
		t.Errorf("Helm option (-want +got):\n%s", diff)
	}
	ecr := version["DeliveryOptions"].([]any)[0].(map[string]any)
	resources := map[string]any{"AdditionalArtifacts": []any{}, "DeploymentResources": []any{map[string]any{"Text": "Chart", "Url": "https://example.com/chart"}}}
	if diff := cmp.Diff(resources, ecr["Recommendations"]); diff != "" {
		t.Errorf("Recommendations (-want +got):\n%s", diff)
	}
}

package saasproduct_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"souk/catalog/change"
	"souk/catalog/product/producttest"
)

func TestAProductGoesFromDraftToPublicAndBack(t *testing.T) {
	t.Parallel()
	family.TestLife(t, map[string]string{"draft": "Draft", "ready": "Draft", "limited": "Limited", "public": "Public", "restricted": "Restricted"})
	if got := family.Given(t, "public"); !slices.Equal(got.Listed().Fields["DeliveryOptionTypes"], []string{"SoftwareRegistration", "ApiDelivery"}) {
		t.Errorf("listed as %+v", got.Listed())
	}
}

func TestIdentifiersHaveTheDocumentedForms(t *testing.T) {
	t.Parallel()
	i := family.Given(t, "two options")
	version := i.Described(t)["Versions"].([]any)[0].(map[string]any)
	if id := version["Id"].(string); !regexp.MustCompile(`^version-[a-z0-9]{13}$`).MatchString(id) {
		t.Errorf("the version's id is %s", id)
	}
	for name, option := range options(t, i) {
		if id := option["Id"].(string); !regexp.MustCompile(`^do-[a-z0-9]{13}$`).MatchString(id) {
			t.Errorf("the id of %s is %s", name, id)
		}
	}
}

func TestASecondRegistrationIsTriedBeforeItIsPublic(t *testing.T) {
	t.Parallel()
	i := family.Given(t, "two options")
	check := func(first, second string, accounts ...any) {
		t.Helper()
		options := options(t, i)
		got := []any{options["SoftwareRegistration"]["Visibility"], options["QuickLaunch"]["Visibility"], options["QuickLaunch"]["Targeting"]}
		var targeting any
		if accounts != nil {
			targeting = map[string]any{"PositiveTargeting": map[string]any{"BuyerAccounts": accounts}}
		}
		if diff := cmp.Diff([]any{first, second, targeting}, got); diff != "" {
			t.Errorf("options (-want +got):\n%s", diff)
		}
	}
	check("Public", "Limited")
	first, second := family.Placeholders(t, i)["option:SoftwareRegistration"], family.Placeholders(t, i)["option:QuickLaunch"]
	i.Do(t, "UpdateDeliveryOptionsVisibility", fmt.Sprintf(`{"DeliveryOptions":[{"Id":%q,"Targeting":{"PositiveTargeting":{"BuyerAccounts":["444455556666"]}}}]}`, second))
	check("Public", "Limited", "444455556666")
	i.Do(t, "UpdateDeliveryOptionsVisibility", fmt.Sprintf(`{"DeliveryOptions":[{"Id":%q,"TargetVisibility":"Public"},{"Id":%q,"TargetVisibility":"Unavailable"}]}`, second, first))
	check("Unavailable", "Public")
}

func TestAnUpdateLeavesWhatItDoesNotGive(t *testing.T) {
	t.Parallel()
	i := family.Given(t, "two options")
	id := family.Placeholders(t, i)["option:QuickLaunch"]
	want := options(t, i)["QuickLaunch"]
	i.Do(t, "UpdateDeliveryOptions", fmt.Sprintf(`{"DeliveryOptions":[{"Id":%q,"Details":{"SaaSUrlDeliveryOptionDetails":{"FulfillmentUrl":"https://example.com/new"}}}]}`, id))
	want["FulfillmentUrl"] = "https://example.com/new"
	if diff := cmp.Diff(want, options(t, i)["QuickLaunch"]); diff != "" {
		t.Errorf("the option (-want +got):\n%s", diff)
	}
}

// TestOptionsAreShownInThePublishedShape: the members are those of AWS's
// published shape SaaSProductEntityDetail and of its own sample of it.
func TestOptionsAreShownInThePublishedShape(t *testing.T) {
	t.Parallel()
	i := family.Given(t, "two options")
	i.Do(t, "AddDeliveryOptions", `{"DeliveryOptions":[{"Details":{"ApiDeliveryOptionDetails":{"ApiType":"MCP_SERVER","QuickLaunchEnabled":true,
		"CompatibleServices":["Bedrock-AgentCore"],"FulfillmentUrl":"https://api.example.com/register","UsageInstructions":"Connect to our MCP server endpoint",
		"Endpoints":[{"Name":"MainEndpoint","EndpointUrl":"https://api.example.com/mcp","Description":"Main MCP server endpoint","AuthorizationTypes":["API_KEY"],
		"IntegrationProtocols":[{"Type":"MCP","UsageInstructions":"Use MCP protocol for integration"}]}]}}}]}`)
	for name, text := range map[string]string{
		"ApiDelivery": `{"Id":"","Type":"ApiDelivery","ApiType":"MCP_SERVER","QuickLaunchEnabled":true,"CompatibleServices":["Bedrock-AgentCore"],
			"FulfillmentUrl":"https://api.example.com/register","UsageInstructions":"Connect to our MCP server endpoint","Endpoints":[{"Name":"MainEndpoint",
			"EndpointUrl":"https://api.example.com/mcp","Description":"Main MCP server endpoint","AuthorizationTypes":["API_KEY"],"Schemas":[],
			"IntegrationProtocols":[{"Type":"MCP","UsageInstructions":"Use MCP protocol for integration"}]}],"Visibility":"Public"}`,
		"QuickLaunch": `{"Id":"","Type":"SoftwareRegistration","FulfillmentUrl":"https://example.com/register","QuickLaunchEnabled":true,
			"LaunchUrl":"https://example.com/launch","DeploymentTemplates":[{"Type":"CloudFormation@1.0","Title":"Roles","Description":"The roles that the product assumes.",
			"IamPolicy":"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"s3:Get*\",\"s3:List*\"],\"Resource\":\"*\"}]}",
			"DefaultStackName":"sample-roles","TemplateUrl":"https://sample.s3.us-east-1.amazonaws.com/roles.yaml"}],
			"UsageInstructions":"Follow the [guide](https://example.com/guide).","Visibility":"Limited"}`,
	} {
		var want map[string]any
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatal(err)
		}
		got := options(t, i)[name]
		want["Id"] = got["Id"]
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAProductIsReleasedTogetherWithItsOffer(t *testing.T) {
	t.Parallel()
	i := family.Given(t, "ready")
	decoded, refusals := i.Refusals("ReleaseProduct", []byte(`{}`))
	if len(refusals) > 0 {
		t.Fatalf("refused with %+v", refusals)
	}
	known := producttest.Offers{"offer-1": {ProductID: i.Entity.ID}, "offer-2": {ProductID: "prod-another000000"}}
	for _, test := range []struct {
		name   string
		beside change.Beside
		want   int
	}{
		{"its own offer is released", change.Beside{ChangeType: "ReleaseOffer", EntityType: "Offer@1.0", EntityID: "offer-1"}, 0},
		{"another product's offer is released", change.Beside{ChangeType: "ReleaseOffer", EntityType: "Offer@1.0", EntityID: "offer-2"}, 1},
		{"an unknown offer is released", change.Beside{ChangeType: "ReleaseOffer", EntityType: "Offer@1.0", EntityID: "offer-3"}, 1},
		{"its own offer is only changed", change.Beside{ChangeType: "UpdateInformation", EntityType: "Offer@1.0", EntityID: "offer-1"}, 1},
		{"no offer is in the set", change.Beside{}, 1},
	} {
		c := &change.Checks{Seller: producttest.Seller, Entity: i.Entity, World: change.World{Entities: known, Set: []change.Beside{test.beside}}}
		if err := decoded.Probe(t.Context(), i.State, c); err != nil || len(c.Refusals()) != test.want {
			t.Errorf("%s: %v, refused with %+v", test.name, err, c.Refusals())
		}
	}
}

package conformance

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/types"

	"souk/conformance/seller"
	"souk/conformance/souktest"
	"souk/spec/examples"
)

// TestAnAMIProductAndItsOfferAreReleasedInOneChangeSet makes an AMI product from
// an imported AMI in one change set, as AWS's own samples do, in no order that
// matters, and leads it to Public.
func TestAnAMIProductAndItsOfferAreReleasedInOneChangeSet(t *testing.T) {
	t.Parallel()
	forEachDatabase(t, func(t *testing.T, o souktest.Options) {
		t.Parallel()
		server := souktest.Start(t, o)
		p := &rowProduct{Seller: server.Account(t, "amis", "amis").Seller(server), values: map[string]string{"namespace": "amis"}}
		ami := p.importImage(t, "web server", []string{"--arch=x86_64"})
		changes := amiProduct(ami)
		send := func(intent string, changes []any) *marketplacecatalog.DescribeChangeSetOutput {
			t.Helper()
			return p.send(t, map[string]any{"Catalog": seller.Catalog, "ChangeSet": changes, "Intent": intent})
		}
		if set := send("APPLY", changes[:len(changes)-1]); set.Status != types.ChangeStatusFailed {
			t.Errorf("without ReleaseOffer the change set is %s", set.Status)
		}
		if set := send("VALIDATE", changes); set.Status != types.ChangeStatusSucceeded {
			t.Errorf("validated, the change set is %s: %s", set.Status, seller.Refusals(set))
		}
		set := send("APPLY", changes)
		if set.Status != types.ChangeStatusSucceeded {
			t.Fatalf("the change set is %s: %s", set.Status, seller.Refusals(set))
		}
		id := seller.EntityID(set.ChangeSet[0])
		if set := send("APPLY", []any{amiChange("UpdateVisibility", id, map[string]any{"TargetVisibility": "Public"})}); set.Status != types.ChangeStatusSucceeded {
			t.Fatalf("UpdateVisibility is %s: %s", set.Status, seller.Refusals(set))
		}

		out, err := p.Entity(t.Context(), id)
		must(t, err)
		var shown struct {
			Description struct{ ProductTitle, Visibility string }
			Versions    []struct {
				Sources []struct {
					Image, Architecture string
					Compatibility       struct{ AvailableInstanceTypes []string }
				}
				DeliveryMethods []struct{ Visibility string }
			}
			RegionAvailability struct {
				Regions             []string
				FutureRegionSupport string
			}
		}
		must(t, json.Unmarshal([]byte(aws.ToString(out.Details)), &shown))
		if shown.Description.Visibility != "Public" || len(shown.Versions) != 1 || len(shown.RegionAvailability.Regions) != 2 || shown.RegionAvailability.FutureRegionSupport != "All" {
			t.Fatalf("the product is %+v", shown)
		}
		source, options := shown.Versions[0].Sources, shown.Versions[0].DeliveryMethods
		if len(source) != 1 || source[0].Image != ami || source[0].Architecture != "x86_64" || len(source[0].Compatibility.AvailableInstanceTypes) != 2 {
			t.Errorf("the sources are %+v, want the AMI %s", source, ami)
		}
		if len(options) != 1 || options[0].Visibility != "Public" {
			t.Errorf("the delivery methods are %+v", options)
		}
	})
}

// send starts a change set and waits for its end.
func (p *rowProduct) send(t *testing.T, request any) *marketplacecatalog.DescribeChangeSetOutput {
	t.Helper()
	a, err := p.Raw(t.Context(), "POST", "/StartChangeSet", seller.JSON(request))
	must(t, err)
	if a.Status != 200 {
		t.Fatalf("got status %d: %s", a.Status, a.Body)
	}
	set, err := p.Wait(t.Context(), startedID(t, a.Body))
	must(t, err)
	return set
}

// amiChange is a change of an AMI product.
func amiChange(changeType, identifier string, details any) any {
	return map[string]any{"ChangeType": changeType, "Entity": map[string]any{"Type": "AmiProduct@1.0", "Identifier": identifier}, "DetailsDocument": details}
}

// amiVersion is the Details of a version of an AMI product.
func amiVersion(title, ami string) any {
	type object = map[string]any
	return object{
		"Version": object{"VersionTitle": title, "ReleaseNotes": "What is new."},
		"DeliveryOptions": []any{object{"Details": object{"AmiDeliveryOptionDetails": object{
			"AmiSource": object{
				"AmiId": ami, "AccessRoleArn": "arn:aws:iam::123456789012:role/AwsMarketplaceAmiIngestion", "UserName": "admin",
				"OperatingSystemName": "DEBIAN", "OperatingSystemVersion": "13", "ScanningPort": 22,
			},
			"UsageInstructions": "Log in.", "RecommendedInstanceType": "m5.large",
			"SecurityGroups": []any{object{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": []string{"0.0.0.0/0"}}},
		}}}},
	}
}

// amiProduct is the changes that make and release an AMI product with a version
// 1.0, and its offer. What depends on others stands before them; the last one
// releases the offer.
func amiProduct(ami string) []any {
	const product = "$Product.Entity.Identifier"
	type object = map[string]any
	return append([]any{
		amiChange("ReleaseProduct", product, object{}),
		amiChange("AddDeliveryOptions", product, amiVersion("1.0", ami)),
		amiChange("AddInstanceTypes", product, object{"InstanceTypes": []string{"m5.large", "m4.xlarge"}}),
		amiChange("AddRegions", product, object{"Regions": []string{"us-east-1", "us-east-2"}}),
		amiChange("UpdateFutureRegionSupport", product, object{"FutureRegionSupport": object{"SupportedRegions": []string{"All"}}}),
		amiChange("UpdateTargeting", product, object{"PositiveTargeting": object{"BuyerAccounts": []string{"111111111111", "222222222222"}}}),
		amiChange("UpdateInformation", product, object{
			"ProductTitle": "Sample product", "ShortDescription": "Brief description", "LongDescription": "Detailed description",
			"Highlights": []string{"Sample highlight"}, "SearchKeywords": []string{"Sample keyword"},
			"Categories": []string{"Operating Systems"}, "AdditionalResources": []any{}, "SupportDescription": "Write to us.",
		}),
		object{"ChangeType": "CreateProduct", "ChangeName": "Product", "Entity": object{"Type": "AmiProduct@1.0"}, "DetailsDocument": object{}},
	}, licenceOffer(product)...)
}

// changesAMIProduct sends an example that changes an AMI product, in a market
// where the product, its two versions and the AMI exist.
func changesAMIProduct(t *testing.T, s *seller.Seller, e examples.Example) {
	t.Helper()
	account, err := s.Account(t.Context())
	must(t, err)
	p := &rowProduct{Seller: s, entity: "AmiProduct", values: map[string]string{"namespace": account}}
	ami := p.importImage(t, "web server", []string{"--arch=x86_64"})
	step := func(changes ...any) string {
		t.Helper()
		set := p.send(t, map[string]any{"Catalog": seller.Catalog, "ChangeSet": changes})
		if set.Status != types.ChangeStatusSucceeded {
			t.Fatalf("before the example a change set is %s: %s", set.Status, seller.Refusals(set))
		}
		return seller.EntityID(set.ChangeSet[0])
	}
	p.id = step(amiProduct(ami)...)
	step(amiChange("AddDeliveryOptions", p.id, amiVersion("2.0", ami)))
	step(amiChange("UpdateVisibility", p.id, map[string]any{"TargetVisibility": "Public"}))
	p.name(t)

	// The example's AMI has a digit too few for an id, its account one too few.
	r, err := examples.Parse(strings.NewReplacer(exampleProduct, p.id, "example1-2222-cccc-2222-cccccccccccc", p.values["option:1.0"],
		"ami-1234567890abcdef", ami, "::12345678901:", "::123456789012:").Replace(e.Text()))
	must(t, err)
	var request any
	must(t, json.Unmarshal([]byte(r.Body), &request))
	set := p.send(t, request)
	if set.Status != types.ChangeStatusSucceeded {
		t.Fatalf("the change set is %s: %s", set.Status, seller.Refusals(set))
	}
	var shown struct {
		Description struct{ ProductTitle, Sku string }
		Versions    []struct {
			VersionTitle, ReleaseNotes string
			DeliveryOptions            []struct {
				Visibility   string
				Instructions struct{ Usage string }
			}
		}
	}
	details(t, s, p.id, &shown)
	first, last := shown.Versions[0], shown.Versions[len(shown.Versions)-1]
	right := map[string]bool{
		"UpdateInformation":       shown.Description.ProductTitle == "My Product Title" && shown.Description.Sku == "123example456",
		"AddDeliveryOptions":      len(shown.Versions) == 3 && last.VersionTitle == "My new title" && last.DeliveryOptions[0].Instructions.Usage == "Easy to use AMI",
		"UpdateDeliveryOptions":   first.ReleaseNotes == "My new Release notes" && first.DeliveryOptions[0].Instructions.Usage == "Easy to use AMI",
		"RestrictDeliveryOptions": first.DeliveryOptions[0].Visibility == "Restricted" && last.DeliveryOptions[0].Visibility == "Public",
	}
	if changeType := aws.ToString(set.ChangeSet[0].ChangeType); !right[changeType] {
		t.Errorf("after %s the product is %+v", changeType, shown)
	}
}

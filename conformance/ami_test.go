package conformance

import (
	"encoding/json"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/types"

	"souk/conformance/seller"
	"souk/conformance/souktest"
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
		const product = "$Product.Entity.Identifier"
		type object = map[string]any
		change := func(changeType, identifier string, details any) any {
			return object{"ChangeType": changeType, "Entity": object{"Type": "AmiProduct@1.0", "Identifier": identifier}, "DetailsDocument": details}
		}
		send := func(intent string, changes []any) *marketplacecatalog.DescribeChangeSetOutput {
			t.Helper()
			a, err := p.Raw(t.Context(), "POST", "/StartChangeSet", seller.JSON(object{"Catalog": seller.Catalog, "ChangeSet": changes, "Intent": intent}))
			must(t, err)
			if a.Status != 200 {
				t.Fatalf("got status %d: %s", a.Status, a.Body)
			}
			set, err := p.Wait(t.Context(), startedID(t, a.Body))
			must(t, err)
			return set
		}
		// What depends on others stands before them.
		changes := append([]any{
			change("ReleaseProduct", product, object{}),
			change("AddDeliveryOptions", product, object{
				"Version": object{"VersionTitle": "1.0", "ReleaseNotes": "The first version."},
				"DeliveryOptions": []any{object{"Details": object{"AmiDeliveryOptionDetails": object{
					"AmiSource": object{
						"AmiId": ami, "AccessRoleArn": "arn:aws:iam::123456789012:role/AwsMarketplaceAmiIngestion", "UserName": "admin",
						"OperatingSystemName": "DEBIAN", "OperatingSystemVersion": "13", "ScanningPort": 22,
					},
					"UsageInstructions": "Log in.", "RecommendedInstanceType": "m5.large",
					"SecurityGroups": []any{object{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": []string{"0.0.0.0/0"}}},
				}}}},
			}),
			change("AddInstanceTypes", product, object{"InstanceTypes": []string{"m5.large", "t3.micro"}}),
			change("AddRegions", product, object{"Regions": []string{"us-east-1", "us-east-2"}}),
			change("UpdateFutureRegionSupport", product, object{"FutureRegionSupport": object{"SupportedRegions": []string{"All"}}}),
			change("UpdateTargeting", product, object{"PositiveTargeting": object{"BuyerAccounts": []string{"111111111111", "222222222222"}}}),
			change("UpdateInformation", product, object{
				"ProductTitle": "Sample product", "ShortDescription": "Brief description", "LongDescription": "Detailed description",
				"Highlights": []string{"Sample highlight"}, "SearchKeywords": []string{"Sample keyword"},
				"Categories": []string{"Operating Systems"}, "AdditionalResources": []any{}, "SupportDescription": "Write to us.",
			}),
			object{"ChangeType": "CreateProduct", "ChangeName": "Product", "Entity": object{"Type": "AmiProduct@1.0"}, "DetailsDocument": object{}},
		}, licenceOffer(product)...)
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
		if set := send("APPLY", []any{change("UpdateVisibility", id, object{"TargetVisibility": "Public"})}); set.Status != types.ChangeStatusSucceeded {
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

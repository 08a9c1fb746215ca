package amiproduct_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"souk/catalog/amiproduct"
)

// details is a document of AddDeliveryOptions.
func (i item) details(ami, title, recommended string) string {
	return fmt.Sprintf(`{"Version":{"VersionTitle":%q,"ReleaseNotes":"New."},"DeliveryOptions":[{"Details":{"AmiDeliveryOptionDetails":{
		"AmiSource":{"AmiId":%q,"AccessRoleArn":"arn:aws:iam::111122223333:role/Ingestion","UserName":"admin","OperatingSystemName":"Debian","OperatingSystemVersion":"13"},
		"UsageInstructions":"Log in.","RecommendedInstanceType":%q,
		"SecurityGroups":[{"IpProtocol":"tcp","FromPort":22,"ToPort":22,"IpRanges":["10.0.0.0/8"]}]}}}]}`, title, i.world.amis[ami].ID, recommended)
}

// add adds a version.
func (i item) add(t *testing.T, ami, title string) {
	t.Helper()
	i.Do(t, "AddDeliveryOptions", i.details(ami, title, "m5.large"))
}

func (i item) product() *amiproduct.Product { return i.State.(*amiproduct.Product) }

func TestAProductGoesFromDraftToPublicAndBack(t *testing.T) {
	t.Parallel()
	family.TestLife(t, map[string]string{"draft": "Draft", "versioned": "Draft", "limited": "Limited", "public": "Public", "restricted": "Restricted"})
}

func TestAVersionIsPinnedToTheCopyOfItsAMI(t *testing.T) {
	t.Parallel()
	i := given(t, "versioned")
	ami := i.world.amis["good"]
	source := i.product().Versions[0].Sources[0]
	if source.AMI != ami.ID || source.Digest != ami.Digest || source.Platform != ami.Platform || !source.EnaSupport {
		t.Errorf("the source is %+v, the AMI %+v", source, ami)
	}
	if want := []string{i.Entity.ID, ami.ID}; !slices.Equal(i.world.published, want) {
		t.Errorf("copied %q, want %q", i.world.published, want)
	}
	if want := []string{ami.ID}; !slices.Equal(i.world.scanned, want) {
		t.Errorf("scanned %q, want %q", i.world.scanned, want)
	}
}

func TestTheFirstVersionBringsItsInstanceTypeIfNoneWasChosen(t *testing.T) {
	t.Parallel()
	i := given(t, "informed")
	i.Do(t, "AddDeliveryOptions", i.details("arm", "1.0", "m6g.large"))
	if got := i.product().Compatibility.AvailableInstanceTypes; !slices.Equal(got, []string{"m6g.large"}) {
		t.Errorf("available are %q, want what the version recommends", got)
	}
	_, refusals := i.Refusals("AddDeliveryOptions", []byte(i.details("arm", "2.0", "t4g.micro")))
	if len(refusals) != 1 || refusals[0].ErrorCode != "RECOMMENDED_INSTANCE_TYPE_NOT_AVAILABLE" {
		t.Errorf("a second version that recommends another type: %+v", refusals)
	}
}

func TestUpdatesSendBackWhatIsShownAndChangeWhatIsGiven(t *testing.T) {
	t.Parallel()
	i := given(t, "limited")
	option := placeholders(t, i.Item)["option:1.0"]
	before := i.product().Versions[0]
	whole := strings.Replace(i.details("good", "1.0", "t2.micro"), `{"Details"`, fmt.Sprintf(`{"Id":%q,"Details"`, option), 1)
	whole = strings.NewReplacer("role/Ingestion", "role/AwsMarketplaceAmiIngestion", `"Debian"`, `"DEBIAN"`).Replace(whole)
	i.Do(t, "UpdateDeliveryOptions", whole)
	after := i.product().Versions[0]
	if after.ReleaseNotes != "New." || after.DeliveryOptions[0].RecommendedInstanceType != "t2.micro" || after.DeliveryOptions[0].UsageInstructions != "Log in." {
		t.Errorf("after the update the version is %+v", after)
	}
	if diff := cmp.Diff(before.Sources, after.Sources); diff != "" {
		t.Errorf("sources (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(before.DeliveryOptions[0].Access, after.DeliveryOptions[0].Access); diff != "" {
		t.Errorf("the endpoint, which was not given (-before +after):\n%s", diff)
	}
	i.Do(t, "UpdateDeliveryOptions", fmt.Sprintf(`{"DeliveryOptions":[{"Id":%q,"Details":{"AmiDeliveryOptionDetails":{"AccessEndpointUrl":null}}}]}`, option))
	if access := i.product().Versions[0].DeliveryOptions[0].Access; access != nil {
		t.Errorf("an endpoint that was unset is %+v", access)
	}
}

func TestAPortMayBeAStringOfDigits(t *testing.T) {
	t.Parallel()
	i := given(t, "limited")
	option := placeholders(t, i.Item)["option:1.0"]
	update := func(port string) string {
		return fmt.Sprintf(`{"DeliveryOptions":[{"Id":%q,"Details":{"AmiDeliveryOptionDetails":{"AccessEndpointUrl":{"Port":%s,"Protocol":"http"}}}}]}`, option, port)
	}
	i.Do(t, "UpdateDeliveryOptions", update(`"8080"`))
	if port := i.product().Versions[0].DeliveryOptions[0].Access.Port; port != 8080 {
		t.Errorf("the port is %d, want 8080", port)
	}
	for _, port := range []string{`"eighty"`, `""`, `true`, `{}`, `80.5`} {
		_, refusals := i.Refusals("UpdateDeliveryOptions", []byte(update(port)))
		if len(refusals) == 0 || refusals[0].ErrorCode != "422" || !strings.Contains(refusals[0].ErrorMessage, "/DeliveryOptions/0/Details/AmiDeliveryOptionDetails/AccessEndpointUrl/Port is of the wrong type") {
			t.Errorf("port %s: got %+v, want a 422 with its path", port, refusals)
		}
	}
}

func TestRegionsAndInstanceTypesComeGoAndComeBack(t *testing.T) {
	t.Parallel()
	i := given(t, "versioned")
	i.Do(t, "RestrictRegions", `{"Regions":["eu-west-1"]}`)
	i.Do(t, "AddRegions", `{"Regions":["us-west-2","us-east-1"]}`)
	if got := i.product().RegionAvailability; !slices.Equal(got.Regions, []string{"us-east-1", "us-west-2"}) || !slices.Equal(got.Restrict, []string{"eu-west-1"}) {
		t.Errorf("regions are %+v", got)
	}
	i.Do(t, "AddRegions", `{"Regions":["eu-west-1"]}`)
	i.Do(t, "UpdateFutureRegionSupport", `{"FutureRegionSupport":{"SupportedRegions":["US"]}}`)
	if got := i.product().RegionAvailability; len(got.Regions) != 3 || len(got.Restrict) != 0 || *got.FutureRegionSupport != "US" {
		t.Errorf("regions are %+v", got)
	}
	i.Do(t, "RestrictInstanceTypes", `{"InstanceTypes":["t2.micro"]}`)
	if got := i.product().Compatibility; !slices.Equal(got.AvailableInstanceTypes, []string{"m5.large", "m4.xlarge"}) || !slices.Equal(got.RestrictedInstanceTypes, []string{"t2.micro"}) {
		t.Errorf("instance types are %+v", got)
	}
	i.Do(t, "AddInstanceTypes", `{"InstanceTypes":["t2.micro","c5.large"]}`)
	if got := i.product().Compatibility; !slices.Equal(got.AvailableInstanceTypes, []string{"m5.large", "m4.xlarge", "t2.micro", "c5.large"}) || len(got.RestrictedInstanceTypes) != 0 {
		t.Errorf("instance types are %+v", got)
	}
}

func TestARestrictedVersionStaysAndRecommendsNothing(t *testing.T) {
	t.Parallel()
	i := given(t, "one option restricted")
	first, second := i.product().Versions[0].DeliveryOptions[0], i.product().Versions[1].DeliveryOptions[0]
	if first.Visibility != "Restricted" || second.Visibility != "Public" {
		t.Errorf("the options are %s and %s", first.Visibility, second.Visibility)
	}
	i.Do(t, "RestrictInstanceTypes", `{"InstanceTypes":["m5.large"]}`)
}

func TestOverlapsAreThoseOfTheDocumentation(t *testing.T) {
	t.Parallel()
	overlaps := family.New().Kind.Overlaps
	for _, test := range []struct {
		preparing, starting string
		want                bool
	}{
		{"AddDeliveryOptions", "UpdateInformation", true},
		{"UpdateInformation", "AddDeliveryOptions", true},
		{"AddDeliveryOptions", "AddDeliveryOptions", false},
		{"AddDeliveryOptions", "UpdateDeliveryOptions", false},
		{"UpdateDeliveryOptions", "RestrictDeliveryOptions", false},
		{"AddDeliveryOptions", "RestrictDeliveryOptions", true},
		{"UpdateVisibility", "UpdateInformation", false},
		{"AddRegions", "AddInstanceTypes", true},
		{"AddDeliveryOptions", "AddInstanceTypes", false},
		{"RestrictInstanceTypes", "AddDeliveryOptions", false},
	} {
		if got := overlaps(test.preparing, test.starting); got != test.want {
			t.Errorf("%s while %s is PREPARING: %t, want %t", test.starting, test.preparing, got, test.want)
		}
	}
}

func TestIdsHaveTheirDocumentedForms(t *testing.T) {
	t.Parallel()
	i := given(t, "draft")
	if !regexp.MustCompile(`^prod-[a-z0-9]{13}$`).MatchString(i.Entity.ID) {
		t.Errorf("the product's id is %s", i.Entity.ID)
	}
	if code := i.product().Description.ProductCode; !regexp.MustCompile(`^[a-z0-9]{25}$`).MatchString(code) {
		t.Errorf("the product code is %s", code)
	}
}

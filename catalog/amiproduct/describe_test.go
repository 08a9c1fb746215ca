package amiproduct_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAVersionIsShownWithTheRenamesOfTheDocument(t *testing.T) {
	t.Parallel()
	i := given(t, "limited")
	version := i.version(t, "1.0")
	source := version["Sources"].([]any)[0].(map[string]any)
	option := version["DeliveryOptions"].([]any)[0].(map[string]any)
	wantOption := map[string]any{
		"Id": option["Id"], "SourceId": source["Id"], "Type": "AmazonMachineImage", "Title": "(x86_64) Amazon Machine Image",
		"ShortDescription": "", "LongDescription": "", "Visibility": "Public",
		"Instructions": map[string]any{
			"Usage":  "Log in by SSH.",
			"Access": map[string]any{"Type": "Endpoint", "Port": 443.0, "Protocol": "https", "RelativePath": "index.html"},
		},
		"Recommendations": map[string]any{
			"InstanceType":   "m5.large",
			"SecurityGroups": []any{map[string]any{"Protocol": "tcp", "FromPort": 443.0, "ToPort": 443.0, "CidrIps": []any{"0.0.0.0/0"}}},
		},
		"AmiAlias": "/aws/service/marketplace/" + i.Entity.ID + "/1.0",
	}
	want := map[string]any{
		"Id": version["Id"], "VersionTitle": "1.0", "ReleaseNotes": "The first version.", "UpgradeInstructions": "N/A",
		"CreationDate": "2021-03-02T00:00:00.000Z",
		"Sources": []any{map[string]any{
			"Id": source["Id"], "Type": "AmazonMachineImage", "Image": i.world.amis["good"].ID, "Architecture": "x86_64", "VirtualizationType": "hvm",
			"OperatingSystem": map[string]any{"Name": "DEBIAN", "Version": "13", "Username": "admin", "ScanningPort": 22.0},
			"Compatibility":   map[string]any{"AvailableInstanceTypes": []any{"m5.large", "m4.xlarge", "t2.micro"}, "RestrictedInstanceTypes": []any{}},
		}},
		"DeliveryOptions": []any{wantOption},
		"DeliveryMethods": []any{wantOption},
	}
	if diff := cmp.Diff(want, version); diff != "" {
		t.Errorf("version (-want +got):\n%s", diff)
	}
	for _, id := range []any{version["Id"], source["Id"], option["Id"]} {
		if len(id.(string)) != 36 {
			t.Errorf("%v is no UUID", id)
		}
	}
}

func TestANewProductShowsEmptyMembersAndNoNullLists(t *testing.T) {
	t.Parallel()
	d := family.New().Created(t)
	for name, want := range map[string]any{
		"Versions": []any{}, "Dimensions": []any{},
		"SupportInformation": map[string]any{"Description": "", "Resources": []any{}},
		"RegionAvailability": map[string]any{"Regions": []any{}, "Restrict": []any{}, "FutureRegionSupport": "None"},
		"Compatibility":      map[string]any{"AvailableInstanceTypes": []any{}, "RestrictedInstanceTypes": []any{}},
	} {
		if diff := cmp.Diff(want, d[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if _, shown := d["Targeting"]; shown {
		t.Error("Targeting is shown although nobody is invited")
	}
}

func TestAnAliasHasNoSpacesAndSlashes(t *testing.T) {
	t.Parallel()
	i := given(t, "chosen")
	i.add(t, "good", "v1.0 (long/term)")
	option := i.version(t, "v1.0 (long/term)")["DeliveryOptions"].([]any)[0].(map[string]any)
	if want := "/aws/service/marketplace/" + i.Entity.ID + "/v1.0--long-term-"; option["AmiAlias"] != want {
		t.Errorf("the alias is %v, want %s", option["AmiAlias"], want)
	}
}

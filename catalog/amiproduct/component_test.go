package amiproduct_test

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"souk/catalog/amiproduct"
	"souk/catalog/change"
)

// installing is a document of AddDeliveryOptions with components of names.
func (i item) installing(title string, names ...string) string {
	var options []string
	for _, name := range names {
		options = append(options, fmt.Sprintf(`{"Details":{"Ec2ImageBuilderComponentDeliveryOptionDetails":{"UsageInstructions":"Start a build.",
			"AccessRoleArn":"arn:aws:iam::111122223333:role/Ingestion","ComponentArn":"arn:aws:imagebuilder:us-east-1:%s:component/%s/1.0.0"}}}`, seller.Account, name))
	}
	return fmt.Sprintf(`{"Version":{"VersionTitle":%q,"ReleaseNotes":"New."},"DeliveryOptions":[%s]}`, title, strings.Join(options, ","))
}

func TestAVersionKeepsItsComponentAsItWasFound(t *testing.T) {
	t.Parallel()
	i := given(t, "informed")
	i.Do(t, "AddDeliveryOptions", i.installing("1.0", "tool"))
	v := i.product().Versions[0]
	arn := "arn:aws:imagebuilder:us-east-1:" + seller.Account + ":component/tool/1.0.0/1"
	c, o := v.Components[0], v.DeliveryOptions[0]
	if c.ARN != arn || c.Name != "Tool" || c.Document != "schemaVersion: 1.0" || c.Files.Size != 1<<20 || *c.Parameters[0].Default != "eu-west-1" || !strings.HasSuffix(c.AccessRoleArn, "role/Ingestion") {
		t.Errorf("the component is %+v", c)
	}
	if !regexp.MustCompile(`^fo-[a-z0-9]{13}$`).MatchString(o.FulfillmentOptionID) || o.SourceID != c.ID || o.Title != "Tool" || o.Visibility != "Public" || len(v.Sources) != 0 {
		t.Errorf("the option is %+v", o)
	}
	if want := []string{i.Entity.ID, arn}; !slices.Equal(i.world.installers.published, want) {
		t.Errorf("copied %q, want %q", i.world.installers.published, want)
	}
	if got := i.product().Compatibility.AvailableInstanceTypes; len(got) != 0 {
		t.Errorf("a component brought the instance types %q", got)
	}
	version, option, component := i.product().Installer(o.FulfillmentOptionID)
	if version == nil || option.ID != o.ID || component.ARN != arn {
		t.Errorf("the fulfillment option stands for %+v, %+v, %+v", version, option, component)
	}
	for _, id := range []string{"", "fo-aaaaaaaaaaaaa", o.ID} {
		if version, _, _ := i.product().Installer(id); version != nil {
			t.Errorf("%q stands for %+v", id, version)
		}
	}
	if got := i.Listed().Fields[amiproduct.ComponentName]; !slices.Equal(got, []string{"tool"}) {
		t.Errorf("found by the names %q", got)
	}
}

func TestComponentsStandBesideAnAMIAndAreTriedOnIt(t *testing.T) {
	t.Parallel()
	i := given(t, "chosen")
	both := strings.Replace(i.details("good", "1.0", "m5.large"), `"DeliveryOptions":[`, `"DeliveryOptions":[`+strings.TrimSuffix(strings.SplitN(i.installing("", "tool", "other"), `"DeliveryOptions":[`, 2)[1], `]}`)+`,`, 1)
	i.Do(t, "AddDeliveryOptions", both)
	v := i.product().Versions[0]
	if len(v.Sources) != 1 || len(v.Components) != 2 || len(v.DeliveryOptions) != 3 {
		t.Fatalf("the version is %+v", v)
	}
	for _, trial := range i.world.installers.tried {
		if trial.Base != i.world.amis["good"].Digest || trial.BasePlatform != "Debian GNU/Linux 13" || trial.EntityID != i.Entity.ID {
			t.Errorf("tried on %+v", trial)
		}
	}
	if a, b := i.world.installers.tried[0].ID, i.world.installers.tried[1].ID; a == b {
		t.Errorf("two trials have the id %s", a)
	}
	i.Do(t, "AddDeliveryOptions", i.installing("2.0", "third"))
	if last := i.world.installers.tried[2]; last.Base != i.world.amis["good"].Digest {
		t.Errorf("a later component was tried on %+v, want the newest AMI of the product", last)
	}
}

func TestWhatFailsItsTrialIsNotCopied(t *testing.T) {
	t.Parallel()
	i := given(t, "informed")
	refusals, err := i.probed(t, i.installing("1.0", "failing", "tool"))
	if err != nil || len(refusals) != 1 || refusals[0].ErrorCode != "FAILED_LAUNCH_TEST" {
		t.Errorf("got %+v, %v", refusals, err)
	}
	if len(i.world.installers.published) > 0 || len(i.world.installers.tried) != 1 {
		t.Errorf("copied %q, tried %d", i.world.installers.published, len(i.world.installers.tried))
	}
	refusals, err = i.probed(t, i.installing("1.0", "broken"))
	if err == nil || len(refusals) > 0 {
		t.Errorf("machines that are broken: %+v, %v, want an error that is tried again", refusals, err)
	}
	i.world.installers.copyFails = fmt.Errorf("%w: gone", change.ErrComponentUnreadable)
	refusals, err = i.probed(t, i.installing("1.0", "tool"))
	if err != nil || len(refusals) != 1 || refusals[0].ErrorCode != "ASSET_ACCESS_EXCEPTION" {
		t.Errorf("files that are gone: %+v, %v", refusals, err)
	}
	i.world.installers.copyFails = errors.New("the disk is full")
	if refusals, err = i.probed(t, i.installing("1.0", "tool")); !errors.Is(err, i.world.installers.copyFails) || len(refusals) > 0 {
		t.Errorf("a full disk: %+v, %v", refusals, err)
	}
}

func TestNamesOfRestrictedComponentsCountNoMore(t *testing.T) {
	t.Parallel()
	i := given(t, "public")
	i.Do(t, "AddDeliveryOptions", i.installing("2.0", "a-1", "a-2", "a-3", "a-4", "a-5"))
	i.Refused(t, "AddDeliveryOptions", i.installing("3.0", "a-6"), "TOO_MANY_IMAGE_BUILDER_COMPONENTS")
	o := i.product().Versions[1].DeliveryOptions[0]
	i.Do(t, "RestrictDeliveryOptions", fmt.Sprintf(`{"DeliveryOptionIds":[%q]}`, o.ID))
	i.Do(t, "AddDeliveryOptions", i.installing("3.0", "a-6"))
	arn := func(name string) string {
		return "arn:aws:imagebuilder:us-east-1:" + seller.Account + ":component/" + name + "/1.0.0/1"
	}
	if title, ok := i.product().Installs(arn("a-1")); ok {
		t.Errorf("new buyers get a restricted component by %s", title)
	}
	if title, ok := i.product().Installs(arn("a-6")); !ok || title != "3.0" {
		t.Errorf("new buyers get a component by %q", title)
	}
	if version, option, _ := i.product().Installer(o.FulfillmentOptionID); version == nil || option.Visibility != "Restricted" {
		t.Error("who has a restricted option does not find it any more")
	}
}

func TestAnUpdateChangesTheTextsOfAComponentAndNothingElse(t *testing.T) {
	t.Parallel()
	i := given(t, "with a component")
	id := placeholders(t, i.Item)["option:2.0"]
	before := i.product().Versions[1]
	i.Do(t, "UpdateDeliveryOptions", fmt.Sprintf(`{"Version":{"ReleaseNotes":"Mended."},"DeliveryOptions":[{"Id":%q,"Details":{"Ec2ImageBuilderComponentDeliveryOptionDetails":{
		"UsageInstructions":"Read the manual.","AccessRoleArn":%q,"ComponentArn":%q}}}]}`, id, before.Components[0].AccessRoleArn, before.Components[0].ARN))
	after := i.product().Versions[1]
	if after.ReleaseNotes != "Mended." || after.DeliveryOptions[0].UsageInstructions != "Read the manual." {
		t.Errorf("after the update the version is %+v", after)
	}
	if diff := cmp.Diff(before.Components, after.Components); diff != "" {
		t.Errorf("components (-before +after):\n%s", diff)
	}
	i.Refused(t, "UpdateDeliveryOptions", fmt.Sprintf(`{"DeliveryOptions":[{"Id":%q,"Details":{"Ec2ImageBuilderComponentDeliveryOptionDetails":{"UsageInstructions":null}}}]}`, id), "422")
	i.Refused(t, "UpdateDeliveryOptions", fmt.Sprintf(`{"DeliveryOptions":[{"Id":%q,"Details":{"AmiDeliveryOptionDetails":{"UsageInstructions":"x"}}}]}`, id), "INVALID_DELIVERY_OPTIONS")
}

func TestAComponentIsShownWithItsFulfillmentOption(t *testing.T) {
	t.Parallel()
	i := given(t, "with a component")
	version := i.version(t, "2.0")
	source := version["Sources"].([]any)[0].(map[string]any)
	option := version["DeliveryOptions"].([]any)[0].(map[string]any)
	wantOption := map[string]any{
		"Id": option["Id"], "FulfillmentOptionId": i.product().Versions[1].DeliveryOptions[0].FulfillmentOptionID, "SourceId": source["Id"], "Type": "Ec2ImageBuilderComponent", "Title": "Tool",
		"ShortDescription": "", "LongDescription": "", "Visibility": "Public", "Instructions": map[string]any{"Usage": "Add it to a recipe."},
		"Recommendations": map[string]any{"InstanceType": "", "SecurityGroups": []any{}},
	}
	if diff := cmp.Diff(wantOption, option); diff != "" {
		t.Errorf("option (-want +got):\n%s", diff)
	}
	wantSource := map[string]any{
		"Id": source["Id"], "Type": "Ec2ImageBuilderComponent", "ComponentArn": "arn:aws:imagebuilder:us-east-1:" + seller.Account + ":component/tool/1.0.0/1",
		"ComponentName": "Tool", "ComponentVersion": "1.0.0", "SupportedOsVersions": []any{"Debian 13"},
	}
	if diff := cmp.Diff(wantSource, source); diff != "" {
		t.Errorf("source (-want +got):\n%s", diff)
	}
	if strings.Contains(string(i.Document(t)), "schemaVersion") {
		t.Error("the component's document is shown")
	}
}

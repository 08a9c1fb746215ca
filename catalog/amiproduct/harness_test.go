package amiproduct_test

import (
	"os"
	"testing"
	"time"

	"souk/catalog/amiproduct"
	"souk/catalog/change"
	"souk/catalog/product/producttest"
)

var seller = producttest.Seller

// family leads products to their states beside the release of their offer, the
// one that world has.
var family = producttest.Family{
	Testdata: os.DirFS("testdata"),
	New: func() *producttest.Item {
		i := producttest.NewItem(amiproduct.EntityType(), time.Date(2021, 3, 2, 0, 0, 0, 0, time.UTC))
		i.World = newWorld()
		return i
	},
	Placeholders: placeholders,
	Set:          []change.Beside{{ChangeType: "ReleaseOffer", EntityType: "Offer@1.0", EntityID: "offer-1"}},
}

// item is an AMI product and its world.
type item struct {
	*producttest.Item
	world *world
}

func given(t testing.TB, name string) item {
	t.Helper()
	i := family.Given(t, name)
	return item{i, i.World.(*world)}
}

// version returns a version as it is shown, by its title.
func (i item) version(t testing.TB, title string) map[string]any {
	t.Helper()
	versions, _ := i.Described(t)["Versions"].([]any)
	for _, v := range versions {
		if version := v.(map[string]any); version["VersionTitle"] == title {
			return version
		}
	}
	t.Fatalf("no version %q", title)
	return nil
}

// placeholders gives the names of samples their values.
func placeholders(t testing.TB, i *producttest.Item) map[string]string {
	t.Helper()
	values := map[string]string{
		"product": i.Entity.ID, "account": seller.Account, "ami:missing": missingAMI, "report": reportURL, "failure": trialFailure, "finding": finding,
		"logo:missing": "https://example.com/missing.png", "logo:text": "https://example.com/text.png", "logo:tiny": "https://example.com/tiny.png",
	}
	for name, ami := range i.World.(*world).amis {
		values["ami:"+name] = ami.ID
	}
	versions, _ := i.Described(t)["Versions"].([]any)
	for _, v := range versions {
		version := v.(map[string]any)
		option := version["DeliveryOptions"].([]any)[0].(map[string]any)
		values["version:"+version["VersionTitle"].(string)] = version["Id"].(string)
		values["option:"+version["VersionTitle"].(string)] = option["Id"].(string)
	}
	return values
}

func TestFamily(t *testing.T) { family.Test(t, "../product") }

// FuzzDetails asks no world, so that AMIs of any id come to be applied.
func FuzzDetails(f *testing.F) {
	public := family.Given(f, "public")
	public.World = nil
	public.Found = map[string]string{"Digest": "sha256:0", "Architecture": "x86_64"}
	family.Fuzz(f, placeholders(f, family.Given(f, "limited")), []*producttest.Item{public},
		`{"DeliveryOptionIds":[null]}`, `{"Version":null,"DeliveryOptions":[{}]}`,
		`{"DeliveryOptions":[{"Id":"x","Details":{"AmiDeliveryOptionDetails":{"AccessEndpointUrl":null,"SecurityGroups":{}}}}]}`)
}

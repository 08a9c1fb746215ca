package saasproduct_test

import (
	"os"
	"testing"
	"time"

	"souk/catalog/product/producttest"
	"souk/catalog/saasproduct"
)

var family = producttest.Family{
	Testdata: os.DirFS("testdata"),
	New: func() *producttest.Item {
		return producttest.NewItem(saasproduct.EntityType(), time.Date(2023, 10, 26, 0, 0, 0, 0, time.UTC))
	},
	Placeholders: func(t testing.TB, i *producttest.Item) map[string]string {
		values := map[string]string{"product": i.Entity.ID, "pages": "https://pages.example.com"}
		for name, option := range options(t, i) {
			values["option:"+name] = option["Id"].(string)
		}
		return values
	},
}

// options returns the delivery options as they are shown, by the names that
// samples give them: their type, or QuickLaunch.
func options(t testing.TB, i *producttest.Item) map[string]map[string]any {
	t.Helper()
	options := map[string]map[string]any{}
	versions, _ := i.Described(t)["Versions"].([]any)
	for _, v := range versions {
		for _, o := range v.(map[string]any)["DeliveryOptions"].([]any) {
			option := o.(map[string]any)
			name := option["Type"].(string)
			if name == "SoftwareRegistration" && option["QuickLaunchEnabled"] == true {
				name = "QuickLaunch"
			}
			options[name] = option
		}
	}
	return options
}

func TestFamily(t *testing.T) { family.Test(t, "../product") }

func FuzzDetails(f *testing.F) {
	starts := []*producttest.Item{family.Given(f, "public")}
	family.Fuzz(f, family.Placeholders(f, family.Given(f, "two options")), starts,
		`[{}]`, `{"DeliveryOptions":[{}]}`, `{"DeliveryOptions":[{"Id":null,"Details":{"ApiDeliveryOptionDetails":{"Endpoints":[{}]}}}]}`,
		`{"DeliveryOptions":[{"Details":{"SaaSUrlDeliveryOptionDetails":{"FulfillmentUrl":null,"DeploymentTemplates":null}}}]}`)
}

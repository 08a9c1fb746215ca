package containerproduct_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"souk/catalog/containerproduct"
	"souk/catalog/product/producttest"
)

const host = "127.0.0.1:8470"

var (
	seller    = producttest.Seller
	namespace = seller.Namespace
)

var family = producttest.Family{
	Testdata: os.DirFS("testdata"),
	New:      func() *producttest.Item { return newItem(host) },
	Placeholders: func(t testing.TB, i *producttest.Item) map[string]string {
		values := map[string]string{"registry": host, "namespace": namespace, "product": i.Entity.ID, "report": reportURL}
		versions, _ := i.Described(t)["Versions"].([]any)
		for _, v := range versions {
			version := v.(map[string]any)
			values["version:"+version["VersionTitle"].(string)] = version["Id"].(string)
			for _, o := range version["DeliveryOptions"].([]any) {
				option := o.(map[string]any)
				values["option:"+option["Title"].(string)] = option["Id"].(string)
			}
		}
		return values
	},
}

// newItem is a product before CreateProduct, whose images are in a registry.
func newItem(registryHost string) *producttest.Item {
	i := producttest.NewItem(containerproduct.EntityType(registryHost), time.Date(2021, 3, 2, 0, 0, 0, 0, time.UTC))
	digest := "sha256:" + strings.Repeat("0123456789abcdef", 4)
	for _, uri := range []string{"/app:1.0", "/app:1.1", "/charts:1.0"} {
		i.Found[registryHost+"/"+namespace+uri] = digest
	}
	return i
}

func TestFamily(t *testing.T) { family.Test(t, "../product") }

func FuzzDetails(f *testing.F) {
	starts := []*producttest.Item{family.Given(f, "public")}
	family.Fuzz(f, family.Placeholders(f, family.Given(f, "limited")), starts,
		`{"DeliveryOptionIds":[null]}`, `{"Version":null,"DeliveryOptions":[{}]}`,
		`{"DeliveryOptions":[{"Details":{"HelmDeliveryOptionDetails":{"OverrideParameters":{}}}}]}`)
}

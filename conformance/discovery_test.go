package conformance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/types"
	"github.com/rogpeppe/go-internal/testscript"

	"souk/conformance/seller"
	"souk/conformance/souktest"
)

// TestProductsAreFoundAndObtained finds the products of another seller with the
// AWS CLI, allows one and denies one, and pulls with skopeo what procurement lets
// each account have; also over a restart.
func TestProductsAreFoundAndObtained(t *testing.T) {
	t.Parallel()
	forEachDatabase(t, func(t *testing.T, o souktest.Options) {
		t.Parallel()
		server := souktest.Start(t, o)
		logos := souktest.ServeLogos(t)
		account := server.Account(t, "vendor", "vendor")
		vendor := account.Seller(server)
		buyer, late := server.Account(t, "buyer", "buyer"), server.Account(t, "late", "late")
		apple, pear := published(t, vendor, "vendor", "apple"), published(t, vendor, "vendor", "pear")
		image, err := seller.Image("the second program of apple")
		must(t, err)
		must(t, vendor.Push(t.Context(), "vendor/apple", "2.0", image))
		doneBy(t, vendor, seller.Change("AddDeliveryOptions", apple, seller.Version("2.0", vendor.Host()+"/vendor/apple:2.0")))
		set, err := vendor.Do(t.Context(), seller.Change("CreateProduct", "", `{"ProductTitle":"Draft product"}`))
		must(t, err)
		draft := seller.EntityID(set.ChangeSet[0])

		root := server.Root(t)
		governs(t, root, buyer.ID, apple, pear)
		management, err := root.Account(t.Context())
		must(t, err)
		key, err := server.RootKey()
		must(t, err)
		p := testscript.Params{Dir: "testdata/discovery"}
		p.Setup = func(e *testscript.Env) error {
			for name, value := range map[string]string{
				"APPLE": apple, "PEAR": pear, "DRAFT": draft,
				"BUYER_KEY": buyer.Key.AccessKeyID, "BUYER_SECRET": buyer.Key.SecretAccessKey,
				"LATE_KEY": late.Key.AccessKeyID, "LATE_SECRET": late.Key.SecretAccessKey,
			} {
				e.Setenv(name, value)
			}
			return setupScript(e, root, souktest.Account{ID: management, Key: key}, logos)
		}
		p.Cmds = map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"keep": keepOutput,
			"change": func(ts *testscript.TestScript, _ bool, args []string) { // TYPE ENTITY DETAILS
				_, err := vendor.Do(t.Context(), seller.Change(args[0], args[1], args[2]))
				ts.Check(err)
			},
			"restart": func(ts *testscript.TestScript, _ bool, _ []string) {
				ts.Check(server.Stop())
				<-server.Ended()
				ts.Check(server.Run())
				vendor = account.Seller(server) // at another port
				ts.Setenv("URL", vendor.URL)
				ts.Setenv("REGISTRY", vendor.Host())
			},
			"doctor": func(ts *testscript.TestScript, _ bool, _ []string) {
				out, err := server.Command("doctor")
				if err != nil {
					ts.Fatalf("souk doctor: %v\n%s", err, out)
				}
			},
			// "procurement PRODUCT MAY REASON": what GetProduct says to the buyer,
			// which is no member of the SDKs' model.
			"procurement": func(ts *testscript.TestScript, _ bool, args []string) {
				a, err := buyer.Seller(server).Raw(t.Context(), "POST", "/2026-02-05/getProduct", seller.JSON(map[string]string{"productId": args[0]}))
				ts.Check(err)
				var shown struct {
					Procurement struct {
						MayObtain bool   `json:"mayObtain"`
						Reason    string `json:"reason"`
					} `json:"procurement"`
				}
				ts.Check(json.Unmarshal([]byte(a.Body), &shown))
				if p := shown.Procurement; a.Status != http.StatusOK || fmt.Sprint(p.MayObtain) != args[1] || !strings.Contains(p.Reason, args[2]) {
					ts.Fatalf("GetProduct says %d %+v, want %s", a.Status, p, args[1:])
				}
			},
		}
		t.Run("scripts", func(t *testing.T) { testscript.Run(t, p) })
	})
}

// governs makes an enabled private marketplace for an account, with an allowed
// and a denied product.
func governs(t *testing.T, root *seller.Seller, account, allowed, denied string) {
	t.Helper()
	id := doneBy(t, root, experience("CreateExperience", "", `{"Name":"Of the buyer"}`))
	products := func(id string) string {
		return seller.JSON(map[string]any{"Products": []any{map[string]any{"Ids": []string{id}}}})
	}
	for _, change := range []types.Change{
		experience("CreateProcurementPolicy", id, `{}`),
		experience("AllowProductProcurement", id, products(allowed)),
		experience("DenyProductProcurement", id, products(denied)),
		experience("AssociateAudience", id, seller.JSON(map[string]any{"Principals": []string{account}})),
		experience("UpdateExperience", id, `{"Status":"Enabled"}`),
	} {
		doneBy(t, root, change)
	}
}

package conformance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
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

// TestDiscoveryRefusesWhatTheModelForbids sends inputs that break the documented
// constraints, one each.
func TestDiscoveryRefusesWhatTheModelForbids(t *testing.T) {
	t.Parallel()
	server := souktest.Start(t, souktest.Options{})
	root := server.Root(t)
	long := strings.Repeat("x", 256)
	filter := func(name string, values ...string) string {
		return seller.JSON(map[string]any{"filters": []any{map[string]any{"filterType": name, "filterValues": values}}})
	}
	for _, c := range []struct {
		what, operation, body string
		status                int
		text                  string
	}{
		{"no listing", "getListing", `{}`, 400, "listingId"},
		{"a listing id with a dot", "getListing", `{"listingId":"a.b"}`, 400, "ValidationException"},
		{"a long listing id", "getListing", `{"listingId":"` + long + `"}`, 400, "ValidationException"},
		{"an unknown listing", "getListing", `{"listingId":"prodview-0000000000000"}`, 404, "ResourceNotFoundException"},
		{"a product's id for a listing's", "getListing", `{"listingId":"prod-0000000000000"}`, 404, "ResourceNotFoundException"},
		{"no product", "getProduct", `{}`, 400, "productId"},
		{"an unknown product", "getProduct", `{"productId":"prod-0000000000000"}`, 404, "ResourceNotFoundException"},
		{"options of an unknown product", "listFulfillmentOptions", `{"productId":"prod-0000000000000"}`, 404, "ResourceNotFoundException"},
		{"51 options", "listFulfillmentOptions", `{"productId":"p","maxResults":51}`, 400, "maxResults"},
		{"no options", "listFulfillmentOptions", `{"productId":"p","maxResults":0}`, 400, "maxResults"},
		{"101 listings", "searchListings", `{"maxResults":101}`, 400, "maxResults"},
		{"a long text", "searchListings", `{"searchText":"` + strings.Repeat("x", 513) + `"}`, 400, "searchText"},
		{"an unknown sort", "searchListings", `{"sortBy":"NAME"}`, 400, "sortBy"},
		{"an unknown order", "searchListings", `{"sortOrder":"UP"}`, 400, "sortOrder"},
		{"a token with a dash", "searchListings", `{"nextToken":"a-b"}`, 400, "nextToken"},
		{"a token of nobody", "searchListings", `{"nextToken":"AAAA"}`, 400, "INVALID_PAGINATION_TOKEN"},
		{"an empty list of filters", "searchListings", `{"filters":[]}`, 400, "filters"},
		{"a filter without type", "searchListings", `{"filters":[{"filterValues":["x"]}]}`, 400, "filterType"},
		{"an unknown filter", "searchListings", filter("COLOUR", "red"), 400, "filterType"},
		{"a filter without values", "searchListings", filter("CATEGORY"), 400, "filterValues"},
		{"a value with a blank", "searchListings", filter("CATEGORY", "a b"), 400, "ValidationException"},
		{"a rating of 6", "searchListings", filter("MIN_AVERAGE_CUSTOMER_RATING", "6"), 400, "MALFORMED_REQUEST_PARAMETERS"},
		{"two ratings", "searchListings", filter("MAX_AVERAGE_CUSTOMER_RATING", "1", "2"), 400, "MALFORMED_REQUEST_PARAMETERS"},
		{"no rating", "searchListings", filter("MIN_AVERAGE_CUSTOMER_RATING", "good"), 400, "MALFORMED_REQUEST_PARAMETERS"},
		{"all that there is", "searchListings", `{}`, 200, `"totalResults":0`},
		{"what nobody has reviewed", "searchListings", filter("MAX_AVERAGE_CUSTOMER_RATING", "5.0"), 200, `"listingSummaries":[]`},
		{"what is not offered", "listPurchaseOptions", `{}`, 404, "UnknownOperationException"},
	} {
		a, err := root.Raw(t.Context(), "POST", "/2026-02-05/"+c.operation, c.body)
		must(t, err)
		if a.Status != c.status || !strings.Contains(a.Body, c.text) && a.Header.Get("x-amzn-ErrorType") != c.text {
			t.Errorf("%s: got %d %s, want %d %s", c.what, a.Status, a.Body, c.status, c.text)
		}
	}

	// Permission is that of the action, on the product or the listing.
	user := server.User(t, root, "eve")
	server.Allow(t, root, "eve", "discovery", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"aws-marketplace:SearchListings","Resource":"arn:aws:aws-marketplace:::catalog/AWSMarketplace/listing/*"},
		{"Effect":"Allow","Action":"aws-marketplace:GetProduct","Resource":"arn:aws:aws-marketplace:::catalog/AWSMarketplace/product/prod-1"}]}`)
	for _, c := range []struct {
		operation, body string
		status          int
	}{
		{"searchListings", `{}`, 200}, {"getProduct", `{"productId":"prod-1"}`, 404}, {"getProduct", `{"productId":"prod-2"}`, 403},
		{"getListing", `{"listingId":"prodview-1"}`, 403}, {"listFulfillmentOptions", `{"productId":"prod-1"}`, 403},
	} {
		a, err := user.Raw(t.Context(), "POST", "/2026-02-05/"+c.operation, c.body)
		must(t, err)
		if a.Status != c.status {
			t.Errorf("%s of a user with a policy: got %d %s, want %d", c.operation, a.Status, a.Body, c.status)
		}
	}
}

// TestAnAMIOfADeniedProductIsNotUsed shares the AMI of a product with everybody.
// Who may not obtain the product neither lists nor exports it, and is told why.
func TestAnAMIOfADeniedProductIsNotUsed(t *testing.T) {
	t.Parallel()
	server := souktest.Start(t, souktest.Options{})
	vendor := &rowProduct{Seller: server.Account(t, "amis", "amis").Seller(server), values: map[string]string{"namespace": "amis"}}
	ami := vendor.importImage(t, "web server", []string{"--arch=x86_64", "--public"})
	set := vendor.send(t, map[string]any{"Catalog": seller.Catalog, "ChangeSet": amiProduct(ami)})
	if set.Status != types.ChangeStatusSucceeded {
		t.Fatalf("the change set is %s: %s", set.Status, seller.Refusals(set))
	}
	product := seller.EntityID(set.ChangeSet[0])
	set = vendor.send(t, map[string]any{"Catalog": seller.Catalog, "ChangeSet": []any{amiChange("UpdateVisibility", product, map[string]any{"TargetVisibility": "Public"})}})
	if set.Status != types.ChangeStatusSucceeded {
		t.Fatalf("UpdateVisibility is %s: %s", set.Status, seller.Refusals(set))
	}
	governed, free := server.Account(t, "governed", "governed"), server.Account(t, "free", "free")
	governs(t, server.Root(t), governed.ID, "prod-0000000000000", product)
	for _, by := range []struct {
		souktest.Account
		may bool
	}{{governed, false}, {free, true}} {
		run := func(args ...string) (string, bool) {
			t.Helper()
			binary, err := souktest.Binary("")
			must(t, err)
			c := exec.CommandContext(t.Context(), binary, args...)
			c.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+server.URL, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID="+by.Key.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+by.Key.SecretAccessKey, "AWS_SESSION_TOKEN=", "NO_COLOR=1")
			out, err := c.CombinedOutput()
			return string(out), err == nil
		}
		if out, ok := run("image", "list", "--all"); !ok || strings.Contains(out, ami) != by.may {
			t.Errorf("may %t: the list is %s", by.may, out)
		}
		for what, args := range map[string][]string{
			"described": {"image", "show", ami}, "exported": {"image", "export", ami, "--oci", filepath.Join(t.TempDir(), "image")},
		} {
			out, ok := run(args...)
			if ok != by.may || !ok && !(strings.Contains(out, "OptInRequired") && strings.Contains(out, "denies product "+product)) {
				t.Errorf("may %t: %s: %t, %s", by.may, what, ok, out)
			}
		}
	}
}

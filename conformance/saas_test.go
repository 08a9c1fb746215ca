package conformance

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/types"

	"souk/conformance/seller"
	"souk/conformance/souktest"
	"souk/spec"
)

// TestASaaSProductAndItsOfferAreReleasedInOneChangeSet follows AWS's own sample
// of a SaaS product with a public offer: all in one change set, in no order that
// matters, each by a reference to the change that makes the other.
func TestASaaSProductAndItsOfferAreReleasedInOneChangeSet(t *testing.T) {
	t.Parallel()
	forEachDatabase(t, func(t *testing.T, o souktest.Options) {
		t.Parallel()
		server := souktest.Start(t, o)
		s := server.Account(t, "saas", "saas").Seller(server)
		const product = "$Product.Entity.Identifier"
		type object = map[string]any
		change := func(changeType string, details any) any {
			return object{"ChangeType": changeType, "Entity": object{"Type": "SaaSProduct@1.0", "Identifier": product}, "DetailsDocument": details}
		}
		// What depends on others stands before them.
		changes := append([]any{
			change("ReleaseProduct", object{}),
			change("AddDeliveryOptions", object{"DeliveryOptions": []any{object{"Details": object{
				"SaaSUrlDeliveryOptionDetails": object{"FulfillmentUrl": "https://example.com/register"},
			}}}}),
			change("AddDimensions", []any{object{"Key": "users", "Name": "Users", "Description": "Users.", "Unit": "Users", "Types": []string{"Entitled"}}}),
			change("UpdateTargeting", object{"PositiveTargeting": object{"BuyerAccounts": []string{"111111111111", "222222222222"}}}),
			change("UpdateInformation", object{
				"ProductTitle": "Sample product", "ShortDescription": "Brief description", "LongDescription": "Detailed description",
				"Highlights": []string{"Sample highlight"}, "SearchKeywords": []string{"Sample keyword"},
				"Categories": []string{"Operating Systems"}, "AdditionalResources": []any{}, "SupportDescription": "Write to us.",
			}),
			object{"ChangeType": "CreateProduct", "ChangeName": "Product", "Entity": object{"Type": "SaaSProduct@1.0"}, "DetailsDocument": object{}},
		}, publicOffer(product)...)
		send := func(changes []any) *marketplacecatalog.DescribeChangeSetOutput {
			t.Helper()
			a, err := s.Raw(t.Context(), "POST", "/StartChangeSet", seller.JSON(object{"Catalog": seller.Catalog, "ChangeSet": changes}))
			must(t, err)
			if a.Status != 200 {
				t.Fatalf("got status %d: %s", a.Status, a.Body)
			}
			set, err := s.Wait(t.Context(), startedID(t, a.Body))
			must(t, err)
			return set
		}
		if set := send(changes[:len(changes)-1]); set.Status != types.ChangeStatusFailed {
			t.Errorf("without ReleaseOffer the change set is %s", set.Status)
		}
		set := send(changes)
		if set.Status != types.ChangeStatusSucceeded {
			t.Fatalf("the change set is %s: %s", set.Status, seller.Refusals(set))
		}
		id, offer := seller.EntityID(set.ChangeSet[0]), seller.EntityID(set.ChangeSet[len(changes)-1])
		var shown struct {
			Description struct{ Visibility string }
			Dimensions  []struct{ Key string }
			Targeting   struct {
				PositiveTargeting struct{ BuyerAccounts []string }
			}
			Versions []struct {
				DeliveryOptions []struct{ Type, FulfillmentUrl, Visibility string }
			}
		}
		details(t, s, id, &shown)
		if shown.Description.Visibility != "Limited" || len(shown.Dimensions) != 1 || len(shown.Targeting.PositiveTargeting.BuyerAccounts) != 2 ||
			len(shown.Versions) != 1 || shown.Versions[0].DeliveryOptions[0].Type != "SoftwareRegistration" {
			t.Errorf("the product is %+v", shown)
		}
		var offered struct{ State, ProductId string }
		details(t, s, offer, &offered)
		if offered.State != "Released" || offered.ProductId != id {
			t.Errorf("the offer is %+v, want a released one of %s", offered, id)
		}

		public := seller.Change("UpdateVisibility", id, `{"TargetVisibility":"Public"}`)
		public.Entity.Type = aws.String("SaaSProduct@1.0")
		_, err := s.Do(t.Context(), public)
		must(t, err)
		list, err := s.Catalog.ListEntities(t.Context(), &marketplacecatalog.ListEntitiesInput{Catalog: aws.String(seller.Catalog), EntityType: aws.String("SaaSProduct")})
		must(t, err)
		if len(list.EntitySummaryList) != 1 || aws.ToString(list.EntitySummaryList[0].EntityId) != id || aws.ToString(list.EntitySummaryList[0].Visibility) != "Public" {
			t.Errorf("listed are %+v, want only the public product %s: a change set that failed makes nothing", list.EntitySummaryList, id)
		}
	})
}

// ofPages says whether a sample is about the pages of sellers, which a market
// asks only where it is told to.
func ofPages(s spec.Sample) bool {
	return s.Probe && s.ChangeType != "UpdateInformation" && strings.HasSuffix(s.Code, "_URL")
}

// TestPagesOfSellersAreAsked replays the samples of pages against a market that
// looks at them: a web server with a certificate of its own authority.
func TestPagesOfSellersAreAsked(t *testing.T) {
	t.Parallel()
	web := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, err := strconv.Atoi(strings.Split(r.URL.Path, "/")[1])
		if err != nil {
			status = http.StatusNotFound
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(web.Close)
	authority := filepath.Join(t.TempDir(), "authority.pem")
	must(t, os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw}), 0o600))

	testdata := os.DirFS("../catalog/saasproduct/testdata")
	setups, err := spec.ReadSetups(testdata)
	must(t, err)
	samples, err := spec.ReadSamples(testdata)
	must(t, err)
	server := souktest.Start(t, souktest.Options{Flags: []string{"--check-pages", "--fetch-ca", authority}})
	n := 0
	for _, sample := range samples {
		if !ofPages(sample) {
			continue
		}
		n++
		namespace := "pages-" + strconv.Itoa(n)
		t.Run(sample.Name, func(t *testing.T) {
			t.Parallel()
			p := &rowProduct{
				Seller: server.Account(t, namespace, namespace).Seller(server), entity: "SaaSProduct", setups: setups,
				values: map[string]string{"pages": web.URL},
			}
			p.reach(t, sample.Given)
			p.provoke(t, sample)
		})
	}
	if n == 0 {
		t.Error("there is no sample of pages")
	}
}

package conformance

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/types"

	"souk/conformance/seller"
	"souk/conformance/souktest"
	"souk/spec"
)

// object is a JSON document.
type object = map[string]any

// entityChange is a change with a DetailsDocument. An identifier of "" stands
// for an entity that the change creates.
func entityChange(name, changeType, entityType, identifier string, details any) object {
	entity := object{"Type": entityType + "@1.0"}
	if identifier != "" {
		entity["Identifier"] = identifier
	}
	c := object{"ChangeType": changeType, "Entity": entity, "DetailsDocument": details}
	if name != "" {
		c["ChangeName"] = name
	}
	return c
}

// startDocuments sends changes with DetailsDocuments.
func startDocuments(t *testing.T, s *seller.Seller, changes ...any) (status int, body string) {
	t.Helper()
	a, err := s.Raw(t.Context(), "POST", "/StartChangeSet", seller.JSON(object{"Catalog": seller.Catalog, "ChangeSet": changes}))
	must(t, err)
	return a.Status, a.Body
}

// doDocuments sends changes that are expected to succeed, in one set.
func doDocuments(t *testing.T, s *seller.Seller, changes ...any) *marketplacecatalog.DescribeChangeSetOutput {
	t.Helper()
	status, body := startDocuments(t, s, changes...)
	if status != 200 {
		t.Fatalf("status %d: %s", status, body)
	}
	set, err := s.Wait(t.Context(), startedID(t, body))
	must(t, err)
	if set.Status != types.ChangeStatusSucceeded {
		t.Fatalf("the change set is %s: %s", set.Status, seller.Refusals(set))
	}
	return set
}

func TestDocumentedErrorsOfOffers(t *testing.T) {
	t.Parallel()
	byState, setups := samplesByState(t, "Offer", os.DirFS("../catalog/offer/testdata"), []string{
		"CreateOffer", "CreateReplacementOffer", "UpdateInformation", "UpdateTargeting", "UpdateAvailability", "UpdateLegalTerms", "UpdateSupportTerms",
		"UpdateValidityTerms", "UpdatePaymentScheduleTerms", "UpdatePricingTerms", "UpdateRenewalTerms", "ReleaseOffer",
	})
	forEachDatabase(t, func(t *testing.T, o souktest.Options) {
		t.Parallel()
		server := souktest.Start(t, o)
		s := server.Account(t, "offers", "offers").Seller(server)
		t.Run("given", func(t *testing.T) {
			for state, samples := range byState {
				t.Run(state, func(t *testing.T) {
					t.Parallel()
					p := &rowProduct{Seller: s, entity: "Offer", setups: setups, values: offeredProducts(t, s, setups, state, samples)}
					p.reachOffer(t, state)
					for _, sample := range samples {
						t.Run(sample.Name, func(t *testing.T) { p.provoke(t, sample) })
					}
				})
			}
		})
	})
}

// reachOffer leads an offer to a starting state.
func (p *rowProduct) reachOffer(t *testing.T, state string) {
	t.Helper()
	if state == "" {
		return
	}
	p.reachOffer(t, p.setups[state].From)
	for _, c := range p.setups[state].Changes {
		status, body := p.change(t, c.ChangeType, c.Details)
		if status != 200 {
			t.Fatalf("%s for the state %s: status %d: %s", c.ChangeType, state, status, body)
		}
		set, err := p.Wait(t.Context(), startedID(t, body))
		must(t, err)
		if set.Status != types.ChangeStatusSucceeded {
			t.Fatalf("%s for the state %s is %s: %s", c.ChangeType, state, set.Status, seller.Refusals(set))
		}
		p.id = seller.EntityID(set.ChangeSet[0])
	}
}

// offeredProducts makes the products that a state and its samples name, each
// state its own, since a product has one public offer.
func offeredProducts(t *testing.T, s *seller.Seller, setups map[string]spec.Setup, state string, samples []spec.Sample) map[string]string {
	t.Helper()
	var text strings.Builder
	for _, sample := range samples {
		text.Write(sample.Details)
	}
	for name := state; name != ""; name = setups[name].From {
		for _, c := range setups[name].Changes {
			text.Write(c.Details)
		}
	}
	values := map[string]string{}
	for _, name := range []string{"product", "product:offered", "product:draft", "product:restricted", "product:saas", "product:data"} {
		if !strings.Contains(text.String(), "${"+name+"}") {
			continue
		}
		switch name {
		case "product:saas":
			values[name] = productWithDimensions(t, s, "SaaSProduct")
		case "product:data":
			// No change type makes a data product; an offer can't be offered either.
			set := doDocuments(t, s, entityChange("", "CreateOffer", "Offer", "", object{"ProductId": productWithDimensions(t, s, "ContainerProduct")}))
			values[name] = seller.EntityID(set.ChangeSet[0])
		case "product:draft":
			values[name] = productWithDimensions(t, s, "ContainerProduct")
		default:
			values[name] = productWithDimensions(t, s, "ContainerProduct",
				entityChange("", "UpdateInformation", "ContainerProduct", "$Product.Entity.Identifier", json.RawMessage(seller.Information("Software"))),
				entityChange("", "ReleaseProduct", "ContainerProduct", "$Product.Entity.Identifier", object{}))
		}
	}
	if id := values["product:restricted"]; id != "" {
		doDocuments(t, s, entityChange("", "UpdateVisibility", "ContainerProduct", id, object{"TargetVisibility": "Restricted"}))
	}
	if id := values["product:offered"]; id != "" {
		doDocuments(t, s, releasedOffer(id, "Usage", usagePrices("requests"))...)
		doDocuments(t, s, releasedOffer(id, "Free", object{"Type": "FreeTrialPricingTerm", "Duration": "P30D", "Grants": []any{object{"DimensionKey": "requests"}}})...)
	}
	return values
}

// productWithDimensions makes a product with the dimensions of the samples, by
// changes that may follow in the same set.
func productWithDimensions(t *testing.T, s *seller.Seller, entity string, changes ...any) string {
	t.Helper()
	const product = "$Product.Entity.Identifier"
	dimension := func(key, unit, kind string) object {
		return object{"Key": key, "Name": "Dimension " + key, "Description": "What is sold.", "Unit": unit, "Types": []string{kind}}
	}
	set := doDocuments(t, s, append([]any{
		entityChange("Product", "CreateProduct", entity, "", object{}),
		entityChange("", "AddDimensions", entity, product, []any{
			dimension("users", "Users", "Entitled"), dimension("hosts", "Hosts", "Entitled"),
			dimension("requests", "Requests", "Metered"), dimension("traffic", "GB", "ExternallyMetered"), dimension("closed", "Units", "Metered"),
		}),
	}, changes...)...)
	id := seller.EntityID(set.ChangeSet[0])
	doDocuments(t, s, entityChange("", "RestrictDimensions", entity, id, []any{object{"Key": "closed", "Types": []string{"Metered"}}}))
	return id
}

func usagePrices(keys ...string) object {
	var rates []any
	for _, key := range keys {
		rates = append(rates, object{"DimensionKey": key, "Price": "0.10"})
	}
	return object{"Type": "UsageBasedPricingTerm", "CurrencyCode": "USD", "RateCards": []any{object{"RateCard": rates}}}
}

// releasedOffer is the changes that make and release a public offer.
func releasedOffer(product, model string, terms ...any) []any {
	const offer = "$Offer.Entity.Identifier"
	return []any{
		entityChange("", "ReleaseOffer", "Offer", offer, object{}),
		entityChange("", "UpdatePricingTerms", "Offer", offer, object{"PricingModel": model, "Terms": terms}),
		entityChange("", "UpdateSupportTerms", "Offer", offer, object{"Terms": []any{object{"Type": "SupportTerm", "RefundPolicy": "None."}}}),
		entityChange("", "UpdateLegalTerms", "Offer", offer, object{"Terms": []any{
			object{"Type": "LegalTerm", "Documents": []any{object{"Type": "StandardEula", "Version": "2022-07-14"}}},
		}}),
		entityChange("", "UpdateInformation", "Offer", offer, object{"Name": "Public offer", "Description": "For everybody."}),
		entityChange("Offer", "CreateOffer", "Offer", "", object{"ProductId": product}),
	}
}

// TestPricesMayStandBeforeTheirDimensions makes a product, its dimensions and
// its released offer in one set whose changes stand in the wrong order.
func TestPricesMayStandBeforeTheirDimensions(t *testing.T) {
	t.Parallel()
	forEachDatabase(t, func(t *testing.T, o souktest.Options) {
		t.Parallel()
		server := souktest.Start(t, o)
		s := server.Account(t, "prices", "prices").Seller(server)
		const product = "$Product.Entity.Identifier"
		changes := append(releasedOffer(product, "Usage", usagePrices("a", "b")),
			entityChange("", "AddDimensions", "ContainerProduct", product, []any{
				object{"Key": "a", "Name": "A", "Description": "The first.", "Unit": "Units", "Types": []string{"Metered"}},
				object{"Key": "b", "Name": "B", "Description": "The second.", "Unit": "Units", "Types": []string{"Metered"}},
			}),
			entityChange("", "ReleaseProduct", "ContainerProduct", product, object{}),
			entityChange("", "UpdateInformation", "ContainerProduct", product, json.RawMessage(seller.Information("Software"))),
			entityChange("Product", "CreateProduct", "ContainerProduct", "", object{}),
		)
		set := doDocuments(t, s, changes...)
		offer, id := seller.EntityID(set.ChangeSet[0]), seller.EntityID(set.ChangeSet[len(changes)-1])

		// A removal: the prices name what the set takes away; they must.
		restrict := entityChange("", "RestrictDimensions", "ContainerProduct", id, []any{object{"Key": "b", "Types": []string{"Metered"}}})
		status, body := startDocuments(t, s, restrict, entityChange("", "UpdatePricingTerms", "Offer", offer, object{"PricingModel": "Usage", "Terms": []any{usagePrices("a")}}))
		if status != 200 {
			t.Fatalf("status %d: %s", status, body)
		}
		refused, err := s.Wait(t.Context(), startedID(t, body))
		must(t, err)
		if got := seller.Refusals(refused); refused.Status != types.ChangeStatusFailed || !strings.Contains(got, "Rates can't be removed from UsageBasedPricingTerm") {
			t.Errorf("without the price: %s: %s", refused.Status, got)
		}
		doDocuments(t, s, restrict, entityChange("", "UpdatePricingTerms", "Offer", offer, object{"PricingModel": "Usage", "Terms": []any{usagePrices("a", "b")}}))

		list, err := s.Catalog.ListEntities(t.Context(), &marketplacecatalog.ListEntitiesInput{
			Catalog: aws.String(seller.Catalog), EntityType: aws.String("Offer"),
			EntityTypeFilters: &types.EntityTypeFiltersMemberOfferFilters{Value: types.OfferFilters{
				ProductId: &types.OfferProductIdFilter{ValueList: []string{id}},
				State:     &types.OfferStateFilter{ValueList: []types.OfferStateString{types.OfferStateStringReleased}},
			}},
		})
		must(t, err)
		if len(list.EntitySummaryList) != 1 || aws.ToString(list.EntitySummaryList[0].EntityId) != offer {
			t.Fatalf("released offers of %s: %+v", id, list.EntitySummaryList)
		}
		summary := list.EntitySummaryList[0]
		if aws.ToString(summary.Name) != "Public offer" || aws.ToString(summary.Visibility) != "Public" || aws.ToString(summary.OfferSummary.ProductId) != id ||
			!slices.Equal(summary.OfferSummary.Targeting, []types.OfferTargetingString{types.OfferTargetingStringNone}) {
			t.Errorf("listed as %+v with %+v", summary, summary.OfferSummary)
		}
	})
}

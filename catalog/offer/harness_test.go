package offer_test

import (
	"context"
	"os"
	"slices"
	"testing"
	"time"

	"souk/catalog/change"
	"souk/catalog/offer"
	"souk/catalog/product"
	"souk/catalog/product/producttest"
)

// The products that samples and states offer, by their placeholders.
var products = map[string]string{
	"product":            "prod-container0001", // Limited, without offers
	"product:offered":    "prod-container0002", // Limited, with a released public offer and a released free trial
	"product:draft":      "prod-container0003", // in Draft
	"product:restricted": "prod-container0004",
	"product:saas":       "prod-saas000000001", // a Limited SaaS product, without offers
	"product:data":       "prod-data000000001", // of a type that can't be offered
}

// software is a product of any type.
type software struct{ product.Facets }

// market is the entities beside the offer.
type market struct {
	kind   *change.EntityType
	types  map[string]string // entity types by id
	states map[string]any
}

func newMarket(kind *change.EntityType) *market {
	m := &market{kind: kind, types: map[string]string{}, states: map[string]any{}}
	for name, id := range products {
		s := &software{}
		m.types[id], s.Description.Visibility = "ContainerProduct@1.0", product.Limited
		switch name {
		case "product:draft":
			s.Description.Visibility = product.Draft
		case "product:restricted":
			s.Description.Visibility = product.Restricted
		case "product:saas":
			m.types[id] = "SaaSProduct@1.0"
		case "product:data":
			m.types[id] = "DataProduct@1.0"
		}
		s.Dimensions = []product.Dimension{
			{Key: "users", Unit: "Users", Types: []string{product.Entitled}},
			{Key: "hosts", Unit: "Hosts", Types: []string{product.Entitled}},
			{Key: "requests", Unit: "Requests", Types: []string{product.Metered}},
			{Key: "traffic", Unit: "GB", Types: []string{product.ExternallyMetered}},
			{Key: "closed", Unit: "Units", Types: []string{product.Metered}, Restricted: true},
		}
		m.states[id] = s
	}
	usage := []offer.Term{{Type: "UsageBasedPricingTerm", CurrencyCode: "USD", RateCards: []offer.RateCard{{RateCard: []offer.Rate{{DimensionKey: "requests", Price: "1"}}}}}}
	trial := []offer.Term{{Type: "FreeTrialPricingTerm", Duration: "P30D", Grants: []offer.Grant{{DimensionKey: "requests"}}}}
	for id, terms := range map[string][]offer.Term{"offer-public0000001": usage, "offer-trial00000001": trial} {
		m.types[id] = "Offer@1.0"
		m.states[id] = &offer.Offer{ProductID: products["product:offered"], State: offer.Released, Terms: terms}
	}
	return m
}

// Read implements change.Entities.
func (m *market) Read(_ context.Context, _ change.Seller, id string) (change.Entity, any, error) {
	if m.states[id] == nil {
		return change.Entity{}, nil, change.ErrEntityNotFound
	}
	return change.Entity{ID: id, Type: m.types[id], Owner: producttest.Seller.Account, Revision: 1}, m.states[id], nil
}

// Named implements change.Entities.
func (m *market) Named(_ context.Context, _ change.Seller, entityType, field, value string) ([]string, error) {
	var ids []string
	for id, state := range m.states {
		if m.types[id] == entityType+"@1.0" && slices.Contains(m.kind.List(state).Fields[field], value) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// Ports implements producttest.World.
func (m *market) Ports(*producttest.Item) change.World { return change.World{Entities: m} }

// item is an offer and what is beside it.
type item struct {
	*producttest.Item
	market *market
}

func given(t testing.TB, name string) item {
	t.Helper()
	i := family.Given(t, name)
	return item{i, i.World.(*market)}
}

var family = producttest.Family{
	Testdata: os.DirFS("testdata"),
	New: func() *producttest.Item {
		var i *producttest.Item
		kind := offer.EntityType(func() time.Time { return i.Now })
		i = producttest.NewItem(kind, time.Date(2021, 3, 2, 0, 0, 0, 0, time.UTC))
		i.World = newMarket(kind)
		return i
	},
	Placeholders: func(testing.TB, *producttest.Item) map[string]string { return products },
}

func TestFamily(t *testing.T) { family.Test(t) }

func FuzzDetails(f *testing.F) {
	var starts []*producttest.Item
	for _, name := range []string{"draft", "contract", "scheduled prices", "dated release"} {
		starts = append(starts, family.Given(f, name))
	}
	family.Fuzz(f, products, starts, `{"Terms":[null]}`, `{"Terms":[{}]}`, `{"PositiveTargeting":null,"NegativeTargeting":{}}`)
}

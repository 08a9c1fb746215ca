package offer_test

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"souk/catalog/change"
	"souk/catalog/offer"
	"souk/catalog/product"
	"souk/spec"
)

var seller = change.Seller{Account: "111122223333", Namespace: "sample-seller"}

// testdata holds the samples and the starting states.
var testdata = os.DirFS("testdata")

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
	return change.Entity{ID: id, Type: m.types[id], Owner: seller.Account, Revision: 1}, m.states[id], nil
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

// item is an offer as the engine would hold it, without the engine.
type item struct {
	kind   *change.EntityType
	entity change.Entity
	state  any
	now    time.Time
	market *market
	set    []change.Beside // other changes of the set that asks
}

// newItem is an offer before CreateOffer.
func newItem() *item {
	i := &item{now: time.Date(2021, 3, 2, 0, 0, 0, 0, time.UTC)}
	i.kind = offer.EntityType(func() time.Time { return i.now })
	i.state = i.kind.New()
	i.market = newMarket(i.kind)
	i.entity = change.Entity{ID: i.kind.NewID(change.NewIDs("the id of the offer", i.now)), Type: "Offer@1.0"}
	return i
}

func (i *item) changeType(name string) change.Type {
	n := slices.IndexFunc(i.kind.Types, func(t change.Type) bool { return t.Name == name })
	return i.kind.Types[n]
}

// refusals decodes a change and runs Valid, Check and, where these refuse
// nothing, Probe. probed says that it came that far.
func (i *item) refusals(t testing.TB, changeType string, details []byte) (decoded change.Change, refusals []change.Refusal, probed bool) {
	t.Helper()
	decoded, err := i.changeType(changeType).Decode(details)
	if err != nil {
		return change.Change{}, []change.Refusal{{ErrorCode: "422", ErrorMessage: "Provided Details is not valid. " + err.Error()}}, false
	}
	c := &change.Checks{Seller: seller, Entity: i.entity}
	if decoded.Valid != nil {
		decoded.Valid(c)
		if len(c.Refusals()) > 0 {
			return decoded, c.Refusals()[:1], false
		}
	}
	decoded.Check(i.state, c)
	if len(c.Refusals()) > 0 || decoded.Probe == nil {
		return decoded, c.Refusals(), false
	}
	c.World = change.World{Entities: i.market, Set: append(i.set, change.Beside{ChangeType: changeType, EntityType: "Offer@1.0", EntityID: i.entity.ID})}
	if err := decoded.Probe(t.Context(), i.state, c); err != nil {
		t.Fatalf("probing %s with %s: %v", changeType, details, err)
	}
	return decoded, c.Refusals(), true
}

// do checks and applies a change that is expected to be right.
func (i *item) do(t testing.TB, changeType, details string) {
	t.Helper()
	decoded, refusals, _ := i.refusals(t, changeType, []byte(details))
	if len(refusals) > 0 {
		t.Fatalf("%s of %s with %s is refused: %+v", changeType, i.entity.ID, details, refusals)
	}
	i.apply(decoded, changeType)
}

func (i *item) apply(decoded change.Change, seed string) {
	decoded.Apply(i.state, &change.Applying{Entity: i.entity, Seller: seller, Now: i.now, IDs: change.NewIDs(seed+i.stored(), i.now)})
	i.entity.Revision++
	i.stored()
}

// refused fails unless the change is refused with a code.
func (i *item) refused(t testing.TB, changeType, details, code string) {
	t.Helper()
	_, refusals, _ := i.refusals(t, changeType, []byte(details))
	if !slices.ContainsFunc(refusals, func(r change.Refusal) bool { return r.ErrorCode == code }) {
		t.Errorf("%s with %s: got %+v, want %s", changeType, details, refusals, code)
	}
}

// stored is the state as it is stored, and reads it back as the engine does.
func (i *item) stored() string {
	b, err := json.Marshal(i.state)
	if err != nil {
		panic(err)
	}
	again := i.kind.New()
	if err := json.Unmarshal(b, again); err != nil {
		panic(err)
	}
	i.state = again
	return string(b)
}

// described is the DetailsDocument.
func (i *item) described(t testing.TB) string {
	t.Helper()
	b, err := json.Marshal(i.kind.Describe(i.state, i.entity))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// given leads an offer to a starting state; "" is before CreateOffer.
func given(t testing.TB, name string) *item {
	t.Helper()
	setups, err := spec.ReadSetups(testdata)
	if err != nil {
		t.Fatal(err)
	}
	if name == "" {
		return newItem()
	}
	setup, ok := setups[name]
	if !ok {
		t.Fatalf("testdata/states.json has no state %q", name)
	}
	i := given(t, setup.From)
	for _, c := range setup.Changes {
		details, err := spec.Expand(c.Details, products)
		if err != nil {
			t.Fatal(err)
		}
		i.do(t, c.ChangeType, string(details))
	}
	return i
}

func changeTypes() []string {
	var names []string
	for _, t := range offer.EntityType(nil).Types {
		names = append(names, t.Name)
	}
	return names
}

// compact takes the spaces out of a document, for tests that write it readably.
func compact(t testing.TB, document string) string {
	t.Helper()
	var b strings.Builder
	var v any
	if err := json.Unmarshal([]byte(document), &v); err != nil {
		t.Fatal(err)
	}
	e := json.NewEncoder(&b)
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

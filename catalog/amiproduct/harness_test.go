package amiproduct_test

import (
	"encoding/json"
	"os"
	"slices"
	"testing"
	"time"

	"souk/catalog/amiproduct"
	"souk/catalog/change"
	"souk/spec"
)

var seller = change.Seller{Account: "111122223333", Namespace: "sample-seller"}

// testdata holds the samples and the starting states.
var testdata = os.DirFS("testdata")

// item is an AMI product as the engine would hold it, without the engine.
type item struct {
	kind   *change.EntityType
	entity change.Entity
	state  any
	now    time.Time
	world  *world
}

// newItem is a product before CreateProduct.
func newItem() *item {
	kind := amiproduct.EntityType()
	i := &item{kind: kind, state: kind.New(), now: time.Date(2021, 3, 2, 0, 0, 0, 0, time.UTC), world: newWorld()}
	i.entity.ID = kind.NewID(change.NewIDs("the id of the product", i.now))
	i.entity.Type = kind.Name + "@" + kind.Version
	return i
}

// changeType finds a change type by its name.
func (i *item) changeType(name string) change.Type {
	n := slices.IndexFunc(i.kind.Types, func(t change.Type) bool { return t.Name == name })
	return i.kind.Types[n]
}

// refusals decodes a change and runs what the engine runs before it asks the
// world. A document that does not decode is refused at once.
func (i *item) refusals(changeType string, details []byte) (change.Change, []change.Refusal) {
	decoded, err := i.changeType(changeType).Decode(details)
	if err != nil {
		return change.Change{}, []change.Refusal{{ErrorCode: "422", ErrorMessage: "Provided Details is not valid. " + err.Error()}}
	}
	c := &change.Checks{Seller: seller, Entity: i.entity}
	if decoded.Valid != nil {
		decoded.Valid(c)
		if len(c.Refusals()) > 0 {
			return decoded, c.Refusals()[:1]
		}
	}
	decoded.Check(i.state, c)
	return decoded, c.Refusals()
}

// probe asks the world for a change that Check has nothing against. released
// says that the product's offer is released in the same set.
func (i *item) probe(t testing.TB, decoded change.Change, released bool) *change.Checks {
	t.Helper()
	c := &change.Checks{Seller: seller, Entity: i.entity, World: i.world.ports(i.entity.ID, released), ChangeSet: "sample"}
	if decoded.Probe == nil {
		return c
	}
	if err := decoded.Probe(t.Context(), i.state, c); err != nil {
		t.Fatalf("asking the world: %v", err)
	}
	return c
}

// do checks and applies a change that is expected to be right. Every
// ReleaseProduct stands beside the release of an offer.
func (i *item) do(t testing.TB, changeType, details string) {
	t.Helper()
	decoded, refusals := i.refusals(changeType, []byte(details))
	if len(refusals) > 0 {
		t.Fatalf("%s of %s with %s is refused: %+v", changeType, i.entity.ID, details, refusals)
	}
	c := i.probe(t, decoded, true)
	if len(c.Refusals()) > 0 {
		t.Fatalf("%s of %s with %s is refused by the world: %+v", changeType, i.entity.ID, details, c.Refusals())
	}
	i.apply(decoded, changeType, c.Found())
}

func (i *item) apply(decoded change.Change, seed string, found map[string]string) {
	a := &change.Applying{Entity: i.entity, Seller: seller, Now: i.now, Found: found, IDs: change.NewIDs(seed+i.stored(), i.now)}
	decoded.Apply(i.state, a)
	i.entity.Revision++
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
func (i *item) described(t testing.TB) map[string]any {
	t.Helper()
	b, err := json.Marshal(i.kind.Describe(i.state, i.entity))
	if err != nil {
		t.Fatal(err)
	}
	var d map[string]any
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// version returns a version as it is shown, by its title.
func (i *item) version(t testing.TB, title string) map[string]any {
	t.Helper()
	versions, _ := i.described(t)["Versions"].([]any)
	for _, v := range versions {
		if version := v.(map[string]any); version["VersionTitle"] == title {
			return version
		}
	}
	t.Fatalf("no version %q", title)
	return nil
}

// placeholders gives the names of samples their values.
func (i *item) placeholders(t testing.TB) map[string]string {
	t.Helper()
	values := map[string]string{
		"product": i.entity.ID, "account": seller.Account, "ami:missing": missingAMI, "report": reportURL, "finding": finding,
		"logo:missing": "https://example.com/missing.png", "logo:text": "https://example.com/text.png", "logo:tiny": "https://example.com/tiny.png",
	}
	for name, ami := range i.world.amis {
		values["ami:"+name] = ami.ID
	}
	versions, _ := i.described(t)["Versions"].([]any)
	for _, v := range versions {
		version := v.(map[string]any)
		option := version["DeliveryOptions"].([]any)[0].(map[string]any)
		values["version:"+version["VersionTitle"].(string)] = version["Id"].(string)
		values["option:"+version["VersionTitle"].(string)] = option["Id"].(string)
	}
	return values
}

// given leads a product to a starting state; "" is before CreateProduct.
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
		details, err := spec.Expand(c.Details, i.placeholders(t))
		if err != nil {
			t.Fatal(err)
		}
		i.do(t, c.ChangeType, string(details))
	}
	return i
}

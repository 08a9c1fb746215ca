package containerproduct_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"souk/catalog/change"
	"souk/catalog/containerproduct"
	"souk/spec"
)

const (
	host      = "127.0.0.1:8470"
	namespace = "sample-seller"
)

var seller = change.Seller{Account: "111122223333", Namespace: namespace}

// testdata holds the samples and the starting states.
var testdata = os.DirFS("testdata")

// item is a container product as the engine would hold it, without the engine.
type item struct {
	kind   *change.EntityType
	entity change.Entity
	state  any
	now    time.Time
	found  map[string]string // what probes would have found
	claims []change.Claim
}

// newItem is a product before CreateProduct.
func newItem(registryHost string) *item {
	kind := containerproduct.EntityType(registryHost)
	i := &item{kind: kind, state: kind.New(), now: time.Date(2021, 3, 2, 0, 0, 0, 0, time.UTC), found: map[string]string{}}
	i.entity.ID = kind.NewID(change.NewIDs("the id of the product", i.now))
	digest := "sha256:" + strings.Repeat("0123456789abcdef", 4)
	for _, uri := range []string{"/app:1.0", "/app:1.1", "/charts:1.0"} {
		i.found[registryHost+"/"+namespace+uri] = digest
	}
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

// do checks and applies a change that is expected to be right.
func (i *item) do(t testing.TB, changeType, details string) {
	t.Helper()
	decoded, refusals := i.refusals(changeType, []byte(details))
	if len(refusals) > 0 {
		t.Fatalf("%s of %s with %s is refused: %+v", changeType, i.entity.ID, details, refusals)
	}
	i.apply(decoded, changeType)
}

func (i *item) apply(decoded change.Change, seed string) {
	a := &change.Applying{Entity: i.entity, Seller: seller, Now: i.now, Found: i.found, IDs: change.NewIDs(seed+i.stored(), i.now)}
	decoded.Apply(i.state, a)
	i.claims = append(i.claims, a.Claims()...)
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

// placeholders gives the names of samples their values.
func (i *item) placeholders(t testing.TB) map[string]string {
	t.Helper()
	values := map[string]string{"registry": host, "namespace": namespace, "product": i.entity.ID, "report": reportURL}
	versions, _ := i.described(t)["Versions"].([]any)
	for _, v := range versions {
		version := v.(map[string]any)
		values["version:"+version["VersionTitle"].(string)] = version["Id"].(string)
		for _, o := range version["DeliveryOptions"].([]any) {
			option := o.(map[string]any)
			values["option:"+option["Title"].(string)] = option["Id"].(string)
		}
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
		return newItem(host)
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

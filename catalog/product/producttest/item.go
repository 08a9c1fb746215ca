package producttest

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"time"

	"souk/catalog/change"
)

// Item is an entity as the engine would hold it, without the engine.
type Item struct {
	Kind   *change.EntityType
	Entity change.Entity
	State  any
	Now    time.Time         // when changes are applied
	Found  map[string]string // what Apply finds beside what Probe kept
	Claims []change.Claim    // what was claimed so far
	Set    []change.Beside   // the other changes of the set that asks
	World  World             // nil: nobody is asked, changes pass without Probe
}

// World is what the tests of a package have around an item.
type World interface {
	// Ports gives the world to a change of an item; the set is filled in by the
	// caller.
	Ports(i *Item) change.World
}

// NewItem is an entity before the change that creates it.
func NewItem(kind *change.EntityType, now time.Time) *Item {
	return &Item{
		Kind: kind, State: kind.New(), Now: now, Found: map[string]string{},
		Entity: change.Entity{ID: kind.NewID(change.NewIDs("the id of the entity", now)), Type: kind.Name + "@" + kind.Version},
	}
}

// Refusals decodes a change and runs what the engine runs before it asks the
// world. A document that does not decode is refused at once.
func (i *Item) Refusals(changeType string, details []byte) (change.Change, []change.Refusal) {
	n := slices.IndexFunc(i.Kind.Types, func(t change.Type) bool { return t.Name == changeType })
	decoded, err := i.Kind.Types[n].Decode(details)
	if err != nil {
		return change.Change{}, []change.Refusal{{ErrorCode: "422", ErrorMessage: "Provided Details is not valid. " + err.Error()}}
	}
	c := &change.Checks{Seller: Seller, Entity: i.Entity}
	if decoded.Valid != nil {
		decoded.Valid(c)
		if len(c.Refusals()) > 0 {
			return decoded, c.Refusals()[:1]
		}
	}
	decoded.Check(i.State, c)
	return decoded, c.Refusals()
}

// Probe asks the item's world for a change that has a Probe and that Refusals
// has nothing against.
func (i *Item) Probe(ctx context.Context, changeType string, decoded change.Change) (*change.Checks, error) {
	c := &change.Checks{Seller: Seller, Entity: i.Entity, World: i.World.Ports(i), ChangeSet: "sample"}
	c.World.Set = append(slices.Clone(i.Set), change.Beside{ChangeType: changeType, EntityType: i.Entity.Type, EntityID: i.Entity.ID})
	return c, decoded.Probe(ctx, i.State, c)
}

// Verdict is what was found about a change.
type Verdict struct {
	Change   change.Change
	Refusals []change.Refusal
	Probed   bool              // the world was asked
	Found    map[string]string // what Probe kept
}

// Judge decodes a change and runs Valid, Check and, where these refuse nothing
// and there is a world to ask, Probe.
func (i *Item) Judge(t testing.TB, changeType string, details []byte) Verdict {
	t.Helper()
	decoded, refusals := i.Refusals(changeType, details)
	v := Verdict{Change: decoded, Refusals: refusals}
	if len(refusals) > 0 || decoded.Probe == nil || i.World == nil {
		return v
	}
	c, err := i.Probe(t.Context(), changeType, decoded)
	if err != nil {
		t.Fatalf("probing %s with %s: %v", changeType, details, err)
	}
	v.Refusals, v.Probed, v.Found = c.Refusals(), true, c.Found()
	return v
}

// Do checks and applies a change that is expected to be right.
func (i *Item) Do(t testing.TB, changeType, details string) {
	t.Helper()
	v := i.Judge(t, changeType, []byte(details))
	if len(v.Refusals) > 0 {
		t.Fatalf("%s of %s with %s is refused: %+v", changeType, i.Entity.ID, details, v.Refusals)
	}
	i.apply(t, v, changeType)
}

// Refused fails unless the change is refused with a code.
func (i *Item) Refused(t testing.TB, changeType, details, code string) {
	t.Helper()
	v := i.Judge(t, changeType, []byte(details))
	if !slices.ContainsFunc(v.Refusals, func(r change.Refusal) bool { return r.ErrorCode == code }) {
		t.Errorf("%s with %s: got %+v, want %s", changeType, details, v.Refusals, code)
	}
}

// apply applies a change that was judged, stores the state and reads it back.
func (i *Item) apply(t testing.TB, v Verdict, seed string) {
	t.Helper()
	found := map[string]string{}
	maps.Copy(found, i.Found)
	maps.Copy(found, v.Found)
	a := &change.Applying{Entity: i.Entity, Seller: Seller, Now: i.Now, Found: found, IDs: change.NewIDs(seed+i.store(t), i.Now)}
	v.Change.Apply(i.State, a)
	i.Claims = append(i.Claims, a.Claims()...)
	i.Entity.Revision++
	i.store(t)
}

// store returns the state as it is stored, and reads it back as the engine does.
func (i *Item) store(t testing.TB) string {
	t.Helper()
	b, err := json.Marshal(i.State)
	if err != nil {
		t.Fatal(err)
	}
	i.State = i.read(t, b)
	return string(b)
}

func (i *Item) read(t testing.TB, stored []byte) any {
	t.Helper()
	state := i.Kind.New()
	if err := json.Unmarshal(stored, state); err != nil {
		t.Fatal(err)
	}
	return state
}

// Document is the DetailsDocument that DescribeEntity shows.
func (i *Item) Document(t testing.TB) []byte {
	t.Helper()
	b, err := json.Marshal(i.Kind.Describe(i.State, i.Entity))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Described is the DetailsDocument, decoded.
func (i *Item) Described(t testing.TB) map[string]any {
	t.Helper()
	var d map[string]any
	if err := json.Unmarshal(i.Document(t), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// Listed is what ListEntities shows.
func (i *Item) Listed() change.Listing { return i.Kind.List(i.State) }

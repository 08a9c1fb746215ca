// Package change is what a change type is: Details that are decoded from a
// request, Check and Probe that find what is wrong with it, and Apply that does it.
//
// An entity type (catalog/containerproduct and its neighbours) declares one
// struct for each change type, in a file of its own, and lists them in an
// EntityType. The engine (catalog/changeset) knows change types only as Type.
package change

import (
	"context"
	"time"
)

// Details is what every change type has. P is the entity's state, such as
// containerproduct.Product; the receiver holds the decoded Details document.
//
// A Details type may have two methods more:
//
//	Valid(c *Checks)                                      // refused at once by StartChangeSet (422); see Validator
//	Probe(ctx context.Context, p *P, c *Checks) error     // asks the world; see Prober
//	Marks() []string                                      // names that other sets should know of; see Marker
type Details[P any] interface {
	// Check finds in PREPARING (and once more in APPLYING) everything that is
	// wrong with the change, by c.Refuse. It reads p and changes nothing.
	Check(p *P, c *Checks)
	// Apply makes the change in p. It is pure: no clock, no input or output,
	// no error; the same Applying gives the same bytes.
	Apply(p *P, a *Applying)
}

// Validator is a change type that can be refused at once: what it refuses is a
// ValidationException (422) whose message is the refusal's, whole and unchanged.
// Its code is "422".
type Validator interface {
	Valid(c *Checks)
}

// Prober is a change type that asks the world: registry, AMIs, a logo's URL.
type Prober[P any] interface {
	// Probe runs in PREPARING where Check refused nothing, and may be
	// cancelled. What it finds it keeps by c.Keep for Apply. What is wrong with
	// the request is a c.Refuse; an error means that we failed and try again.
	Probe(ctx context.Context, p *P, c *Checks) error
}

// Marker is a change type that marks names, such as "principal/111122223333",
// for as long as its set is under way. A mark keeps no set from starting: probes
// ask World.Marks whether a set before theirs has it.
type Marker interface {
	Marks() []string // each has a slash in it, so that none is an entity's id
}

// Thorough is a Prober that is asked also where Check refused something, so that
// everything that is wrong is told at once: it reads other entities and nothing
// else, and Check makes nothing sure that it relies on.
type Thorough interface{ ProbesAlways() }

// Type is one change type of an entity type, with the types of its Details erased.
type Type struct {
	Name    string   // as the API spells it, such as AddDeliveryOptions
	Creates bool     // the change makes its entity: no Identifier in the request
	After   []string // change types that, in one set and on one entity, are applied before this one
	// AfterAll are change types that, in one set and on whatever entity, are applied before this one.
	AfterAll []string
	Alone    bool // no other change of the same entity may stand in the set

	// Decode reads a Details document. An error is refused at once: its text is
	// the path and what is wrong there.
	Decode func(document []byte) (Change, error)
}

// Change is a decoded change. State is the *P that EntityType.New returned.
type Change struct {
	// Unknown are the paths (JSON pointers) of members of the document that the
	// change type does not have: ignored, and perhaps misspelt.
	Unknown []string

	Valid func(c *Checks)                                       // nil if the type has none
	Check func(state any, c *Checks)                            //
	Probe func(ctx context.Context, state any, c *Checks) error // nil if the type has none
	// Thorough: Probe is asked also where Check refused something.
	Thorough bool
	Apply    func(state any, a *Applying) //
	Marks    []string                     // nil if the type has none
}

// Of makes the Type of a Details struct D of entities with state P.
func Of[P, D any, PD interface {
	*D
	Details[P]
}](t Type) Type {
	t.Decode = func(document []byte) (Change, error) {
		d, unknown, err := decode(document, func() PD { return new(D) })
		if err != nil {
			return Change{}, err
		}
		c := Change{
			Unknown: unknown,
			Check:   func(state any, c *Checks) { d.Check(state.(*P), c) },
			Apply:   func(state any, a *Applying) { d.Apply(state.(*P), a) },
		}
		if v, ok := any(d).(Validator); ok {
			c.Valid = v.Valid
		}
		if p, ok := any(d).(Prober[P]); ok {
			c.Probe = func(ctx context.Context, state any, c *Checks) error { return p.Probe(ctx, state.(*P), c) }
			_, c.Thorough = any(d).(Thorough)
		}
		if m, ok := any(d).(Marker); ok {
			c.Marks = m.Marks()
		}
		return c, nil
	}
	return t
}

// EntityType declares an entity type: its change types and how an entity is shown.
type EntityType struct {
	Name    string // without version, such as ContainerProduct
	Version string // such as 1.0
	Types   []Type

	// New returns an empty state, a pointer to the P of Types. States are
	// stored as JSON (encoding/json of the pointer).
	New func() any
	// NewID mints the id of an entity that a Creates change makes.
	NewID func(ids *IDs) string
	// Overlaps says whether a change set with a change of type b may start
	// while another with a change of type a is PREPARING on the same entity.
	// Nil: never. (Catalog API Reference, "Making multiple change requests
	// simultaneously".)
	Overlaps func(a, b string) bool
	// List gives what ListEntities shows of a state, and filters and sorts by.
	List func(state any) Listing
	// Fields are the names of those Fields of a Listing that lists show, filter
	// and are sorted by. Others serve Entities.Named only.
	Fields []string
	// Visibilities are those that List may give, in the order of their names;
	// nil: Draft, Limited, Public, Restricted. Lists walk one after the other.
	Visibilities []string
	// Shared: whoever made an entity, every account of the market sees it under
	// Scope SharedWithMe and may change it, and sees the change sets that do.
	Shared bool
	// Parts gives the entities that a state consists of beside itself, which have
	// ids, types and revisions of their own; nil: none. The commit that writes an
	// entity writes those of its parts that have changed. Nothing else does.
	Parts func(state any) []Part
	// NotJSON is the refusal of Details that are no JSON; "": the usual one.
	NotJSON string
	// Describe gives the DetailsDocument that DescribeEntity shows of a state
	// (a value for encoding/json; "$..." members never appear).
	Describe func(state any, e Entity) any
}

// Part is an entity that belongs to another, such as the procurement policy of
// an experience: its owner is that of the whole.
type Part struct {
	Type  string // without version; it has no change types
	ID    string // minted when the whole got it, never changed
	State any    // a pointer to the P of its type
}

// Listing is what ListEntities shows of an entity beside its ids and date.
type Listing struct {
	Name       string // the title; "" where there is none yet
	Visibility string // Draft, Limited, Public, Restricted
	// Fields are what else typed filters ask for and typed summaries show, by
	// the names of EntityTypeFilters, such as ProductId of an Offer. Times are
	// RFC 3339 in UTC with whole seconds; a field without values may be left out.
	Fields map[string][]string
}

// Entity is what the engine knows of an entity beside its state.
type Entity struct {
	ID           string // without revision
	Type         string // with version
	Owner        string // account id
	Revision     int64
	LastModified time.Time
}

// Applying is what Apply may use. A redo after a crash gets an equal one.
type Applying struct {
	Entity Entity            // of the entity that is changed; ID is set also for one that is being created
	Seller Seller            // the account whose change set it is
	Now    time.Time         // UTC, fixed when PREPARING ended
	Found  map[string]string // what Probe kept
	IDs    *IDs              // new ids, the same at every redo

	claims []Claim
}

// Claim takes a unique name: a document of the kind and id that must not exist
// yet, written with the entity. Kinds: "repository" (id NAMESPACE/NAME), "tag"
// (id NAMESPACE/NAME:TAG; taking it twice is no conflict), "principal" (an id of
// an account, organisational unit or organisation), "fulfillment-option" (fo-...). Whether it is free is
// asked by Probe with Names.Taken.
func (a *Applying) Claim(kind, id string, body []byte) {
	a.claims = append(a.claims, Claim{Kind: kind, ID: id, Body: body})
}

// Release gives a unique name back that the entity claimed before.
func (a *Applying) Release(kind, id string) {
	a.claims = append(a.claims, Claim{Kind: kind, ID: id, Released: true})
}

// Claims returns what was claimed and released, in that order, for the engine.
func (a *Applying) Claims() []Claim { return a.claims }

// Claim is a unique name and what is written down with it.
type Claim struct {
	Kind, ID string
	Body     []byte
	Released bool // it is given back, and nothing is written
}

// Seller is the account that a change set belongs to.
type Seller struct {
	Account   string // 12 digits
	Namespace string // first part of its repositories' names
}

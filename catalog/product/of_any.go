package product

import (
	"context"

	"souk/catalog/change"
)

// OfAny is change.Of for a change type that is one for products of all types: it
// reads and writes their facets alone.
func OfAny[D any, PD interface {
	*D
	change.Details[Facets]
}](t change.Type) change.Type {
	t = change.Of[Facets, D, PD](t)
	decode := t.Decode
	t.Decode = func(document []byte) (change.Change, error) {
		of, err := decode(document)
		if err != nil {
			return change.Change{}, err
		}
		c := of // all of it but what looks at the state
		c.Check = func(state any, c *change.Checks) { of.Check(facets(state), c) }
		c.Apply = func(state any, a *change.Applying) { of.Apply(facets(state), a) }
		if of.Probe != nil {
			c.Probe = func(ctx context.Context, state any, c *change.Checks) error { return of.Probe(ctx, facets(state), c) }
		}
		return c, nil
	}
	return t
}

// facets are those of the state of a product; of none they would be a mistake of
// the entity type that lists the change type.
func facets(state any) *Facets { return state.(interface{ Shared() *Facets }).Shared() }

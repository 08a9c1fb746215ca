package experience

import (
	"context"
	"fmt"
	"slices"
)

// Source is where experiences are read.
type Source interface {
	// Claimed returns what was written down with unique names of a kind, by
	// name; names that nobody has are missing.
	Claimed(ctx context.Context, kind string, ids []string) (map[string][]byte, error)
	// Experiences returns the states of experiences by their ids; those that are
	// not there are missing.
	Experiences(ctx context.Context, ids []string) (map[string]*Experience, error)
}

// Governing is the experience that governs an account. The zero value is that
// none does: "users can purchase products across the full AWS Marketplace
// catalog".
type Governing struct {
	ID         string // "": none
	Experience *Experience
	Principal  string // the account, unit or organisation by which the account is governed
}

// Governs finds the experience of an account: the nearest one that is enabled,
// of those with which the account itself, its organisational units from the
// inner to the outer, or the organisation are associated, and then that of the
// management account. path has those, the nearest first; where it is empty, the
// account is of no organisation and none governs it. It costs two reads, and one
// where nobody of the path is associated.
//
// Catalog API Reference, "Associating accounts to experiences": "The experience
// that is associated with the management account is the default for all other
// accounts in the organization." "Enabling or disabling a private marketplace
// experience": users of a disabled one "may still be governed by the management
// account experience".
func Governs(ctx context.Context, s Source, path []string, management string) (Governing, error) {
	if len(path) == 0 {
		return Governing{}, nil
	}
	if !slices.Contains(path, management) {
		path = append(slices.Clone(path), management)
	}
	claimed, err := s.Claimed(ctx, Principals, path)
	if err != nil {
		return Governing{}, fmt.Errorf("finding the experiences of %s: %w", path[0], err)
	}
	associated := map[string]string{} // experiences by principal
	var ids []string
	for principal, id := range claimed {
		associated[principal] = string(id)
		if !slices.Contains(ids, string(id)) {
			ids = append(ids, string(id))
		}
	}
	if len(ids) == 0 {
		return Governing{}, nil
	}
	states, err := s.Experiences(ctx, ids)
	if err != nil {
		return Governing{}, fmt.Errorf("reading the experiences of %s: %w", path[0], err)
	}
	return nearest(path, associated, states), nil
}

// nearest is Governs without the reading.
func nearest(path []string, associated map[string]string, states map[string]*Experience) Governing {
	for _, principal := range path {
		id := associated[principal]
		if x := states[id]; x != nil && x.Enabled {
			return Governing{ID: id, Experience: x, Principal: principal}
		}
	}
	return Governing{}
}

// Allows says whether the experience lets its users obtain a product, and why.
// "An Experience entity with no procurement policy (null) allows all products
// [...]. An Experience entity with an empty procurement policy has no products
// available to users to procure."
func (g Governing) Allows(product string) (ok bool, reason string) {
	if g.ID == "" {
		return true, "no private marketplace is enabled for the account"
	}
	has := func(p Products) bool { return slices.Contains(p.Ids, product) }
	p := g.Experience.Policy
	switch {
	case p == nil:
		return true, "the private marketplace " + g.ID + " has no procurement policy"
	case slices.ContainsFunc(p.Deny, has):
		return false, "the private marketplace " + g.ID + " denies product " + product
	case slices.ContainsFunc(p.Allow, has):
		return true, "the private marketplace " + g.ID + " allows the product"
	}
	return false, "the private marketplace " + g.ID + " does not allow product " + product
}

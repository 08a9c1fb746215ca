package changeset

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"souk/catalog/change"
	"souk/storage/store"
)

// products answers what probes ask of products: first as the set's own changes
// have made them so far, then as they are stored.
type products struct {
	store  store.Store
	states []*entityState
}

// Visibility implements change.Products.
func (p products) Visibility(ctx context.Context, s change.Seller, id string) (string, error) {
	i := slices.IndexFunc(p.states, func(e *entityState) bool { return e.ID == id })
	if i >= 0 {
		return p.states[i].kind.List(p.states[i].state).Visibility, nil
	}
	if !isWord(id) {
		return "", change.ErrProductNotFound // no entity has such an id
	}
	d, err := p.store.Get(ctx, store.Key{Kind: kindEntity, ID: id})
	if errors.Is(err, store.ErrNotFound) {
		return "", change.ErrProductNotFound
	}
	if err != nil {
		return "", fmt.Errorf("reading product %s: %w", id, err)
	}
	was, err := decodeEntity(d)
	if err != nil {
		return "", err
	}
	if was.Owner != s.Account {
		return "", change.ErrProductNotFound
	}
	summary, err := decodeEntitySummary(d.Summary)
	if err != nil {
		return "", fmt.Errorf("reading product %s: %w", id, err)
	}
	return summary.visibility, nil
}

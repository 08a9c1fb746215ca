package changeset

import (
	"context"
	"errors"
	"fmt"

	"souk/storage/store"
)

// Found calls look with what the probes of an account's open change sets have
// found so far (see change.Checks.Keep), and of which entity: what is about to
// be named by entities, if the sets succeed. A set that ends meanwhile may be
// seen or not; its entities have been written then.
func (e *Engine) Found(ctx context.Context, account string, look func(entity, value string)) error {
	q := store.Query{Kind: kindSet, Index: indexOpen, Partition: account, Limit: 250}
	for more := true; more; {
		page, err := e.store.List(ctx, q)
		if err != nil {
			return fmt.Errorf("listing open change sets of account %s: %w", account, err)
		}
		for _, d := range page.Documents {
			d, err := e.store.Get(ctx, d.Key)
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return fmt.Errorf("reading change set %s: %w", d.ID, err)
			}
			s, err := decodeSet(d)
			if err != nil {
				return err
			}
			for i := range s.Changes {
				for _, value := range s.Changes[i].Found {
					look(s.Changes[i].EntityID, value)
				}
			}
		}
		q.After, more = page.Next, page.More
	}
	return nil
}

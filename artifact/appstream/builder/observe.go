package builder

import (
	"context"
	"fmt"
	"time"

	"souk/storage/store"
)

// Event is a change of a builder's state by this node, told after it was stored.
type Event struct {
	Builder string        // ACCOUNT/REGION/NAME
	Was     State         // "" of one whose state before is not known
	State   State         // "" of one that is gone
	Code    string        // of a Reason
	Took    time.Duration // of a transition that this node has made: since it was asked for
}

// observe tells that a builder has entered a state.
func (b *Builders) observe(r *Builder) {
	b.tell(Event{Builder: r.id(), State: r.State}, r.Reason)
}

func (b *Builders) tell(e Event, why *Reason) {
	if why != nil {
		e.Code = why.Code
	}
	if b.config.Observe != nil {
		b.config.Observe(e)
	}
}

// Count is how many builders there are in each state, on all nodes.
func (b *Builders) Count(ctx context.Context) (map[State]int, error) {
	count := map[State]int{}
	for _, s := range States() {
		count[s] = 0
		for _, err := range store.All(ctx, b.config.Store, store.Query{Kind: Kind, Index: indexState, Partition: string(s), Limit: 1000}) {
			if err != nil {
				return nil, fmt.Errorf("counting the image builders: %w", err)
			}
			count[s]++
		}
	}
	return count, nil
}

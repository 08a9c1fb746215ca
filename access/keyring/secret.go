package keyring

import (
	"context"
	"errors"
	"fmt"

	"souk/storage/store"
)

// Documents of the market's own secrets.
const (
	kindSecret    = "secret" // by name
	indexSecrets  = "all"
	secretPurpose = "secret of the market"
)

var secretsAtRest = Rest{
	Name: "secret of the market", Kind: kindSecret, Index: indexSecrets,
	Sealed: func(d store.Document) (*Sealed, error) {
		return &Sealed{
			Purpose: secretPurpose, Text: d.Body, Bound: []byte(d.ID),
			With: func(text []byte) (store.Document, error) { return secretDocument(d.ID, text), nil },
		}, nil
	},
}

func secretDocument(name string, text []byte) store.Document {
	return store.Document{
		Key: store.Key{Kind: kindSecret, ID: name}, Body: text,
		Index: []store.Entry{{Index: indexSecrets, Sort: name}},
	}
}

// Secret returns a secret that all nodes of a market share and that stays when
// keys change: 32 bytes that were derived from the key that sealed when it was
// first asked for.
func (r *Rotation) Secret(ctx context.Context, name string) ([]byte, error) {
	for range 20 {
		d, err := r.store.Get(ctx, store.Key{Kind: kindSecret, ID: name})
		if err == nil {
			plain, err := r.ring.Open(secretPurpose, d.Body, []byte(name))
			if err != nil {
				return nil, fmt.Errorf("opening the secret %s: %w", name, err)
			}
			return plain, nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return nil, fmt.Errorf("reading the secret %s: %w", name, err)
		}
		guard, err := r.choices.Guard(ctx)
		if err != nil {
			return nil, err
		}
		text := r.ring.Seal(secretPurpose, r.ring.MAC(name, nil), []byte(name))
		// Whether it was ours that was taken: the next round reads it.
		err = r.store.Commit(ctx, store.Batch{
			Expect: []store.Expectation{guard},
			Put:    []store.Write{{Document: secretDocument(name, text)}},
		})
		if err != nil && !errors.Is(err, store.ErrConflict) {
			return nil, fmt.Errorf("keeping the secret %s: %w", name, err)
		}
	}
	return nil, fmt.Errorf("keeping the secret %s: %w", name, store.ErrConflict)
}

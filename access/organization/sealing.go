package organization

import (
	"context"
	"fmt"
	"maps"
	"time"

	"souk/access/keyring"
	"souk/storage/store"
)

// Guard implements keyring.Choices: it makes the ring seal with the key that
// the database names, and returns the expectation that it is still that key. A
// *WrongKeyError if the key file lacks it.
func (o *Organization) Guard(ctx context.Context) (store.Expectation, error) {
	var info Info
	revision, err := o.get(ctx, organizationKey, &info)
	if err == nil {
		err = o.fits(info)
	}
	if err != nil {
		return store.Expectation{}, fmt.Errorf("finding the key that seals: %w", err)
	}
	return store.Expectation{Key: organizationKey, Revision: revision}, nil
}

// Choice implements keyring.Choices.
func (o *Organization) Choice(ctx context.Context) (keyring.Choice, error) {
	info, err := o.Info(ctx)
	return keyring.Choice{Seals: info.Fingerprint, Retired: info.Retired}, err
}

// Choose implements keyring.Choices.
func (o *Organization) Choose(ctx context.Context, fingerprint string) error {
	return retry(func() error {
		var info Info
		revision, err := o.get(ctx, organizationKey, &info)
		if err != nil {
			return fmt.Errorf("reading the organisation: %w", err)
		}
		if info.Fingerprint == fingerprint {
			return nil
		}
		retired := maps.Clone(info.Retired)
		if retired == nil {
			retired = map[string]time.Time{}
		}
		retired[info.Fingerprint] = o.now().UTC().Truncate(time.Second)
		delete(retired, fingerprint)
		info.Fingerprint, info.Retired = fingerprint, retired
		w := store.Write{Document: document(organizationKey, nil, info), Was: revision}
		err = o.store.Commit(ctx, store.Batch{Put: []store.Write{w}})
		if err != nil {
			return fmt.Errorf("writing down which key seals: %w", err)
		}
		return nil
	})
}

// AtRest is what this room seals: the secrets of access keys.
func (o *Organization) AtRest() keyring.Rest {
	return keyring.Rest{
		Name: "secret of access key", Kind: kindAccessKey, Index: indexAll,
		Sealed: func(d store.Document) (*keyring.Sealed, error) {
			var k keyDocument
			err := decode(d, &k)
			if err != nil {
				return nil, err
			}
			return &keyring.Sealed{
				Purpose: sealPurpose, Text: k.Sealed, Bound: []byte(k.ID),
				With: func(text []byte) (store.Document, error) {
					k.Sealed = text
					return k.write(0).Document, nil
				},
			}, nil
		},
	}
}

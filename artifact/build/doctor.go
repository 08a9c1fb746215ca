package build

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"souk/artifact/images"
	"souk/storage/store"
	"souk/storage/store/audit"
)

// Doctor says what is wrong with the builds: each that is in progress is work and
// holds the name of its image, none that has ended does, and each has the token
// that it was started with. It may run while builds begin and end: what is found
// wrong is looked at again.
func (b *Builds) Doctor(ctx context.Context) ([]string, error) {
	wrong, err := audit.Documents(ctx, b.config.Store, map[string]audit.Look{Kind: b.wrong})
	if err != nil {
		return nil, fmt.Errorf("verifying the builds: %w", err)
	}
	var findings []string
	for _, w := range wrong {
		findings = append(findings, w.String())
	}
	slices.Sort(findings)
	return findings, nil
}

// wrong says what is wrong with a build, "" if nothing is.
func (b *Builds) wrong(ctx context.Context, d store.Document) (string, error) {
	r, err := decode(d)
	if err != nil {
		return "it can't be read: " + err.Error(), nil
	}
	if r.ID != d.ID || r.Account == "" || len(r.Options) == 0 || r.Source.ID == "" || r.Destination.ID == "" {
		return "it lacks its id, account, options or images", nil
	}
	holds, err := b.config.Images.Holds(ctx, r.Account, r.Destination.Name, d.Key)
	if err != nil {
		return "", err
	}
	switch {
	case d.Due.IsZero():
		return fmt.Sprintf("it is %s, and no work: nobody will go on with it", r.Status), nil
	case r.Status == InProgress && !holds:
		return fmt.Sprintf("it is InProgress and does not hold the name %q", r.Destination.Name), nil
	case r.Status != InProgress && holds:
		return fmt.Sprintf("it is %s and holds the name %q still", r.Status, r.Destination.Name), nil
	case r.Status == Failed || r.Status == InternalError:
		_, err := b.config.Store.Get(ctx, store.Key{Kind: images.KindAMI, ID: r.Destination.ID})
		if err == nil {
			return fmt.Sprintf("it is %s and its image %s is there", r.Status, r.Destination.ID), nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return "", err
		}
	}
	if r.Token == "" {
		return "", nil
	}
	_, err = b.config.Store.Get(ctx, store.Key{Kind: KindToken, ID: r.Token})
	if errors.Is(err, store.ErrNotFound) {
		return "its token is not there: a request that is sent again would build again", nil
	}
	return "", err
}

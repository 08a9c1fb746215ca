package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"souk/artifact/images"
	"souk/artifact/registry"
	"souk/catalog/amiproduct"
	"souk/catalog/change"
	"souk/catalog/changeset"
	"souk/catalog/containerproduct"
	"souk/catalog/product"
	"souk/gateway/apierror"
)

// entity reads an entity with its state.
func (m *market) entity(ctx context.Context, id string) (change.Entity, any, error) {
	e, err := m.engine.Entity(ctx, id)
	if err != nil {
		return change.Entity{}, nil, err
	}
	return e.State()
}

// delivered is an image or chart that a version of a product names.
type delivered struct {
	Version    string // its title
	Repository string // NAMESPACE/NAME; "" if the URI names another host: the market's own name has changed
	Tag        string // "" if the URI has none
	Digest     string
	Visibility string // of the delivery option
}

// eachProduct calls f for every product of the market, with its state.
func (m *market) eachProduct(ctx context.Context, f func(change.Entity, any) error) error {
	accounts, err := m.organization.Accounts(ctx)
	if err != nil {
		return err
	}
	for _, account := range accounts {
		for _, t := range m.types {
			if _, ok := product.Of(t.New()); !ok {
				continue
			}
			err := m.eachOf(ctx, account.ID, t.Name, f)
			if err != nil {
				return fmt.Errorf("looking at the products of account %s: %w", account.ID, err)
			}
		}
	}
	return nil
}

// eachOf calls f for every entity of a type (without version) of an account.
func (m *market) eachOf(ctx context.Context, account, entityType string, f func(change.Entity, any) error) error {
	q := changeset.Query{Account: account, EntityType: entityType, SortBy: "EntityId", Ascending: true, Max: 50}
	for {
		page, next, err := m.engine.ListEntities(ctx, q)
		if err != nil {
			return err
		}
		for _, listed := range page {
			e, state, err := m.entity(ctx, listed.ID)
			if err == nil {
				err = f(e, state)
			}
			if err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		q.Token = next
	}
}

// deliveredBy returns what the versions of a product name.
func (m *market) deliveredBy(state any) []delivered {
	var all []delivered
	switch p := state.(type) {
	case *containerproduct.Product:
		for _, v := range p.Versions {
			for _, o := range v.DeliveryOptions {
				for _, a := range o.Artifacts() {
					ref, _ := m.registry.Parse(a.URI)
					all = append(all, delivered{Version: v.Title, Repository: ref.Repository, Tag: ref.Tag, Digest: a.Digest, Visibility: string(o.Visibility)})
				}
			}
		}
	case *amiproduct.Product:
		for _, v := range p.Versions {
			for _, o := range v.DeliveryOptions {
				for _, source := range v.Sources {
					if source.ID == o.SourceID {
						all = append(all, delivered{Version: v.Title, Repository: images.Repository, Digest: source.Digest, Visibility: string(o.Visibility)})
					}
				}
				for _, c := range v.Components {
					if c.ID == o.SourceID && c.Files.Digest != "" {
						all = append(all, delivered{Version: v.Title, Repository: c.Files.Repository, Digest: c.Files.Digest, Visibility: string(o.Visibility)})
					}
				}
			}
		}
	}
	return all
}

// found is what a change set that is under way found for a product.
type found struct{ product, digest string }

// underWay returns what open change sets have found, of all accounts: their
// products will name it, if they succeed.
func (m *market) underWay(ctx context.Context) (map[found]bool, error) {
	accounts, err := m.organization.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	all := map[found]bool{}
	for _, account := range accounts {
		err := m.engine.Found(ctx, account.ID, func(entity, value string) { all[found{entity, value}] = true })
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// sweep removes scans whose time is over, reports and halves of files that a crash
// left, and what nothing refers to, and says how many bytes of the registry were freed.
func (m *market) sweep(ctx context.Context, _ struct{}) (int64, error) {
	// Before any product is looked at: what is found later is younger than what
	// is swept, and a set that ends meanwhile has written its products.
	open, err := m.underWay(ctx)
	if err != nil {
		return 0, fmt.Errorf("looking for change sets under way: %w", err)
	}
	for {
		swept, err := m.scanner.Sweep(ctx)
		if err != nil {
			return 0, err
		}
		if swept == 0 {
			break
		}
	}
	if _, err := m.scanner.Tidy(ctx); err != nil {
		return 0, err
	}
	if err := errors.Join(m.tidyTrials(ctx), m.logsWithoutBuild(ctx), m.appImages.Tidy(ctx), m.blobs.Tidy(ctx, time.Now().Add(-registry.Idle))); err != nil {
		return 0, err
	}
	return m.registry.Collect(ctx, registry.Sweep{
		Keep: func(ctx context.Context, repository, digest string) (bool, error) {
			return m.keeps(ctx, open, repository, digest)
		},
		// Repositories that no product has asked for are those of machine images.
		// A tag holds the image of each AMI: what has none was deregistered, or
		// never became one.
		Untagged: func(r registry.Repository) bool { return r.Product == "" },
		Stale:    m.staleTag,
	})
}

// keeps says whether a manifest in a product's repository is in use.
func (m *market) keeps(ctx context.Context, open map[found]bool, repository, digest string) (bool, error) {
	product, ok := registry.PublishedProduct(repository)
	if !ok || open[found{product, digest}] {
		return true, nil
	}
	_, state, err := m.entity(ctx, product)
	if apierror.Is(err, "ResourceNotFoundException") {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	// Whatever host its version names it by.
	return slices.ContainsFunc(m.deliveredBy(state), func(d delivered) bool { return d.Digest == digest }), nil
}

package server

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"souk/artifact/registry"
	"souk/catalog/change"
	"souk/catalog/changeset"
	"souk/catalog/containerproduct"
	"souk/catalog/procurement"
	"souk/gateway/apierror"
)

// product reads what procurement decides by, of a product of any type.
func (m *market) product(ctx context.Context, id string) (procurement.Product, error) {
	for _, t := range m.types {
		state := t.New()
		entity, err := m.engine.State(ctx, fullName(t), id, state)
		if apierror.Is(err, "ResourceNotFoundException") {
			continue
		}
		if err != nil {
			return procurement.Product{}, err
		}
		found := procurement.Product{Owner: entity.Owner, Visibility: t.List(state).Visibility}
		if p, ok := state.(*containerproduct.Product); ok {
			for _, d := range m.deliveredBy(p) {
				found.Artifacts = append(found.Artifacts, procurement.Artifact{Digest: d.Digest, Visibility: d.Visibility})
			}
		}
		return found, nil
	}
	return procurement.Product{}, procurement.ErrNoProduct
}

func fullName(t *change.EntityType) string { return t.Name + "@" + t.Version }

// delivered is an image or chart that a version of a product names.
type delivered struct {
	Version    string // its title
	Repository string // NAMESPACE/NAME; "" if the URI names another host: the market's own name has changed
	Tag        string // "" if the URI has none
	Digest     string
	Visibility string // of the delivery option
}

// eachContainerProduct calls f for every container product of the market.
func (m *market) eachContainerProduct(ctx context.Context, f func(change.Entity, *containerproduct.Product) error) error {
	accounts, err := m.organization.Accounts(ctx)
	if err != nil {
		return err
	}
	for _, account := range accounts {
		q := changeset.Query{Account: account.ID, EntityType: "ContainerProduct", SortBy: "EntityId", Ascending: true, Max: 50}
		for {
			page, next, err := m.engine.ListEntities(ctx, q)
			if err != nil {
				return fmt.Errorf("listing products of account %s: %w", account.ID, err)
			}
			for _, e := range page {
				err := m.containerProduct(ctx, e.ID, f)
				if err != nil {
					return err
				}
			}
			if next == "" {
				break
			}
			q.Token = next
		}
	}
	return nil
}

// containerProduct calls f for one container product, if it is there.
func (m *market) containerProduct(ctx context.Context, id string, f func(change.Entity, *containerproduct.Product) error) error {
	var p containerproduct.Product
	e, err := m.engine.State(ctx, "ContainerProduct@1.0", id, &p)
	if apierror.Is(err, "ResourceNotFoundException") {
		return nil // it went between the list and now
	}
	if err != nil {
		return err
	}
	return f(e, &p)
}

// deliveredBy returns what the versions of a product name.
func (m *market) deliveredBy(p *containerproduct.Product) []delivered {
	var all []delivered
	for _, v := range p.Versions {
		for _, o := range v.DeliveryOptions {
			for _, a := range o.Artifacts() {
				ref, _ := m.registry.Parse(a.URI)
				all = append(all, delivered{Version: v.Title, Repository: ref.Repository, Tag: ref.Tag, Digest: a.Digest, Visibility: string(o.Visibility)})
			}
		}
	}
	return all
}

// errInUse ends a walk early: what was looked for is there.
var errInUse = errors.New("in use")

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

// sweep removes what nothing refers to, and says how many bytes were freed.
func (m *market) sweep(ctx context.Context, _ struct{}) (int64, error) {
	// Before any product is looked at: what is found later is younger than what
	// is swept, and a set that ends meanwhile has written its products.
	open, err := m.underWay(ctx)
	if err != nil {
		return 0, fmt.Errorf("looking for change sets under way: %w", err)
	}
	return m.registry.Collect(ctx, registry.Sweep{Keep: func(ctx context.Context, repository, digest string) (bool, error) {
		return m.keeps(ctx, open, repository, digest)
	}})
}

// keeps says whether a manifest in a product's repository is in use.
func (m *market) keeps(ctx context.Context, open map[found]bool, repository, digest string) (bool, error) {
	product, ok := registry.PublishedProduct(repository)
	if !ok || open[found{product, digest}] {
		return true, nil
	}
	err := m.containerProduct(ctx, product, func(_ change.Entity, p *containerproduct.Product) error {
		// Whatever host its version names it by.
		if slices.ContainsFunc(m.deliveredBy(p), func(d delivered) bool { return d.Digest == digest }) {
			return errInUse
		}
		return nil
	})
	if errors.Is(err, errInUse) {
		return true, nil
	}
	return false, err
}

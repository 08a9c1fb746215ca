package server

import (
	"context"
	"errors"
	"fmt"

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
		return procurement.Product{Owner: entity.Owner, Visibility: t.List(state).Visibility}, nil
	}
	return procurement.Product{}, procurement.ErrNoProduct
}

func fullName(t *change.EntityType) string { return t.Name + "@" + t.Version }

// delivered is an image or chart that a version of a product names.
type delivered struct {
	Product, Version string
	Repository       string // NAMESPACE/NAME; "" if the version names it by a host that is not ours any more
	Digest           string
}

// deliveredBy calls f for all that the versions of container products name.
func (m *market) deliveredBy(ctx context.Context, f func(delivered) error) error {
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
				err := m.deliveredByProduct(ctx, e.ID, f)
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

func (m *market) deliveredByProduct(ctx context.Context, id string, f func(delivered) error) error {
	var p containerproduct.Product
	_, err := m.engine.State(ctx, "ContainerProduct@1.0", id, &p)
	if apierror.Is(err, "ResourceNotFoundException") {
		return nil // it went between the list and now
	}
	if err != nil {
		return err
	}
	for _, v := range p.Versions {
		for _, o := range v.DeliveryOptions {
			artifacts := o.Images
			if o.Helm != nil {
				artifacts = append(artifacts[:len(artifacts):len(artifacts)], o.Helm.Chart)
			}
			for _, a := range artifacts {
				ref, _ := m.registry.Parse(a.URI)
				err := f(delivered{Product: id, Version: v.Title, Repository: ref.Repository, Digest: a.Digest})
				if err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// verify checks every invariant of the market, and says what is wrong.
func (m *market) verify(ctx context.Context, _ struct{}) ([]string, error) {
	findings, err := m.organization.Verify(ctx)
	if err != nil {
		return nil, fmt.Errorf("verifying the organisation: %w", err)
	}
	found, err := m.engine.Verify(ctx)
	if err != nil {
		return nil, err
	}
	for _, f := range found {
		findings = append(findings, f.String())
	}
	err = m.deliveredBy(ctx, func(d delivered) error {
		if d.Repository == "" {
			return nil // where it was published can't be told
		}
		there, err := m.registry.HasPublished(ctx, d.Product, d.Repository, d.Digest)
		if err == nil && !there {
			findings = append(findings, fmt.Sprintf("entity %s: version %s names %s@%s, which is not in the registry", d.Product, d.Version, d.Repository, d.Digest))
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("verifying what versions deliver: %w", err)
	}
	return findings, nil
}

// errInUse ends a walk early: what was looked for is there.
var errInUse = errors.New("in use")

// sweep removes what nothing refers to, and says how many bytes were freed.
func (m *market) sweep(ctx context.Context, _ struct{}) (int64, error) {
	return m.registry.Collect(ctx, registry.Sweep{Keep: func(ctx context.Context, repository, digest string) (bool, error) {
		product, ok := registry.PublishedProduct(repository)
		if !ok {
			return true, nil
		}
		err := m.deliveredByProduct(ctx, product, func(d delivered) error {
			if d.Digest == digest { // whatever host its version names it by
				return errInUse
			}
			return nil
		})
		if errors.Is(err, errInUse) {
			return true, nil
		}
		return false, err
	}})
}

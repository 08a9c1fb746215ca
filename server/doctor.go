package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"

	"souk/artifact/registry"
	"souk/catalog/change"
	"souk/catalog/containerproduct"
	"souk/catalog/product"
	"souk/storage/blob"
	"souk/storage/store"
)

// verify checks every invariant of the market, and says what is wrong: of the
// organisation, of change sets and entities, of machine images, of scans, of records, and of what
// products have in the registry.
func (m *market) verify(ctx context.Context, _ struct{}) ([]string, error) {
	findings, err := m.organization.Verify(ctx)
	if err != nil {
		return nil, fmt.Errorf("verifying the organisation: %w", err)
	}
	sealed, err := m.rotation.Verify(ctx)
	if err != nil {
		return nil, err
	}
	findings = append(findings, sealed...)
	found, err := m.engine.Verify(ctx)
	if err != nil {
		return nil, err
	}
	for _, f := range found {
		findings = append(findings, f.String())
	}
	subscriptions, err := m.procurement.Verify(ctx)
	if err != nil {
		return nil, err
	}
	findings = append(findings, subscriptions...)
	listings, err := m.listings.Verify(ctx)
	if err != nil {
		return nil, err
	}
	findings = append(findings, listings...)
	images, err := m.images.Doctor(ctx)
	if err != nil {
		return nil, err
	}
	findings = append(findings, images...)
	components, err := m.components.Doctor(ctx)
	if err != nil {
		return nil, err
	}
	findings = append(findings, components...)
	builds, err := m.builds.Doctor(ctx)
	if err != nil {
		return nil, err
	}
	findings = append(findings, builds...)
	kept, err := m.appImages.Doctor(ctx)
	if err != nil {
		return nil, err
	}
	findings = append(findings, kept...)
	builders, err := m.builders.Doctor(ctx)
	if err != nil {
		return nil, err
	}
	findings = append(findings, builders...)
	records, err := m.trail.Verify(ctx)
	if err != nil {
		return nil, err
	}
	findings = append(findings, records...)
	topics, err := m.topics.Verify(ctx)
	if err != nil {
		return nil, err
	}
	findings = append(findings, topics...)
	scans, err := m.scanner.Doctor(ctx)
	if err != nil {
		return nil, err
	}
	findings = append(findings, scans...)
	err = m.eachProduct(ctx, func(e change.Entity, state any) error {
		wrong, err := m.verifyProduct(ctx, e, state)
		for _, w := range wrong {
			findings = append(findings, "entity "+e.ID+": "+w)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("verifying what products have in the registry: %w", err)
	}
	private, err := m.verifyExperiences(ctx)
	if err != nil {
		return nil, fmt.Errorf("verifying private marketplaces: %w", err)
	}
	return append(findings, private...), nil
}

// verifyProduct says what is wrong with the repositories, tags, images and the
// logo that a product names.
func (m *market) verifyProduct(ctx context.Context, e change.Entity, state any) (wrong []string, err error) {
	what, err := m.wrongListing(ctx, e, state)
	if err != nil {
		return nil, err
	}
	if what != "" {
		wrong = append(wrong, what)
	}
	var repositories []containerproduct.Repository
	if p, ok := state.(*containerproduct.Product); ok {
		repositories = p.Repositories
	}
	for _, r := range repositories {
		var claim registry.Repository
		there, err := m.claim(ctx, registry.KindRepository, r.Name, &claim)
		if err != nil {
			return nil, err
		}
		if !there || claim.Account != e.Owner || claim.Product != e.ID {
			wrong = append(wrong, fmt.Sprintf("repository %s is not its own: account %q, product %q", r.Name, claim.Account, claim.Product))
		}
	}
	for _, d := range m.deliveredBy(state) {
		if d.Repository == "" {
			continue // where it was published can't be told
		}
		if d.Tag != "" {
			var claim registry.Tag
			there, err := m.claim(ctx, registry.KindTag, d.Repository+":"+d.Tag, &claim)
			if err != nil {
				return nil, err
			}
			if !there {
				wrong = append(wrong, fmt.Sprintf("version %s names %s:%s, which can be pushed again", d.Version, d.Repository, d.Tag))
			}
		}
		there, err := m.registry.HasPublished(ctx, e.ID, d.Repository, d.Digest)
		if err != nil {
			return nil, err
		}
		if !there {
			wrong = append(wrong, fmt.Sprintf("version %s names %s@%s, which is not in the registry", d.Version, d.Repository, d.Digest))
		}
	}
	options, err := m.verifyFulfillment(ctx, e, state)
	if err != nil {
		return nil, err
	}
	wrong = append(wrong, options...)
	facets, ok := product.Of(state)
	if !ok || facets.PromotionalResources.LogoUrl == "" {
		return wrong, nil
	}
	return m.verifyLogo(wrong, facets.PromotionalResources.LogoUrl)
}

// verifyLogo adds to what is wrong that a logo is not there.
func (m *market) verifyLogo(wrong []string, url string) ([]string, error) {
	f, err := m.blobs.Open(blob.Logos, path.Base(url))
	if errors.Is(err, blob.ErrNotFound) {
		return append(wrong, "its logo "+url+" is not in the blob folder"), nil
	}
	if err != nil {
		return nil, err
	}
	return wrong, f.Close()
}

// claim reads what is written down with a unique name.
func (m *market) claim(ctx context.Context, kind, id string, body any) (there bool, err error) {
	d, err := m.store.Get(ctx, store.Key{Kind: kind, ID: id})
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal(d.Body, body)
	}
	if err != nil {
		return false, fmt.Errorf("reading %s %s: %w", kind, id, err)
	}
	return true, nil
}

package server

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"souk/artifact/images"
	"souk/catalog/amiproduct"
	"souk/catalog/change"
	"souk/storage/store"
)

// This file joins machine images with the rooms that they know nothing of: the
// registry's names, and the products that are made of them.

// imageRepository is the repository of an account's machine images.
func (m *market) imageRepository(ctx context.Context, account string) (string, error) {
	seller, err := m.seller(ctx, account)
	if err != nil {
		return "", err
	}
	return m.images.Repository(ctx, seller)
}

// locateImage reads an image's place in the registry.
func (m *market) locateImage(location string) (repository, digest string, ok bool) {
	ref, ok := m.registry.Parse(location)
	return ref.Repository, ref.Digest, ok
}

// amiProduct is the entity type whose versions are made of AMIs.
const amiProduct = "AmiProduct"

// imageUse says what names an AMI: a version of one of its owner's products that
// new buyers still get. The product has a copy of its own; but who looks at the
// version must find the AMI that it names. Products of others, who were let use
// the AMI, don't count: nobody keeps an image in another's account.
func (m *market) imageUse(ctx context.Context, id string) (by string, err error) {
	if !slices.ContainsFunc(m.types, func(t *change.EntityType) bool { return t.Name == amiProduct }) {
		return "", nil
	}
	d, err := m.store.Get(ctx, store.Key{Kind: images.KindAMI, ID: id})
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", id, err)
	}
	var ami images.AMI
	err = json.Unmarshal(d.Body, &ami)
	if err != nil {
		return "", fmt.Errorf("reading the document of %s: %w", id, err)
	}
	err = m.eachOf(ctx, ami.Owner, amiProduct, func(e change.Entity, state any) error {
		p, ok := state.(*amiproduct.Product)
		if !ok || by != "" {
			return nil
		}
		if title, ok := offers(p, id); ok {
			by = fmt.Sprintf("version %s of %s", title, e.ID)
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("looking for what names %s: %w", id, err)
	}
	return by, nil
}

// offers returns the version of a product by which new buyers get an AMI.
func offers(p *amiproduct.Product, id string) (title string, ok bool) {
	for _, v := range p.Versions {
		for _, o := range v.DeliveryOptions {
			made := slices.ContainsFunc(v.Sources, func(s amiproduct.Source) bool { return s.ID == o.SourceID && s.AMI == id })
			if made && o.Visibility == "Public" {
				return v.Title, true
			}
		}
	}
	return "", false
}

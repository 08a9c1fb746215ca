package registry

import (
	"context"
	"fmt"

	"github.com/opencontainers/go-digest"
)

// HasPublished says whether a product's published copy of a manifest of a
// repository (NAMESPACE/NAME) is there. It looks at the manifest alone.
func (r *Registry) HasPublished(ctx context.Context, productID, repository, dgst string) (bool, error) {
	name := Published(productID, repository)
	if !digestPattern.MatchString(dgst) || !validName(name) {
		return false, nil
	}
	repo, err := r.open(ctx, name)
	if err != nil {
		return false, err
	}
	manifests, err := repo.Manifests(ctx)
	if err != nil {
		return false, fmt.Errorf("opening %s: %w", name, err)
	}
	there, err := manifests.Exists(ctx, digest.Digest(dgst))
	if err != nil {
		return false, fmt.Errorf("looking for %s@%s: %w", name, dgst, err)
	}
	return there, nil
}

// PublishedProduct returns the product of a published repository's name; ok is
// false if the name is none of a published repository.
func PublishedProduct(name string) (product string, ok bool) { return publishedProduct(name) }

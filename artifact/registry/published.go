package registry

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"

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

// publishedPrefix starts the names of the repositories that only Souk writes.
const publishedPrefix = "published/"

// Published is the name of the repository that keeps what a product has
// published of a repository of its seller (NAMESPACE/NAME). It holds
// manifests by digest and no tags: which tags are published is what the tag
// documents say.
func Published(productID, repository string) string {
	_, name, _ := strings.Cut(repository, "/")
	if len(name) > 160 { // so that the whole stays within the 255 characters of a name
		name = fmt.Sprintf("%x", sha256.Sum256([]byte(name)))
	}
	return publishedPrefix + productID + "/" + name
}

// PublishedProduct returns the product of a published repository's name; ok is
// false for names of other repositories.
func PublishedProduct(name string) (product string, ok bool) {
	rest, ok := strings.CutPrefix(name, publishedPrefix)
	if !ok {
		return "", false
	}
	product, name, _ = strings.Cut(rest, "/")
	return product, product != "" && name != ""
}

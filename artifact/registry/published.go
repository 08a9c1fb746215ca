package registry

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"strings"
)

// HasPublished says whether a product's published copy of a manifest of a
// repository (NAMESPACE/NAME) is there and whole: the manifest with the content
// that its digest says, all that it names, and, of an index, its manifests.
// Layers are looked for and not read.
func (r *Registry) HasPublished(ctx context.Context, productID, repository, dgst string) (bool, error) {
	name := Published(productID, repository)
	if !digestPattern.MatchString(dgst) || !validName(name) {
		return false, nil
	}
	there, err := r.isWhole(ctx, name, dgst, map[string]bool{})
	if err != nil {
		return false, fmt.Errorf("looking for %s@%s: %w", name, dgst, err)
	}
	return there, nil
}

// isWhole looks at the files of a manifest in a repository and at those of its
// manifests that are not seen yet.
func (r *Registry) isWhole(ctx context.Context, name, dgst string, seen map[string]bool) (bool, error) {
	if seen[dgst] {
		return true, nil
	}
	seen[dgst] = true
	if err := ctx.Err(); err != nil {
		return false, err
	}
	payload, err := os.ReadFile(r.layout.blob(dgst))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	refs, err := references(payload)
	if err != nil || fmt.Sprintf("sha256:%x", sha256.Sum256(payload)) != dgst {
		return false, nil // it was written by nobody who can push
	}
	for _, f := range r.filesOf(name, dgst, refs) {
		_, err := os.Stat(f)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	for _, child := range refs.manifests {
		there, err := r.isWhole(ctx, name, child, seen)
		if err != nil || !there {
			return false, err
		}
	}
	return true, nil
}

// mayHave says whether an asker may have a manifest or a blob of what it may
// read: all of its own, what Config.Lent names, and of a product what
// Config.Delivered lets it have, with the manifests of an index and the blobs of
// each. What a change set that failed has left in a product's repository is
// nobody's. by is the digest of the delivered manifest through which a product
// has it; "" if it is no product's.
func (r *Registry) mayHave(ctx context.Context, a asker, from readable, dgst string) (by string, err error) {
	unknown := &refusal{http.StatusNotFound, "MANIFEST_UNKNOWN", "no version of a product and no machine image that you may have names it"}
	if from.lent != nil {
		return "", r.borrows(ctx, a, from, dgst, unknown)
	}
	if from.product == "" || r.config.Delivered == nil {
		return "", nil
	}
	all, err := r.config.Delivered(ctx, a.principal.Account, from.product)
	if err != nil {
		return "", fmt.Errorf("asking what %s may have of %s: %w", a.principal.Account, from.product, err)
	}
	var open []string
	for _, artifact := range all {
		if artifact.OK {
			open = append(open, artifact.Digest)
		}
	}
	by, err = r.naming(open, dgst)
	if err != nil || by != "" {
		return by, err
	}
	for _, artifact := range all {
		if artifact.OK || !artifact.Told {
			continue
		}
		closed, err := r.naming([]string{artifact.Digest}, dgst)
		if err != nil {
			return "", err
		}
		if closed != "" {
			return "", denied(artifact.Answer)
		}
	}
	return "", unknown
}

// borrows says whether an asker may have a manifest or blob of what is lent: one
// of the images that have it must be one that the asker may use.
func (r *Registry) borrows(ctx context.Context, a asker, from readable, dgst string, no *refusal) error {
	for left := slices.Clone(from.lent); ; {
		by, err := r.naming(left, dgst)
		if err != nil {
			return err
		}
		if by == "" {
			return no
		}
		if r.config.Lends == nil {
			return nil
		}
		why, err := r.config.Lends(ctx, a.principal.Account, from.name, by)
		if err != nil {
			return fmt.Errorf("asking whether %s may have %s of %s: %w", a.principal.Account, by, from.name, err)
		}
		if why == "" {
			return nil
		}
		no = &refusal{http.StatusForbidden, "DENIED", why}
		left = slices.DeleteFunc(left, func(d string) bool { return d == by })
	}
}

// naming returns the first of some manifests that is, or names, a manifest or
// blob, also by a manifest that it names; "" if none does.
func (r *Registry) naming(manifests []string, dgst string) (string, error) {
	if slices.Contains(manifests, dgst) {
		return dgst, nil // without a look into any of them
	}
	seen := map[string]bool{}
	for _, top := range manifests {
		for left := []string{top}; len(left) > 0; {
			next := left[len(left)-1]
			left = left[:len(left)-1]
			if seen[next] {
				continue
			}
			seen[next] = true
			refs, err := r.references(next)
			if err != nil {
				return "", err
			}
			if slices.Contains(refs.manifests, dgst) || slices.Contains(refs.blobs, dgst) {
				return top, nil
			}
			left = append(left, refs.manifests...)
		}
	}
	return "", nil
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

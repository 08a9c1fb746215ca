package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"souk/catalog/change"
	"souk/storage/store"
)

// What other rooms of this process read of the registry: by digest, and without
// asking whose it is. They ask that themselves.

// Owner returns the account that pushes to a repository (NAMESPACE/NAME).
// change.ErrImageNotFound if there is no such repository.
func (r *Registry) Owner(ctx context.Context, repository string) (account string, err error) {
	repo, err := r.repository(ctx, repository)
	if errors.Is(err, store.ErrNotFound) {
		return "", fmt.Errorf("%w: repository %s", change.ErrImageNotFound, repository)
	}
	if err != nil {
		return "", fmt.Errorf("finding repository %s: %w", repository, err)
	}
	return repo.Account, nil
}

// Manifest returns a manifest or an index that a repository has, also a
// published one. change.ErrImageNotFound.
func (r *Registry) Manifest(ctx context.Context, repository, dgst string) (mediaType string, payload []byte, err error) {
	if !validName(repository) || !digestPattern.MatchString(dgst) {
		return "", nil, fmt.Errorf("%w: %s@%s", change.ErrImageNotFound, repository, dgst)
	}
	repo, err := r.open(ctx, repository)
	if err != nil {
		return "", nil, err
	}
	manifests, err := repo.Manifests(ctx)
	if err != nil {
		return "", nil, fmt.Errorf("opening %s: %w", repository, err)
	}
	m, err := manifests.Get(ctx, digest.Digest(dgst))
	if err != nil {
		return "", nil, fmt.Errorf("reading %s@%s: %w", repository, dgst, notFound(err))
	}
	mediaType, payload, err = m.Payload()
	if err != nil {
		return "", nil, fmt.Errorf("reading %s@%s: %w", repository, dgst, err)
	}
	return mediaType, payload, nil
}

// Blob opens a blob that a repository has, also a published one. The caller
// closes it. change.ErrImageNotFound.
func (r *Registry) Blob(ctx context.Context, repository, dgst string) (io.ReadSeekCloser, error) {
	if !validName(repository) || !digestPattern.MatchString(dgst) {
		return nil, fmt.Errorf("%w: %s@%s", change.ErrImageNotFound, repository, dgst)
	}
	repo, err := r.open(ctx, repository)
	if err != nil {
		return nil, err
	}
	blob, err := repo.Blobs(ctx).Open(ctx, digest.Digest(dgst))
	if err != nil {
		return nil, fmt.Errorf("opening %s@%s: %w", repository, dgst, notFound(err))
	}
	return blob, nil
}

// Tag makes a tag of a repository name a manifest that it has, whatever it
// named before. It asks nobody: tags that versions name are the caller's to leave alone.
func (r *Registry) Tag(ctx context.Context, repository, tag, dgst string) error {
	if !validName(repository) || !tagPattern().MatchString(tag) || !digestPattern.MatchString(dgst) {
		return fmt.Errorf("%w: %s:%s as %s", change.ErrImageNotFound, repository, tag, dgst)
	}
	repo, err := r.open(ctx, repository)
	if err != nil {
		return err
	}
	release, err := r.share()
	if err != nil {
		return err
	}
	defer release()
	_, payload, err := r.Manifest(ctx, repository, dgst)
	if err != nil {
		return err
	}
	refs, err := references(payload)
	if err != nil {
		return fmt.Errorf("reading %s@%s: %w", repository, dgst, err)
	}
	err = touch(r.config.Now(), r.filesOf(repository, dgst, refs)...)
	if err != nil {
		return err
	}
	err = repo.Tags(ctx).Tag(ctx, tag, v1.Descriptor{Digest: digest.Digest(dgst)})
	if err != nil {
		return fmt.Errorf("tagging %s:%s: %w", repository, tag, err)
	}
	return r.layout.settle(r.layout.tag(repository, tag))
}

// Tags returns the tags of a repository with the time at which each was written
// last. A repository without files has none.
func (r *Registry) Tags(_ context.Context, repository string) (map[string]time.Time, error) {
	if !validName(repository) {
		return nil, fmt.Errorf("%w: repository %s", change.ErrImageNotFound, repository)
	}
	entries, err := os.ReadDir(filepath.Join(r.layout.repository(repository), "_manifests", "tags"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listing the tags of %s: %w", repository, err)
	}
	tags := map[string]time.Time{}
	for _, e := range entries {
		info, err := os.Stat(r.layout.tag(repository, e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // gone since
		}
		if err != nil {
			return nil, fmt.Errorf("listing the tags of %s: %w", repository, err)
		}
		tags[e.Name()] = info.ModTime()
	}
	return tags, nil
}

// Untag removes a tag of a repository. One that is not there is no error.
func (r *Registry) Untag(ctx context.Context, repository, tag string) error {
	if !validName(repository) || !tagPattern().MatchString(tag) {
		return fmt.Errorf("%w: %s:%s", change.ErrImageNotFound, repository, tag)
	}
	repo, err := r.open(ctx, repository)
	if err != nil {
		return err
	}
	err = repo.Tags(ctx).Untag(ctx, tag)
	var unknown distribution.ErrTagUnknown
	var absent driver.PathNotFoundError
	if err != nil && !errors.As(err, &unknown) && !errors.As(err, &absent) {
		return fmt.Errorf("removing the tag %s:%s: %w", repository, tag, err)
	}
	return nil
}

// Current returns the digest that a tag of a repository names now, "" if it
// names nothing.
func (r *Registry) Current(ctx context.Context, repository, tag string) (digest string, err error) {
	if !validName(repository) || !tagPattern().MatchString(tag) {
		return "", fmt.Errorf("%w: %s:%s", change.ErrImageNotFound, repository, tag)
	}
	return r.current(ctx, repository, tag)
}

package registry

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"souk/catalog/change"
)

// Parcel is an image that another room of this process puts into a repository.
type Parcel struct {
	MediaType string // of the manifest
	Manifest  []byte
	// From is the repository that has the blobs that Blobs doesn't bring.
	From string
	// Blobs opens what is new, by digest. Each is opened once at most.
	Blobs map[string]func() (io.ReadCloser, error)
}

// Put stores an image in a repository, durably: blobs of another repository are
// linked, not copied. It asks nobody: whose repository it is, and whether the
// image may be there, is the caller's to know. Doing it twice is no error.
// change.ErrImageNotFound if From hasn't got a blob.
func (r *Registry) Put(ctx context.Context, repository string, p Parcel) error {
	dgst := digest.FromBytes(p.Manifest)
	err := r.put(ctx, repository, dgst, p)
	if err != nil {
		return fmt.Errorf("putting %s@%s: %w", repository, dgst, err)
	}
	return nil
}

func (r *Registry) put(ctx context.Context, repository string, dgst digest.Digest, p Parcel) error {
	if !validName(repository) || !validName(p.From) {
		return fmt.Errorf("%w: repository %s", change.ErrImageNotFound, p.From)
	}
	refs, err := references(p.Manifest)
	if err != nil {
		return err
	}
	manifest, _, err := distribution.UnmarshalManifest(p.MediaType, p.Manifest)
	if err != nil {
		return err
	}
	to, err := r.open(ctx, repository)
	if err != nil {
		return err
	}
	from, err := r.open(ctx, p.From)
	if err != nil {
		return err
	}
	// What takes its time happens before the sweep is kept waiting.
	var uploads []upload
	defer func() {
		for _, u := range uploads { // those that were not committed
			_ = u.Cancel(context.WithoutCancel(ctx))
		}
	}()
	for _, blob := range refs.blobs {
		if open := p.Blobs[blob]; open != nil {
			u, err := fill(ctx, to, open)
			if err != nil {
				return fmt.Errorf("writing blob %s: %w", blob, err)
			}
			uploads = append(uploads, upload{u, digest.Digest(blob)})
		}
	}
	release, err := r.share()
	if err != nil {
		return err
	}
	defer release()
	files := r.filesOf(repository, dgst.String(), refs)
	err = touch(r.config.Now(), files...)
	if err != nil {
		return err
	}
	for len(uploads) > 0 {
		_, err = uploads[0].Commit(ctx, v1.Descriptor{Digest: uploads[0].digest})
		if err != nil {
			return fmt.Errorf("committing blob %s: %w", uploads[0].digest, err)
		}
		uploads = uploads[1:]
	}
	linked := publication{registry: r, from: from, to: to}
	for _, blob := range refs.blobs {
		if p.Blobs[blob] != nil {
			continue
		}
		source, err := reference.WithDigest(from.Named(), digest.Digest(blob))
		if err != nil {
			return err
		}
		if repository != p.From {
			err = linked.blob(ctx, source.Digest())
		} else {
			_, err = to.Blobs(ctx).Stat(ctx, source.Digest())
		}
		if err != nil {
			return notFound(err)
		}
	}
	manifests, err := to.Manifests(ctx)
	if err != nil {
		return err
	}
	_, err = manifests.Put(ctx, manifest)
	if err != nil {
		return notFound(err)
	}
	return r.layout.settle(files...)
}

// upload is a blob that is written and not committed.
type upload struct {
	distribution.BlobWriter
	digest digest.Digest
}

// fill writes a blob.
func fill(ctx context.Context, to distribution.Repository, open func() (io.ReadCloser, error)) (distribution.BlobWriter, error) {
	content, err := open()
	if err != nil {
		return nil, err
	}
	defer content.Close()
	w, err := to.Blobs(ctx).Create(ctx)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(w, content)
	if err != nil {
		return nil, errors.Join(err, w.Cancel(ctx))
	}
	return w, nil
}

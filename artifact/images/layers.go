package images

import (
	"context"
	"errors"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"souk/artifact/archive"
	"souk/artifact/registry"
	"souk/catalog/change"
)

// Image is an image in the registry, with its layers ready to be read.
type Image struct {
	Digest       string         // of its manifest
	OS           string         // as its config says, such as linux
	Architecture string         // as its config says, such as amd64
	Config       *v1.ConfigFile // the user that it runs as, its environment, ...
	Layers       []Layer        // the lowest first
}

// Layer is a layer of an image.
type Layer struct {
	Digest    string // of the bytes that Open gives, sha256:...
	DiffID    string // of the tar archive in them, sha256:...; it names the same content however it is compressed
	MediaType string
	Size      int64 // bytes that Open gives
	open      func(ctx context.Context) (io.ReadCloser, error)
}

// NewLayer returns a layer as l describes it that lies elsewhere than in the
// registry: open gives the bytes that Digest and Size are those of, each time anew.
func NewLayer(l Layer, open func(ctx context.Context) (io.ReadCloser, error)) Layer {
	l.open = open
	return l
}

// Open opens the layer as it is stored. The caller closes it.
func (l Layer) Open(ctx context.Context) (io.ReadCloser, error) { return l.open(ctx) }

// Archive opens the layer as an archive. The caller closes both by the function
// that it returns. The errors of the archive are artifact/archive's.
func (l Layer) Archive(ctx context.Context, limits archive.Limits) (a *archive.Reader, close func(), err error) {
	r, err := l.Open(ctx)
	if err != nil {
		return nil, nil, err
	}
	a, err = archive.New(r, limits)
	if err != nil {
		r.Close()
		return nil, nil, fmt.Errorf("layer %s: %w", l.Digest, err)
	}
	return a, func() { a.Close(); r.Close() }, nil
}

// Images returns all images that a digest names in a repository, also a
// published one (registry.Published): one for a manifest, those of its
// manifests for an index. Nothing of the layers is read yet. Errors: ErrNoImage
// if the registry hasn't got it, ErrBadImage.
func (m *Images) Images(ctx context.Context, repository, digest string) ([]Image, error) {
	mediaType, payload, err := m.config.Registry.Manifest(ctx, repository, digest)
	if err != nil {
		return nil, noImage(err)
	}
	manifests := []found{{digest, payload}}
	if isIndex(mediaType, payload) {
		manifests, err = newChoice(func(d v1.Descriptor) (string, []byte, error) {
			return m.config.Registry.Manifest(ctx, repository, d.Digest.String())
		}).images(payload, 0)
		switch {
		case errors.Is(err, change.ErrImageNotFound):
			return nil, noImage(err)
		case err != nil:
			return nil, fmt.Errorf("%w: %s@%s: %v", ErrBadImage, repository, digest, err)
		}
	}
	var all []Image
	for _, f := range manifests {
		i, err := m.image(ctx, repository, f)
		if err != nil {
			return nil, err
		}
		all = append(all, i)
	}
	return all, nil
}

// Layers returns the layers of the image that a digest names in a repository,
// the lowest first. Errors as those of Images; an index of several images is ErrBadImage.
func (m *Images) Layers(ctx context.Context, repository, digest string) ([]Layer, error) {
	all, err := m.Images(ctx, repository, digest)
	if err != nil {
		return nil, err
	}
	if len(all) != 1 {
		return nil, fmt.Errorf("%w: %s@%s is an index of %d images", ErrBadImage, repository, digest, len(all))
	}
	return all[0].Layers, nil
}

// PublishedRepository is the repository that keeps the AMIs of a product, where
// their sellers change nothing.
func PublishedRepository(productID string) string {
	return registry.Published(productID, Repository)
}

// Repository stands for the repositories of AMIs, of whatever account: the
// published copies of a product lie in one place.
const Repository = "x/" + repositoryName

// image reads the config of an image.
func (m *Images) image(ctx context.Context, repository string, f found) (Image, error) {
	bad := func(err error) error {
		return fmt.Errorf("%w: %s@%s: %v", ErrBadImage, repository, f.digest, err)
	}
	manifest, err := parseManifest(f.payload, m.config.Limits.Layers)
	if err != nil {
		return Image{}, bad(err)
	}
	blob, err := m.config.Registry.Blob(ctx, repository, manifest.Config.Digest.String())
	if err != nil {
		return Image{}, noImage(err)
	}
	defer blob.Close()
	raw, err := readLimited(blob, maxConfig)
	if err != nil {
		return Image{}, fmt.Errorf("reading the config of %s@%s: %w", repository, f.digest, err)
	}
	config, err := parseConfig(raw, len(manifest.Layers))
	if err != nil {
		return Image{}, bad(err)
	}
	i := Image{Digest: f.digest, OS: config.OS, Architecture: config.Architecture, Config: config}
	for n, d := range manifest.Layers {
		digest := d.Digest.String()
		i.Layers = append(i.Layers, Layer{
			Digest: digest, DiffID: config.RootFS.DiffIDs[n].String(), MediaType: string(d.MediaType), Size: d.Size,
			open: func(ctx context.Context) (io.ReadCloser, error) {
				blob, err := m.config.Registry.Blob(ctx, repository, digest)
				if err != nil {
					return nil, noImage(err)
				}
				return blob, nil
			},
		})
	}
	return i, nil
}

// noImage turns the registry's word for "there is no such thing" into ours.
func noImage(err error) error {
	if errors.Is(err, change.ErrImageNotFound) {
		return fmt.Errorf("%w: %v", ErrNoImage, err)
	}
	return err
}

package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/manifest/manifestlist"
	"github.com/distribution/distribution/v3/manifest/schema2"
	"github.com/distribution/distribution/v3/registry/storage"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"souk/artifact/chart"
	"souk/catalog/change"
	"souk/storage/store"
)

// Media types of a chart's parts (Helm, "Use OCI-based registries").
const (
	chartConfigType = "application/vnd.cncf.helm.config.v1+json"
	chartLayerType  = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
)

// maxIndexDepth and maxIndexManifests bound what Publish follows of an index.
const (
	maxIndexDepth     = 3
	maxIndexManifests = 500
)

// Images is the registry as change types see it. It reads the registry's
// files, not its HTTP interface.
func (r *Registry) Images() change.Images { return images{r} }

type images struct{ *Registry }

// Resolve implements change.Images. A reference without tag and digest means
// the tag latest, as for all clients.
func (i images) Resolve(ctx context.Context, s change.Seller, ref change.ImageRef) (change.Image, error) {
	m, err := i.find(ctx, s, ref)
	if err != nil {
		return change.Image{}, err
	}
	img := change.Image{Digest: m.digest, MediaType: m.mediaType, Chart: m.configType == chartConfigType}
	switch m.configType {
	case "", chartConfigType, schema2.MediaTypeImageConfig, v1.MediaTypeImageConfig:
		return img, nil
	}
	return change.Image{}, fmt.Errorf("%w: %s is neither a container image nor a chart but %s", change.ErrImageNotFound, m, m.configType)
}

// Chart implements change.Images.
func (i images) Chart(ctx context.Context, s change.Seller, ref change.ImageRef) (change.Chart, error) {
	m, err := i.find(ctx, s, ref)
	if err != nil {
		return change.Chart{}, err
	}
	if m.configType != chartConfigType {
		return change.Chart{}, fmt.Errorf("%w: it is not a Helm chart", change.ErrChartInvalid)
	}
	var parts struct {
		Layers []v1.Descriptor `json:"layers"`
	}
	err = json.Unmarshal(m.payload, &parts)
	if err != nil {
		return change.Chart{}, fmt.Errorf("%w: %v", change.ErrChartInvalid, err)
	}
	var layer digest.Digest
	for _, l := range parts.Layers {
		if l.MediaType == chartLayerType {
			layer = l.Digest
		}
	}
	if layer == "" {
		return change.Chart{}, fmt.Errorf("%w: its manifest has no layer of type %s", change.ErrChartInvalid, chartLayerType)
	}
	blob, err := m.repository.Blobs(ctx).Open(ctx, layer)
	if err != nil {
		return change.Chart{}, fmt.Errorf("opening the chart of %s: %w", m, err)
	}
	defer blob.Close()
	archive, err := io.ReadAll(io.LimitReader(blob, i.config.MaxChart+1))
	if err != nil {
		return change.Chart{}, fmt.Errorf("reading the chart of %s: %w", m, err)
	}
	if int64(len(archive)) > i.config.MaxChart {
		return change.Chart{}, fmt.Errorf("%w: it has more than %d bytes", change.ErrChartInvalid, i.config.MaxChart)
	}
	c, err := i.render.Load(ctx, archive)
	var invalid *chart.Invalid
	if errors.As(err, &invalid) {
		return change.Chart{}, fmt.Errorf("%w: %s", change.ErrChartInvalid, invalid.Reason)
	}
	if err != nil {
		return change.Chart{}, fmt.Errorf("loading the chart of %s: %w", m, err)
	}
	return change.Chart{Digest: m.digest, Name: c.Name, Version: c.Version, Values: c.Values, Images: c.Images}, nil
}

// Publish implements change.Images: it links the manifest, what it names and,
// for an index, its manifests into the product's published repository. Nothing
// is copied. The manifest comes last, so that what is there is whole.
func (i images) Publish(ctx context.Context, productID string, ref change.ImageRef, dgst string) error {
	if !digestPattern.MatchString(dgst) {
		return fmt.Errorf("publishing %s for %s: %q is no digest", ref.Repository, productID, dgst)
	}
	name := Published(productID, ref.Repository)
	if !validName(name) {
		return fmt.Errorf("publishing %s for %s: %s is no repository name", ref.Repository, productID, name)
	}
	to, err := i.open(ctx, name)
	if err != nil {
		return err
	}
	from, err := i.open(ctx, ref.Repository)
	if err != nil {
		return err
	}
	// No sweep from here on until all is linked.
	release, err := i.share()
	if err != nil {
		return err
	}
	defer release()
	p := publication{registry: i.Registry, from: from, to: to, left: maxIndexManifests}
	err = p.manifest(ctx, digest.Digest(dgst), 0)
	if err != nil {
		return fmt.Errorf("publishing %s@%s for %s: %w", ref.Repository, dgst, productID, err)
	}
	return i.layout.settle(p.files...)
}

// publication is the work of one Publish.
type publication struct {
	registry *Registry
	from, to distribution.Repository
	left     int      // manifests that may still be linked
	files    []string // what was linked
}

func (p *publication) manifest(ctx context.Context, dgst digest.Digest, depth int) error {
	r, name := p.registry, p.to.Named().Name()
	p.left--
	if depth > maxIndexDepth || p.left < 0 {
		return fmt.Errorf("%w: the index is nested too deeply or has too many manifests", change.ErrImageNotFound)
	}
	manifests, err := p.to.Manifests(ctx)
	if err != nil {
		return err
	}
	there, err := manifests.Exists(ctx, dgst)
	if err != nil {
		return err
	}
	if there {
		return touch(r.config.Now(), r.layout.blob(dgst.String()), r.layout.revision(name, dgst.String()))
	}
	sources, err := p.from.Manifests(ctx)
	if err != nil {
		return err
	}
	m, err := sources.Get(ctx, dgst)
	if err != nil {
		return notFound(err)
	}
	_, payload, err := m.Payload()
	if err != nil {
		return err
	}
	refs, err := references(payload)
	if err != nil {
		return err
	}
	for _, child := range refs.manifests {
		err = p.manifest(ctx, digest.Digest(child), depth+1)
		if err != nil {
			return err
		}
	}
	files := r.filesOf(name, dgst.String(), refs)
	err = touch(r.config.Now(), files...)
	if err != nil {
		return err
	}
	for _, blob := range refs.blobs {
		err = p.blob(ctx, digest.Digest(blob))
		if err != nil {
			return err
		}
	}
	_, err = manifests.Put(ctx, m)
	if err != nil {
		return notFound(err)
	}
	p.files = append(p.files, files...)
	return nil
}

// blob links one blob.
func (p *publication) blob(ctx context.Context, dgst digest.Digest) error {
	source, err := reference.WithDigest(p.from.Named(), dgst)
	if err != nil {
		return err
	}
	writer, err := p.to.Blobs(ctx).Create(ctx, storage.WithMountFrom(source))
	var mounted distribution.ErrBlobMounted
	if errors.As(err, &mounted) {
		return nil
	}
	if err != nil {
		return err
	}
	// The library begins an upload where there is nothing to mount.
	err = writer.Cancel(ctx)
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: blob %s is not there", change.ErrImageNotFound, dgst)
}

// found is a manifest and where it lies.
type found struct {
	repository distribution.Repository
	digest     string
	mediaType  string
	configType string // "" for an index
	payload    []byte
}

func (m found) String() string { return m.repository.Named().Name() + "@" + m.digest }

// find reads what a reference names, if it is in a repository of the seller.
func (i images) find(ctx context.Context, s change.Seller, ref change.ImageRef) (found, error) {
	repo, err := i.Registry.repository(ctx, ref.Repository)
	if errors.Is(err, store.ErrNotFound) || err == nil && repo.Account != s.Account {
		return found{}, fmt.Errorf("%w: repository %s", change.ErrImageNotFound, ref.Repository)
	}
	if err != nil {
		return found{}, fmt.Errorf("finding repository %s: %w", ref.Repository, err)
	}
	m := found{digest: ref.Digest}
	name := ref.Repository
	if ref.Product != "" && ref.Digest != "" {
		name = Published(ref.Product, name)
	}
	m.repository, err = i.open(ctx, name)
	if err != nil {
		return found{}, err
	}
	if m.digest == "" {
		tag := ref.Tag
		if tag == "" {
			tag = "latest"
		}
		m.digest, err = i.current(ctx, ref.Repository, tag)
		if err != nil {
			return found{}, err
		}
		if m.digest == "" {
			return found{}, fmt.Errorf("%w: %s has no tag %s", change.ErrImageNotFound, ref.Repository, tag)
		}
	}
	manifests, err := m.repository.Manifests(ctx)
	if err != nil {
		return found{}, fmt.Errorf("opening %s: %w", m, err)
	}
	manifest, err := manifests.Get(ctx, digest.Digest(m.digest))
	if err != nil {
		return found{}, fmt.Errorf("reading %s: %w", m, notFound(err))
	}
	m.mediaType, m.payload, err = manifest.Payload()
	if err != nil {
		return found{}, fmt.Errorf("reading %s: %w", m, err)
	}
	if m.mediaType == v1.MediaTypeImageIndex || m.mediaType == manifestlist.MediaTypeManifestList {
		return m, nil
	}
	var config struct {
		Config v1.Descriptor `json:"config"`
	}
	err = json.Unmarshal(m.payload, &config)
	if err != nil {
		return found{}, fmt.Errorf("reading %s: %w", m, err)
	}
	m.configType = config.Config.MediaType
	return m, nil
}

// notFound turns the library's words for "there is no such thing" into ours.
func notFound(err error) error {
	var revision distribution.ErrManifestUnknownRevision
	var unverified distribution.ErrManifestVerification
	if errors.As(err, &revision) || errors.As(err, &unverified) || errors.Is(err, distribution.ErrBlobUnknown) {
		return fmt.Errorf("%w: %v", change.ErrImageNotFound, err)
	}
	return err
}

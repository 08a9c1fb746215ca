package images

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"souk/artifact/registry"
	"souk/catalog/change"
	"souk/storage/store"
)

// This file makes an AMI of another and one more layer. Its id and its name are
// taken before there is anything of it, by whoever will make it (the holder), so
// that work which is done again after a crash makes the same AMI, and once.

// NewID mints the id of an AMI that is to be made.
func (m *Images) NewID() (string, error) { return m.newID() }

// Hold is the write that takes a name of an account for an AMI that is to be
// made. Nobody else gets it until Free or Derive is committed. A commit of it
// conflicts with NameKey where the name is taken. The holder is the document
// whose work it is: while it is there the name is held.
func Hold(account, name, id string, holder store.Key) store.Write {
	return store.Write{Document: store.Document{Key: NameKey(account, name), Body: held{id, holder}.body()}}
}

// Free is the removal that gives a name back that was held.
func Free(account, name string) store.Removal {
	return store.Removal{Key: NameKey(account, name), Was: heldRevision}
}

// Holds says whether a holder holds a name of an account.
func (m *Images) Holds(ctx context.Context, account, name string, holder store.Key) (bool, error) {
	d, err := m.config.Store.Get(ctx, nameKey(account, name))
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking for the name %q: %w", name, err)
	}
	return parseHeld(d.Body).holder == holder, nil
}

// heldRevision is that of a name that is held: the first.
const heldRevision = 1

// NameKey is the document by which an account has a name for an AMI.
func NameKey(account, name string) store.Key { return nameKey(account, name) }

// held is the body of the document of a name: the AMI, and who will make it.
type held struct {
	id     string
	holder store.Key // the zero Key: the AMI is there
}

func (h held) body() []byte { return []byte(h.id + "\n" + h.holder.Kind + "\n" + h.holder.ID) }

func parseHeld(body []byte) held {
	parts := strings.SplitN(string(body), "\n", 3)
	if len(parts) < 3 {
		return held{id: parts[0]}
	}
	return held{parts[0], store.Key{Kind: parts[1], ID: parts[2]}}
}

// Derivation is an AMI that is made of another.
type Derivation struct {
	ID          string     // of NewID
	Account     string     // who will own it
	Name        string     // which was held with this ID
	Description string     // at most 255 characters
	Source      AMI        // what it is made of
	Layer       *LayerFile // nil: the image as it is
	CreatedBy   string     // of the layer, for the history of the image
	Codes       []string   // product codes beside those of the source
	Origin      string     // where it came from, for people
}

// Derive pushes the image of an AMI that is to be, and returns the batch that
// makes the AMI. The caller adds what is to be done together with it, and commits
// it; of a derivation that was committed before, it conflicts. Until then there
// is nothing but a tag, which is souk gc's if nobody does. seller owns the
// account's repository. Errors: *Invalid, ErrNoImage (of the source), ErrBadImage.
func (m *Images) Derive(ctx context.Context, seller change.Seller, d Derivation) (AMI, store.Batch, error) {
	repository, err := m.Repository(ctx, seller)
	if err != nil {
		return AMI{}, store.Batch{}, err
	}
	a := d.Source
	a.ID, a.Owner, a.Name, a.Description = d.ID, d.Account, d.Name, d.Description
	a.ProductCodes = slices.Clone(a.ProductCodes)
	for _, code := range d.Codes {
		if !slices.Contains(a.ProductCodes, code) {
			a.ProductCodes = append(a.ProductCodes, code)
		}
	}
	a.State, a.StateReason, a.Created = StateAvailable, nil, m.config.Now().UTC().Truncate(time.Millisecond)
	a.Source, a.Public, a.SharedWith, a.Tries, a.Read = d.Origin, false, nil, 0, 0
	err = Registration{Name: a.Name, Description: a.Description, ProductCodes: a.ProductCodes}.CheckWords()
	if err != nil {
		return AMI{}, store.Batch{}, err
	}
	made, err := m.Append(ctx, repository, d.Source.Content(), d.Layer, d.CreatedBy, a.Created)
	if err != nil {
		return AMI{}, store.Batch{}, err
	}
	a.set(made)
	err = m.config.Registry.Tag(ctx, a.Repository, a.ID, a.Digest)
	if err != nil {
		return AMI{}, store.Batch{}, noImage(err)
	}
	batch, err := a.batch()
	if err != nil {
		return AMI{}, store.Batch{}, err
	}
	batch.Put[1].Was = heldRevision
	return a, batch, nil
}

// batch are the documents of an AMI: its record, its name, its tag.
func (a AMI) batch() (store.Batch, error) {
	d, err := a.document()
	if err != nil {
		return store.Batch{}, err
	}
	tag, err := a.Content().tagged(a.ID)
	if err != nil {
		return store.Batch{}, err
	}
	return store.Batch{Put: []store.Write{
		{Document: d},
		{Document: store.Document{Key: nameKey(a.Owner, a.Name), Body: []byte(a.ID)}},
		tag,
	}}, nil
}

// examine reads the new layer as that of a stranger, and what it makes of the
// image: its size, and its system where the layer changes that. The source's own
// layers were read when it was registered, and are not read again for nothing.
func (m *Images) examine(ctx context.Context, made *Content, base Content, layer *LayerFile) error {
	own, err := m.Only(ctx, base.Place)
	if err != nil {
		return err
	}
	if len(own.Layers) >= m.config.Limits.Layers {
		return bad("it has %d layers, and may have %d at most", len(own.Layers)+1, m.config.Limits.Layers)
	}
	f, err := os.Open(layer.File)
	if err != nil {
		return fmt.Errorf("reading the new layer: %w", err)
	}
	defer f.Close()
	touched := false
	b := budget{m.config.Limits.Archive}
	b.limits.Bytes = max(1, b.limits.Bytes-base.Unpacked)
	got, err := b.layer(ctx, f, nil, func(h *tar.Header, _ io.Reader) error {
		touched = touched || touchesRelease(h)
		return nil
	})
	if err != nil {
		return refused("the new layer: ", err)
	}
	if got.diffID != layer.DiffID || got.packed != layer.Size {
		return fmt.Errorf("the new layer on %s is not what was written", base.Place)
	}
	if touched {
		own.Layers = append(slices.Clone(own.Layers), layer.Layer())
		all, err := verify(ctx, own, m.config.Limits.Archive)
		if err != nil {
			return err
		}
		made.Platform, made.OS, made.Size, made.Unpacked = all.os.Platform(), all.os, all.packed, all.plain
		return nil
	}
	made.Size += got.packed
	made.Unpacked += got.plain
	return nil
}

// touchesRelease says whether an entry of a layer may change which system an
// image is: an os-release file, something else in the place of one of the folders
// in which they lie, or what hides any of them.
func touchesRelease(h *tar.Header) bool {
	dir, base := path.Split(strings.TrimSuffix(h.Name, "/"))
	gone, hides := strings.CutPrefix(base, ".wh.")
	if strings.Contains(base, "os-release") || base == ".wh..wh..opq" && slices.Contains([]string{"", "etc/", "usr/", "usr/lib/"}, dir) {
		return true
	}
	return (hides || h.Typeflag != tar.TypeDir) && slices.Contains([]string{"etc", "usr", "usr/lib"}, dir+gone)
}

// append pushes the source's image with the new layer and returns its digest.
func (m *Images) append(ctx context.Context, repository string, base Place, layer *LayerFile, by string, at time.Time) (digest string, err error) {
	mediaType, payload, err := m.config.Registry.Manifest(ctx, base.Repository, base.Digest)
	if err != nil {
		return "", noImage(err)
	}
	manifest, err := parseManifest(payload, m.config.Limits.Layers)
	if err != nil {
		return "", bad("%w", err)
	}
	blob, err := m.config.Registry.Blob(ctx, base.Repository, manifest.Config.Digest.String())
	if err != nil {
		return "", noImage(err)
	}
	defer blob.Close()
	config, err := readLimited(blob, maxConfig)
	if err != nil {
		return "", fmt.Errorf("reading the config of %s: %w", base, err)
	}
	image, err := partial.CompressedToImage(&local{manifest: payload, kind: types.MediaType(mediaType), config: config})
	if err != nil {
		return "", fmt.Errorf("reading the image of %s: %w", base, err)
	}
	kind := types.OCILayer
	if manifest.Config.MediaType == types.DockerConfigJSON {
		kind = types.DockerLayer
	}
	image, err = mutate.Append(image, mutate.Addendum{
		Layer: compressed{layer.blob(kind)}, MediaType: kind,
		History: v1.History{Created: v1.Time{Time: at}, CreatedBy: by, Author: "souk"},
	})
	if err != nil {
		return "", fmt.Errorf("adding a layer to %s: %w", base, err)
	}
	raw, err := image.RawManifest()
	if err != nil {
		return "", fmt.Errorf("adding a layer to %s: %w", base, err)
	}
	written, err := image.RawConfigFile()
	if err != nil {
		return "", fmt.Errorf("adding a layer to %s: %w", base, err)
	}
	sum, named := newSum(), newSum()
	sum.Write(raw)
	named.Write(written)
	err = m.config.Registry.Put(ctx, repository, registry.Parcel{
		MediaType: mediaType, Manifest: raw, From: base.Repository,
		Blobs: map[string]func() (io.ReadCloser, error){
			layer.Digest:          func() (io.ReadCloser, error) { return os.Open(layer.File) },
			named.hash().String(): func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(string(written))), nil },
		},
	})
	if err != nil {
		return "", noImage(err)
	}
	return sum.hash().String(), nil
}

// compressed is a blob as a layer whose digests are known: nothing is read to
// name it.
type compressed struct{ *blob }

// Uncompressed is of v1.Layer; nobody here asks for it.
func (c compressed) Uncompressed() (io.ReadCloser, error) {
	l, err := partial.CompressedToLayer(c.blob)
	if err != nil {
		return nil, err
	}
	return l.Uncompressed()
}

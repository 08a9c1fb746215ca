package images

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// blob is a layer that lies in a file.
type blob struct {
	digest    v1.Hash
	diffID    v1.Hash
	size      int64
	mediaType types.MediaType
	open      func() (io.ReadCloser, error)
}

// Digest, DiffID, Compressed, Size and MediaType are of partial.CompressedLayer.
func (b *blob) Digest() (v1.Hash, error)            { return b.digest, nil }
func (b *blob) DiffID() (v1.Hash, error)            { return b.diffID, nil }
func (b *blob) Compressed() (io.ReadCloser, error)  { return b.open() }
func (b *blob) Size() (int64, error)                { return b.size, nil }
func (b *blob) MediaType() (types.MediaType, error) { return b.mediaType, nil }

// local is an image whose layers lie in files (partial.CompressedImageCore).
type local struct {
	manifest []byte
	kind     types.MediaType
	config   []byte
	layers   map[v1.Hash]*blob
}

func (l *local) RawConfigFile() ([]byte, error)      { return l.config, nil }
func (l *local) MediaType() (types.MediaType, error) { return l.kind, nil }
func (l *local) RawManifest() ([]byte, error)        { return l.manifest, nil }
func (l *local) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	b, ok := l.layers[h]
	if !ok {
		return nil, fmt.Errorf("the image has no layer %s", h)
	}
	return b, nil
}

// finish makes the source's image of its parts.
func (s *Source) finish(arch string, manifest, config []byte, layers []*blob) error {
	l := &local{manifest: manifest, config: config, layers: map[v1.Hash]*blob{}}
	m, err := parseManifest(manifest, len(layers)+1)
	if err != nil {
		return bad("%w", err)
	}
	l.kind = m.MediaType
	if l.kind == "" {
		l.kind = types.OCIManifestSchema1
	}
	for _, b := range layers {
		l.layers[b.digest] = b
		s.Size += b.size
	}
	s.Architecture = arch
	s.Image, err = partial.CompressedToImage(l)
	return err
}

// check reads the layers of a manifest to their ends: that they are what the
// manifest and the config say, and nothing that archive refuses.
func (s *Source) check(ctx context.Context, layers []*blob, diffIDs []v1.Hash, o Options) error {
	var total int64
	for _, l := range layers {
		total += l.size
	}
	left := budget{o.Limits.Archive}
	var merged releases
	var done int64
	for n, l := range layers {
		what := fmt.Sprintf("layer %d (%s): ", n+1, l.digest)
		f, err := l.open()
		if err != nil {
			return err
		}
		sum := newSum()
		r := o
		if o.Progress != nil {
			before := done
			r.Progress = func(step string, now, _ int64) { o.Progress(step, before+now, total) }
		}
		merged.next()
		got, err := left.layer(ctx, io.TeeReader(r.watch("checking", total, f), sum), nil, merged.entry)
		f.Close()
		switch {
		case err != nil:
			return refused(what, err)
		case got.packed != l.size:
			return bad("%sit has %d bytes, the manifest says %d", what, got.packed, l.size)
		case sum.hash() != l.digest:
			return bad("%sits content is %s", what, sum.hash())
		case got.diffID != diffIDs[n].String():
			return bad("%safter decompression it is %s, the config says %s", what, got.diffID, diffIDs[n])
		}
		l.diffID = diffIDs[n]
		done += l.size
	}
	s.OS = merged.release()
	return merged.rooted()
}

// compress writes a layer to a file, compressed, quickly rather than well: all
// that comes later reads a third of the bytes. It reads the layer as an archive again.
func (s *Source) compress(ctx context.Context, l *blob, total int64, o Options) (*blob, error) {
	dir, err := s.temp(o)
	if err != nil {
		return nil, err
	}
	from, err := l.open()
	if err != nil {
		return nil, err
	}
	defer from.Close()
	to, err := os.OpenFile(in(dir, 0), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	sum := newSum()
	z, err := gzip.NewWriterLevel(io.MultiWriter(to, sum), gzip.BestSpeed)
	if err != nil {
		return nil, errors.Join(err, to.Close())
	}
	left := budget{o.Limits.Archive}
	got, err := left.layer(ctx, o.watch("compressing", total, from), z, nil)
	err = errors.Join(err, z.Close(), to.Close())
	if err != nil {
		return nil, refused("", err)
	}
	return &blob{
		diffID: mustHash(got.diffID), digest: sum.hash(), size: sum.n, mediaType: types.OCILayer,
		open: func() (io.ReadCloser, error) { return os.Open(to.Name()) },
	}, nil
}

// sum is a SHA-256 that counts.
type sum struct {
	h hash.Hash
	n int64
}

func newSum() *sum { return &sum{h: sha256.New()} }

func (s *sum) Write(p []byte) (int, error) {
	s.n += int64(len(p))
	return s.h.Write(p)
}

func (s *sum) hash() v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(s.h.Sum(nil))}
}

// mustHash is for digests that we have made.
func mustHash(digest string) v1.Hash {
	h, err := v1.NewHash(digest)
	if err != nil {
		panic("images: " + err.Error())
	}
	return h
}

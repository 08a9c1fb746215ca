package images

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/klauspost/compress/gzip"

	"souk/artifact/archive/archivetest"
	"souk/artifact/registry"
	"souk/artifact/registry/registrytest"
	"souk/catalog/change"
	"souk/storage/store"
	"souk/storage/store/postgres"
	"souk/storage/store/postgres/pgtest"
	"souk/storage/store/sqlite/sqlitetest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// The accounts of the tests. An account's key has its id as its id.
const (
	sellerAccount = "111111111111"
	otherAccount  = "222222222222"
	thirdAccount  = "333333333333"
)

var seller = change.Seller{Account: sellerAccount, Namespace: "acme"}

// house is machine images on a real registry and a real store.
type house struct {
	*Images
	t        *testing.T
	registry *registrytest.Served
	inUse    atomic.Pointer[string]
}

func onSQLite(t *testing.T) store.Store { return sqlitetest.Open(t) }

func onPostgres(t *testing.T) store.Store {
	s, err := postgres.Open(t.Context(), postgres.Config{URL: pgtest.Start(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

var theTime = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

func newHouse(t *testing.T, s store.Store) *house {
	t.Helper()
	b := &house{t: t}
	b.registry = registrytest.Serve(t, s, func(c *registry.Config) {
		c.Lent = func(ctx context.Context, account, repository string) ([]string, error) {
			return b.Lent(ctx, account, repository)
		}
		c.Lends = func(ctx context.Context, account, repository, digest string) (string, error) {
			return b.Lends(ctx, account, repository, digest)
		}
	})
	b.inUse.Store(new(string))
	var err error
	b.Images, err = New(Config{
		Store: s, Registry: b.registry.Registry, Now: func() time.Time { return theTime },
		InUse: func(context.Context, string) (string, error) { return *b.inUse.Load(), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// ref names REPOSITORY:TAG or REPOSITORY@DIGEST.
func (h *house) ref(s string) name.Reference {
	h.t.Helper()
	return h.registry.Reference(h.t, s)
}

func as(account string) remote.Option { return registrytest.As(account) }

// push pushes an image to the account's repository and returns its digest.
func (h *house) push(s change.Seller, image remote.Taggable) (repository, digest string) {
	h.t.Helper()
	repository, err := h.Repository(h.t.Context(), s)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := remote.Push(h.ref(repository+":latest"), image, as(s.Account)); err != nil {
		h.t.Fatal(err)
	}
	got, err := remote.Head(h.ref(repository+":latest"), as(s.Account))
	if err != nil {
		h.t.Fatal(err)
	}
	return repository, got.Digest.String()
}

// register pushes a small Debian and registers it with what edit says.
func (h *house) register(s change.Seller, name string, edit ...func(*Registration)) AMI {
	h.t.Helper()
	repository, digest := h.push(s, h.debian())
	r := Registration{Account: s.Account, Name: name, Repository: repository, Digest: digest, EnaSupport: true}
	for _, e := range edit {
		e(&r)
	}
	a, err := h.Register(h.t.Context(), r)
	if err != nil {
		h.t.Fatal(err)
	}
	return a
}

const debianRelease = `PRETTY_NAME="Debian GNU/Linux 13 (trixie)"
NAME="Debian GNU/Linux"
VERSION_ID="13"
ID=debian
`

// debian is an image like Debian's: its etc/os-release is a link.
func (h *house) debian() v1.Image {
	return v1Image(h.t, imageOf(h.t, "amd64", archivetest.Gzip(archivetest.Tar(
		archivetest.Dir("etc"), archivetest.Dir("usr/lib"),
		archivetest.File("usr/lib/os-release", debianRelease),
		archivetest.Symlink("etc/os-release", "../usr/lib/os-release"),
		archivetest.File("etc/debian_version", h.t.Name()),
	))))
}

func hashOf(b []byte) v1.Hash {
	s := newSum()
	s.Write(b)
	return s.hash()
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// imageOf makes an image of layers by hand, whatever is in them. edit alters its
// config, then its manifest.
func imageOf(t *testing.T, arch string, layers ...[]byte) *local {
	t.Helper()
	return altered(t, arch, nil, nil, layers...)
}

func altered(t *testing.T, arch string, config, manifest func(map[string]any), layers ...[]byte) *local {
	t.Helper()
	var diffIDs []string
	var descriptors []any
	l := &local{kind: "application/vnd.oci.image.manifest.v1+json", layers: map[v1.Hash]*blob{}}
	for _, b := range layers {
		plain := plainOf(b)
		diffIDs = append(diffIDs, hashOf(plain).String())
		kind := "application/vnd.oci.image.layer.v1.tar"
		if bytes.HasPrefix(b, []byte{0x1f, 0x8b}) {
			kind += "+gzip"
		}
		descriptors = append(descriptors, map[string]any{"mediaType": kind, "digest": hashOf(b).String(), "size": len(b)})
		l.layers[hashOf(b)] = &blob{digest: hashOf(b), diffID: hashOf(plain), size: int64(len(b)), mediaType: "application/vnd.oci.image.layer.v1.tar+gzip",
			open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }}
	}
	c := map[string]any{"architecture": arch, "os": "linux", "rootfs": map[string]any{"type": "layers", "diff_ids": diffIDs}}
	if config != nil {
		config(c)
	}
	l.config = mustJSON(t, c)
	m := map[string]any{"schemaVersion": 2, "mediaType": l.kind, "layers": descriptors,
		"config": map[string]any{"mediaType": "application/vnd.oci.image.config.v1+json", "digest": hashOf(l.config).String(), "size": len(l.config)}}
	if manifest != nil {
		manifest(m)
	}
	l.manifest = mustJSON(t, m)
	return l
}

func v1Image(t *testing.T, l *local) v1.Image {
	t.Helper()
	image, err := partial.CompressedToImage(l)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// plainOf is what a layer is after decompression; of one that is broken,
// whatever comes out of it.
func plainOf(b []byte) []byte {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return b
	}
	plain, _ := io.ReadAll(z) // up to the error
	return plain
}

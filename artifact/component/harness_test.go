package component

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"souk/artifact/registry"
	"souk/artifact/registry/registrytest"
	"souk/storage/store"
	"souk/storage/store/sqlite/sqlitetest"
)

// The accounts of the tests. An account's key has its id as its id.
const (
	sellerAccount = "111111111111"
	otherAccount  = "222222222222"
)

// house is components on a real registry and a real store.
type house struct {
	*Components
	t        *testing.T
	registry *registrytest.Served
	store    store.Store
	inUse    atomic.Pointer[string]
	// documents has what documents of the tests say, by their text.
	documents map[string]Document
}

var theTime = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

func newHouse(t *testing.T, limits Limits) *house {
	t.Helper()
	s := sqlitetest.Open(t)
	r := registrytest.Serve(t, s, nil)
	b := &house{t: t, registry: r, store: s, documents: map[string]Document{}}
	var err error
	b.Components, err = New(Config{
		Store: s, Registry: r.Registry, Keys: r.Keys, Limits: limits, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Now: func() time.Time { return theTime },
		Parse: func(text string) (Document, error) {
			if strings.HasPrefix(text, "bad") {
				return Document{}, errors.New("line 1: it is bad")
			}
			if d, ok := b.documents[text]; ok {
				return d, nil
			}
			return Document{Phases: []string{"build"}}, nil
		},
		InUse: func(context.Context, Component) (string, error) {
			if by := b.inUse.Load(); by != nil {
				return *by, nil
			}
			return "", nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for repository, account := range map[string]string{"acme/ami": sellerAccount, "other/ami": otherAccount} {
		err = s.Commit(t.Context(), store.Batch{Put: []store.Write{{Document: store.Document{
			Key: store.Key{Kind: registry.KindRepository, ID: repository}, Body: []byte(`{"Account":"` + account + `"}`),
		}}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// tool is a component of the seller.
func tool() NewComponent {
	return NewComponent{Account: sellerAccount, Region: "us-east-1", Name: "My Tool", Version: "1.0.0", Document: "schemaVersion: 1.0", SupportedOS: []string{"Debian 13"}}
}

func (b *house) make(n NewComponent) Component {
	b.t.Helper()
	c, err := b.Create(b.t.Context(), n)
	if err != nil {
		b.t.Fatalf("making %s %s: %v", n.Name, n.Version, err)
	}
	return c
}

// healthy fails the test if the doctor finds anything.
func (b *house) healthy() {
	b.t.Helper()
	findings, err := b.Doctor(context.WithoutCancel(b.t.Context()))
	if err != nil || len(findings) > 0 {
		b.t.Errorf("the doctor finds %q, %v", findings, err)
	}
}

// entry is one of an archive.
type entry struct {
	tar.Header
	content string
}

func file(name, content string, mode int64) entry {
	return entry{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode}, content}
}

func folderEntry(name string) entry {
	return entry{Header: tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755}}
}

func symlink(name, target string) entry {
	return entry{Header: tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target}}
}

func hardlink(name, target string) entry {
	return entry{Header: tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: target}}
}

func archiveOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		e.Size = int64(len(e.content))
		err := w.WriteHeader(&e.Header)
		if err == nil {
			_, err = io.WriteString(w, e.content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// image is an image with archives as its layers.
func image(t testing.TB, layers ...[]byte) v1.Image {
	t.Helper()
	i := empty.Image
	for _, l := range layers {
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(l)), nil }, tarball.WithCompressedCaching)
		if err == nil {
			i, err = mutate.AppendLayers(i, layer)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return i
}

// push pushes an image as an account.
func (b *house) push(account, reference string, i v1.Image) error {
	b.t.Helper()
	return remote.Write(b.registry.Reference(b.t, reference), i, registrytest.As(account), remote.WithContext(b.t.Context()))
}

// with makes a component whose files have these archives.
func (b *house) with(n NewComponent, layers ...[]byte) (Component, error) {
	b.t.Helper()
	err := b.push(sellerAccount, "acme/ami:files", image(b.t, layers...))
	if err != nil {
		b.t.Fatal(err)
	}
	n.Tags = map[string]string{FilesTag: "acme/ami:files"}
	return b.Create(b.t.Context(), n)
}

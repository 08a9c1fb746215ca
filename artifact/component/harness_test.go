package component

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"souk/access/iam"
	"souk/access/keyring"
	"souk/artifact/registry"
	"souk/catalog/procurement"
	"souk/storage/store"
	"souk/storage/store/sqlite"
)

// The accounts of the tests. An account's key has its id as its id.
const (
	sellerAccount = "111111111111"
	otherAccount  = "222222222222"
	secret        = "the secret of all"
)

// house is components on a real registry and a real store.
type house struct {
	*Components
	t      *testing.T
	server *httptest.Server
	store  store.Store
	inUse  atomic.Pointer[string]
	// documents has what documents of the tests say, by their text.
	documents map[string]Document
}

var theTime = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

func newHouse(t *testing.T, limits Limits) *house {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "souk.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	var handler atomic.Pointer[http.Handler]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*handler.Load()).ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	own, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	r, err := registry.New(registry.Config{
		Root: filepath.Join(t.TempDir(), "registry"), Store: s,
		Credentials: func(_ context.Context, id, _ string) (string, *iam.Principal, bool, error) {
			return secret, &iam.Principal{Account: id, ARN: "arn:aws:iam::" + id + ":root", ID: id, Root: true}, true, nil
		},
		Decide: iam.Decide,
		MayObtain: func(context.Context, string, string, string) (procurement.Answer, error) {
			return procurement.Answer{Reason: "nothing is sold here"}, nil
		},
		PublicURL: own, Keyring: keyring.New([32]byte{1}), Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	h := r.Handler()
	handler.Store(&h)
	b := &house{t: t, server: server, store: s, documents: map[string]Document{}}
	b.Components, err = New(Config{
		Store: s, Registry: r, Keys: keyring.New([32]byte{1}), Limits: limits, Log: log, Now: func() time.Time { return theTime },
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
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(l)), nil })
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
	ref, err := name.ParseReference(strings.TrimPrefix(b.server.URL, "http://")+"/"+reference, name.Insecure)
	if err != nil {
		b.t.Fatal(err)
	}
	return remote.Write(ref, i, remote.WithAuth(&authn.Basic{Username: account, Password: secret}), remote.WithContext(b.t.Context()))
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

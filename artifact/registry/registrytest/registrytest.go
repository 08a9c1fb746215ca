// Package registrytest gives tests of other rooms a real registry on a server of
// its own. Every account may do with its repositories what it likes, and nothing
// is sold. What the registry does is tested in its own room.
package registrytest

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"testing"

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
)

// secret is that of all access keys. An account's key has the account's id as
// its id.
const secret = "the secret of all"

// Served is a registry and the server on which it is.
type Served struct {
	*registry.Registry
	URL  *url.URL       // of the server
	Root string         // folder of the registry's files
	Mux  *http.ServeMux // of the server: what else it has may be added
	Keys *keyring.Ring
}

// Serve makes a registry, until the end of the test. edit, which may be nil,
// changes how.
func Serve(tb testing.TB, s store.Store, edit func(*registry.Config)) *Served {
	tb.Helper()
	r := &Served{Root: filepath.Join(tb.TempDir(), "registry"), Mux: http.NewServeMux(), Keys: keyring.New([32]byte{1})}
	server := httptest.NewServer(r.Mux)
	tb.Cleanup(server.Close)
	var err error
	r.URL, err = url.Parse(server.URL)
	if err != nil {
		tb.Fatal(err)
	}
	config := registry.Config{
		Root: r.Root, Store: s,
		Credentials: func(_ context.Context, id, _ string) (string, *iam.Principal, bool, error) {
			return secret, &iam.Principal{Account: id, ARN: "arn:aws:iam::" + id + ":root", ID: id, Root: true}, true, nil
		},
		Decide: iam.Decide,
		MayObtain: func(context.Context, string, string, string) (procurement.Answer, error) {
			return procurement.Answer{Reason: "nothing is sold here"}, nil
		},
		PublicURL: r.URL, Keyring: r.Keys, Log: slog.New(slog.NewTextHandler(tb.Output(), nil)),
	}
	if edit != nil {
		edit(&config)
	}
	r.Registry, err = registry.New(config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := r.Close(); err != nil {
			tb.Errorf("closing the registry: %v", err)
		}
	})
	r.Mux.Handle("/v2/", r.Handler())
	return r
}

// Reference names REPOSITORY:TAG or REPOSITORY@DIGEST.
func (r *Served) Reference(tb testing.TB, what string) name.Reference {
	tb.Helper()
	ref, err := name.ParseReference(r.URL.Host+"/"+what, name.Insecure)
	if err != nil {
		tb.Fatal(err)
	}
	return ref
}

// As logs in as an account's root user.
func As(account string) remote.Option {
	return remote.WithAuth(&authn.Basic{Username: account, Password: secret})
}

// Push pushes an image of Linux on amd64 as an account, to REPOSITORY:TAG. Its
// layers are tar archives, plain or compressed.
func (r *Served) Push(tb testing.TB, account, reference string, layers ...[]byte) (digest string) {
	tb.Helper()
	image := imageOf(tb, layers)
	err := remote.Write(r.Reference(tb, reference), image, As(account), remote.WithContext(tb.Context()))
	if err != nil {
		tb.Fatal(err)
	}
	d, err := image.Digest()
	if err != nil {
		tb.Fatal(err)
	}
	return d.String()
}

func imageOf(tb testing.TB, archives [][]byte) v1.Image {
	tb.Helper()
	image, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: "amd64"})
	for _, a := range archives {
		var layer v1.Layer
		if err == nil {
			// Compressed once, and not again for each of its digest, its size and its bytes.
			layer, err = tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(a)), nil }, tarball.WithCompressedCaching)
		}
		if err == nil {
			image, err = mutate.AppendLayers(image, layer)
		}
	}
	if err != nil {
		tb.Fatal(err)
	}
	return image
}

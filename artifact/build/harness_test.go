package build

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"souk/artifact/images"
	"souk/artifact/installer"
	"souk/artifact/installer/installertest"
	"souk/artifact/registry/registrytest"
	"souk/catalog/change"
	"souk/gateway/apierror"
	"souk/storage/blob"
	"souk/storage/store"
	"souk/storage/store/postgres"
	"souk/storage/store/postgres/pgtest"
	"souk/storage/store/sqlite/sqlitetest"
	"souk/storage/worktest"
)

func TestMain(m *testing.M) {
	code := pgtest.Main(m)
	installertest.Tidy()
	os.Exit(code)
}

const (
	account = "111111111111"
	other   = "222222222222"
	region  = "us-east-1"
)

// house is builds on a real store, a real registry and real machines.
type house struct {
	*Builds
	t        *testing.T
	registry *registrytest.Served
	at       string // folder of machines and installers
	blobs    string // folder of logs
	store    store.Store
	source   images.AMI

	mu       sync.Mutex // guards what follows
	options  map[string]Option
	obtained []string
	seen     []string // ids of images that were scanned
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

// open makes a house. Nothing is built until start.
func open(t *testing.T, s store.Store, edit func(*Config)) *house {
	t.Helper()
	h := &house{t: t, store: s, at: t.TempDir(), blobs: filepath.Join(t.TempDir(), "files"), options: map[string]Option{}}
	h.registry = registrytest.Serve(t, s, nil)
	r := h.registry
	all, err := images.New(images.Config{Store: s, Registry: r.Registry})
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := blob.New(blob.Config{Root: h.blobs, PublicURL: r.URL, Keyring: r.Keys})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { blobs.Close() })
	r.Mux.Handle("/blobs/", blobs.Handler())
	c := Config{
		Store: s, Images: all, Logs: blobs, Keys: r.Keys, Owner: "node-1",
		Option: func(_ context.Context, account, id string) (Option, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			o, ok := h.options[id]
			switch {
			case !ok:
				return Option{}, ErrNoOption
			case account == other:
				return Option{}, &Denied{"the private marketplace has no such product"}
			}
			return o, nil
		},
		Mismatch: func(_ context.Context, o Option, source images.AMI) (string, error) {
			if len(o.Component.Systems) > 0 && !slices.Contains(o.Component.Systems, source.Platform) {
				return "it supports " + strings.Join(o.Component.Systems, ", "), nil
			}
			return "", nil
		},
		Obtained: func(_ context.Context, account string, o Option) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.obtained = append(h.obtained, account+" "+o.Product+" "+o.VersionID)
			return nil
		},
		Unpack: func(_ context.Context, o Option, folder string) error {
			return os.WriteFile(filepath.Join(folder, "of"), []byte(o.Component.Files.Digest), 0o644)
		},
		Derive: func(ctx context.Context, d images.Derivation) (images.AMI, store.Batch, error) {
			return all.Derive(ctx, change.Seller{Account: d.Account, Namespace: "ns-" + d.Account}, d)
		},
		Topic: func(_ context.Context, account, arn string) error {
			if arn != "arn:aws:sns:us-east-1:"+account+":builds" {
				return ErrNoTopic
			}
			return nil
		},
		Announce: func(b *Build) ([]store.Write, error) {
			body, err := json.Marshal(b)
			return []store.Write{{Document: store.Document{Key: store.Key{Kind: "test-message", ID: b.ID + "/" + string(b.Status)}, Body: body}}}, err
		},
		Scan: func(_ context.Context, _ *Build, a images.AMI) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.seen = append(h.seen, a.ID)
			return nil
		},
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	if edit != nil {
		edit(&c)
	}
	if c.Installer == nil {
		c.Installer, err = installer.New(installer.Config{
			Machines: installertest.Machines(t, h.at), Folder: filepath.Join(h.at, "installing"),
			Limits: installer.Limits{Memory: 128 << 20, Disk: 64 << 20, Time: 5 * time.Minute},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	h.Builds, err = New(c)
	if err != nil {
		t.Fatal(err)
	}
	h.source = h.image(account, "base")
	h.offer("fo-one", installertest.Document("build", "echo hello; echo careful >&2; echo one >/opt/one"))
	return h
}

// image registers an AMI with a shell.
func (h *house) image(account, called string) images.AMI {
	h.t.Helper()
	ctx := h.t.Context()
	repository, err := h.config.Images.Repository(ctx, change.Seller{Account: account, Namespace: "ns-" + account})
	if err != nil {
		h.t.Fatal(err)
	}
	text := installertest.Base(h.t)
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil })
	if err != nil {
		h.t.Fatal(err)
	}
	image, err := mutate.AppendLayers(empty.Image, l)
	if err == nil {
		image, err = mutate.ConfigFile(image, &v1.ConfigFile{OS: "linux", Architecture: "amd64", RootFS: rootFS(h.t, image)})
	}
	if err != nil {
		h.t.Fatal(err)
	}
	err = remote.Write(h.registry.Reference(h.t, repository+":latest"), image, registrytest.As(account))
	if err != nil {
		h.t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		h.t.Fatal(err)
	}
	a, err := h.config.Images.Register(ctx, images.Registration{Account: account, Name: called, Repository: repository, Digest: digest.String()})
	if err != nil {
		h.t.Fatal(err)
	}
	return a
}

func rootFS(t *testing.T, i v1.Image) v1.RootFS {
	t.Helper()
	c, err := i.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	return c.RootFS
}

// offer makes a fulfillment option.
func (h *house) offer(id, document string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	o := Option{ID: id, Product: "prod-" + id, Title: "Product " + id, Code: strings.ReplaceAll(id, "-", ""), VersionID: "v-" + id, Version: "1.0",
		Component: Component{ARN: "arn:" + id, Name: id, Document: document, Platform: "Linux"}}
	for _, p := range []string{"build", "validate", "test"} {
		if strings.Contains(document, "- name: "+p+"\n") {
			o.Component.Phases = append(o.Component.Phases, p)
		}
	}
	h.options[id] = o
}

// run runs a node until the test ends, or until it is stopped.
func (h *house) run() (stop func()) {
	h.t.Helper()
	return worktest.Run(h.t, h.Run)
}

func (h *house) request(name string, edit ...func(*Request)) Request {
	r := Request{Account: account, Region: region, Options: []string{"fo-one"}, Source: h.source.ID, Name: name}
	for _, e := range edit {
		e(&r)
	}
	return r
}

// begin starts a build.
func (h *house) begin(name string, edit ...func(*Request)) *Build {
	h.t.Helper()
	b, err := h.Start(h.t.Context(), h.request(name, edit...))
	if err != nil {
		h.t.Fatal(err)
	}
	return b
}

func (h *house) read(id string) *Build {
	h.t.Helper()
	d, err := h.store.Get(h.t.Context(), store.Key{Kind: Kind, ID: id})
	if err != nil {
		h.t.Fatal(err)
	}
	b, err := decode(d)
	if err != nil {
		h.t.Fatal(err)
	}
	return b
}

// until waits for something to be so.
func (h *house) until(what string, so func() bool) {
	h.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(2 * time.Minute); !so(); {
		select {
		case <-tick.C:
		case <-late:
			h.t.Fatalf("it is not so within two minutes: %s", what)
		}
	}
}

// ended waits for the end of a build.
func (h *house) ended(id string) *Build {
	h.t.Helper()
	h.until("build "+id+" has ended", func() bool { return h.read(id).Status != InProgress })
	return h.read(id)
}

// log reads the logs of a build by their addresses.
func (h *house) log(b *Build) (stdout, stderr string) {
	h.t.Helper()
	one, two, err := h.LogURLs(b)
	if err != nil {
		h.t.Fatal(err)
	}
	text := func(at string) string {
		if at == "" {
			return ""
		}
		got, err := http.Get(at)
		if err != nil {
			h.t.Fatal(err)
		}
		defer got.Body.Close()
		b, err := io.ReadAll(got.Body)
		if err != nil || got.StatusCode != http.StatusOK {
			h.t.Fatalf("%s: %s %v", at, got.Status, err)
		}
		return string(b)
	}
	return text(one), text(two)
}

// healthy wants nothing found by the doctors, and no machine left.
func (h *house) healthy() {
	h.t.Helper()
	wrong, err := h.Doctor(h.t.Context())
	of, also := h.config.Images.Doctor(h.t.Context())
	if err := errors.Join(err, also); err != nil || len(wrong)+len(of) > 0 {
		h.t.Errorf("the doctors find %q, %q, %v", wrong, of, err)
	}
}

// code is that of an error that clients see.
func code(err error) string {
	var e *apierror.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return fmt.Sprint(err)
}

package image

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	pictures "image"
	"image/png"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
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
	"souk/artifact/images"
	"souk/artifact/registry"
	"souk/catalog/change"
	"souk/catalog/procurement"
	"souk/gateway/apierror"
	"souk/storage/blob"
	"souk/storage/store"
	"souk/storage/store/sqlite/sqlitetest"
	"souk/storage/worktest"
)

const (
	owner   = "111111111111"
	other   = "222222222222"
	market  = "999999999999" // the management account
	region  = "us-east-1"
	role    = "arn:aws:iam::111111111111:role/images"
	secret  = "the secret of all"
	release = "ID=ubuntu\nVERSION_ID=\"24.04\"\nNAME=Ubuntu\nPRETTY_NAME=\"Ubuntu 24.04.1 LTS\"\n"
)

// house is AppStream images on a real store and a real registry.
type house struct {
	*Images
	t        *testing.T
	server   *httptest.Server
	root     string // of the registry's files
	store    store.Store
	registry *registry.Registry

	mu     sync.Mutex      // guards what follows
	used   map[string]bool // IDs of images that builders were made from
	by     string          // those builders
	denied map[string]bool // actions that the role does not allow
	boots  error           // what starting a machine ends with
	late   time.Duration   // how much later it is
}

// May implements Roles.
func (h *house) May(_ context.Context, account, arn, action, _ string) (there, allowed bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	there = strings.HasPrefix(arn, "arn:aws:iam::"+account+":role/") && strings.HasSuffix(arn, "/images")
	return there, there && !h.denied[action], nil
}

func open(t *testing.T, s store.Store, edit func(*Config)) *house {
	t.Helper()
	h := &house{t: t, store: s, used: map[string]bool{}, denied: map[string]bool{}, by: "arn:aws:appstream:us-east-1:111111111111:image-builder/one"}
	var handler atomic.Pointer[http.Handler]
	h.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*handler.Load()).ServeHTTP(w, r) }))
	t.Cleanup(h.server.Close)
	own, err := url.Parse(h.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	keys := keyring.New([32]byte{1})
	h.root = filepath.Join(t.TempDir(), "registry")
	h.registry, err = registry.New(registry.Config{
		Root: h.root, Store: s,
		Credentials: func(_ context.Context, id, _ string) (string, *iam.Principal, bool, error) {
			return secret, &iam.Principal{Account: id, ARN: "arn:aws:iam::" + id + ":root", ID: id, Root: true}, true, nil
		},
		Decide: iam.Decide,
		MayObtain: func(context.Context, string, string, string) (procurement.Answer, error) {
			return procurement.Answer{Reason: "nothing is sold here"}, nil
		},
		PublicURL: own, Keyring: keys,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.registry.Close() })
	all, err := images.New(images.Config{Store: s, Registry: h.registry})
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := blob.New(blob.Config{Root: filepath.Join(t.TempDir(), "files"), PublicURL: own, Keyring: keys})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { blobs.Close() })
	mux := http.NewServeMux()
	mux.Handle("/v2/", h.registry.Handler())
	mux.Handle("/blobs/", blobs.Handler())
	var serve http.Handler = mux
	handler.Store(&serve)
	c := Config{
		Store: s, AMIs: all, Blobs: blobs, Keys: keys, Roles: h,
		Repository: func(ctx context.Context, account string) (string, error) {
			return all.AppStreamRepository(ctx, seller(account))
		},
		Export: func(ctx context.Context, d images.Derivation) (images.AMI, store.Batch, error) {
			return all.Derive(ctx, seller(d.Account), d)
		},
		Management: func(context.Context) (string, error) { return market, nil },
		InUse: func(_ context.Context, i Image) (string, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			if h.used[i.ID] {
				return h.by, nil
			}
			return "", nil
		},
		Boots: func(context.Context, Image, string) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			return h.boots
		},
		Instance:     func(name string) bool { return strings.HasPrefix(name, "stream.standard.") },
		AgentVersion: "06-01-2026", Architecture: images.X8664,
		Now: func() time.Time {
			h.mu.Lock()
			defer h.mu.Unlock()
			return time.Now().Add(h.late)
		},
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	if edit != nil {
		edit(&c)
	}
	h.Images, err = New(c)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// here is a house on SQLite with a node that works.
func here(t *testing.T, edit func(*Config)) *house {
	t.Helper()
	h := open(t, sqlitetest.Open(t), edit)
	worktest.Run(t, h.Run)
	return h
}

func seller(account string) change.Seller {
	return change.Seller{Account: account, Namespace: "ns-" + account}
}

// a file of a layer.
type file struct {
	name, text string
	mode       int64
	link       string
	kind       byte
}

// picture is a small icon.
var picture = drawn(16, 16)

// drawn is a PNG of so many pixels.
func drawn(width, height int) string {
	var b bytes.Buffer
	err := png.Encode(&b, pictures.NewGray(pictures.Rect(0, 0, width, height)))
	if err != nil {
		panic(err) // into memory
	}
	return b.String()
}

// base is a root file system with an application.
var base = []file{
	{name: "bin/sh", text: "#!", mode: 0o755},
	{name: "etc/os-release", text: release, mode: 0o644},
	{name: "opt/app/run", text: "#!/bin/sh\n", mode: 0o755},
	{name: "opt/app/icon.png", text: picture, mode: 0o644},
	{name: "opt/app/huge.png", text: drawn(20_000, 8), mode: 0o644},
	{name: "opt/app/text", text: "text", mode: 0o644},
	{name: "usr/bin/app", link: "../../opt/app/run", kind: tar.TypeSymlink},
}

func archive(t *testing.T, files []file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.text)), Typeflag: tar.TypeReg, Linkname: f.link}
		if f.kind != 0 {
			h.Typeflag = f.kind
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, f.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// ami registers a machine image of some files.
func (h *house) ami(account, called string, files []file, edit ...func(*images.Registration)) images.AMI {
	h.t.Helper()
	ctx := h.t.Context()
	repository, err := h.config.AMIs.Repository(ctx, seller(account))
	if err != nil {
		h.t.Fatal(err)
	}
	text := archive(h.t, files)
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil })
	if err != nil {
		h.t.Fatal(err)
	}
	picture, err := mutate.AppendLayers(empty.Image, l)
	if err != nil {
		h.t.Fatal(err)
	}
	config, err := picture.ConfigFile()
	if err != nil {
		h.t.Fatal(err)
	}
	picture, err = mutate.ConfigFile(picture, &v1.ConfigFile{OS: "linux", Architecture: "amd64", RootFS: config.RootFS})
	if err != nil {
		h.t.Fatal(err)
	}
	ref, err := name.ParseReference(strings.TrimPrefix(h.server.URL, "http://") + "/" + repository + ":latest")
	if err == nil {
		err = remote.Write(ref, picture, remote.WithAuth(&authn.Basic{Username: account, Password: secret}))
	}
	if err != nil {
		h.t.Fatal(err)
	}
	digest, err := picture.Digest()
	if err != nil {
		h.t.Fatal(err)
	}
	r := images.Registration{Account: account, Name: called, Repository: repository, Digest: digest.String()}
	for _, e := range edit {
		e(&r)
	}
	a, err := h.config.AMIs.Register(ctx, r)
	if err != nil {
		h.t.Fatal(err)
	}
	return a
}

// request asks for an import that is allowed.
func request(a images.AMI, name string) ImportRequest {
	return ImportRequest{Account: a.Owner, Region: region, Name: name, AMI: a.ID, Role: strings.Replace(role, owner, a.Owner, 1)}
}

// imports imports an AMI and waits for its end.
func (h *house) imports(q ImportRequest) Image {
	h.t.Helper()
	i, err := h.Import(h.t.Context(), q)
	if err != nil {
		h.t.Fatal(err)
	}
	return h.ended(i)
}

// image makes an image that is AVAILABLE.
func (h *house) image(account, name string) Image {
	h.t.Helper()
	i := h.imports(request(h.ami(account, "ami of "+name, base), name))
	if i.State != Available {
		h.t.Fatalf("image %s is %s: %+v", name, i.State, i.Reason)
	}
	return i
}

// see reads an image as its owner sees it.
func (h *house) see(i Image) (Image, error) {
	return h.find(h.t.Context(), i.Owner, i.Region, i.ARN)
}

// ended waits until nobody works on an image.
func (h *house) ended(i Image) Image {
	h.t.Helper()
	var now Image
	h.until("image "+i.Name+" is ready", func() bool {
		var err error
		now, err = h.see(i)
		if err != nil {
			h.t.Fatal(err)
		}
		return now.State == Available || now.State == Failed
	})
	return now
}

// until waits for something to be so.
func (h *house) until(what string, so func() bool) {
	h.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(time.Minute); !so(); {
		select {
		case <-tick.C:
		case <-late:
			h.t.Fatalf("it is not so within a minute: %s", what)
		}
	}
}

// layer writes a layer as a builder does.
func (h *house) layer(files ...file) *images.LayerFile {
	h.t.Helper()
	f, err := os.Create(filepath.Join(h.t.TempDir(), "layer.tar.gz"))
	if err != nil {
		h.t.Fatal(err)
	}
	text := archive(h.t, files)
	l, err := images.CompressLayer(f, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
	if err := errors.Join(err, f.Close()); err != nil {
		h.t.Fatal(err)
	}
	l.File = f.Name()
	return l
}

// begin begins an image as a builder does.
func (h *house) begin(from Image, name string, edit ...func(*Beginning)) Image {
	h.t.Helper()
	b := Beginning{Account: owner, Region: region, Name: name, Base: from, BuilderName: "builder", AgentVersion: "06-01-2026"}
	for _, e := range edit {
		e(&b)
	}
	i, batch, err := h.Begin(h.t.Context(), b)
	if err == nil {
		err = h.store.Commit(h.t.Context(), batch)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return i
}

// commit commits what a step returned.
func (h *house) commit(batch store.Batch, err error) {
	h.t.Helper()
	if err == nil {
		err = h.store.Commit(h.t.Context(), batch)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// healthy wants nothing found by the doctors.
func (h *house) healthy() {
	h.t.Helper()
	wrong, err := h.Doctor(h.t.Context())
	of, also := h.config.AMIs.Doctor(h.t.Context())
	if err := errors.Join(err, also); err != nil || len(wrong)+len(of) > 0 {
		h.t.Errorf("the doctors find %q, %q, %v", wrong, of, err)
	}
}

// files are what an image has at paths.
func (h *house) files(i Image, paths ...string) string {
	h.t.Helper()
	found, err := h.config.AMIs.Look(h.t.Context(), i.Place, paths)
	if err != nil {
		h.t.Fatal(err)
	}
	var all []string
	for _, p := range paths {
		if _, ok := found[p]; ok {
			all = append(all, p)
		}
	}
	return strings.Join(all, " ")
}

// code is that of an error that clients see.
func code(err error) string {
	var e *apierror.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return fmt.Sprint(err)
}

// refused wants an error with a code and a text in it.
func refused(t *testing.T, err error, want, text string) {
	t.Helper()
	if code(err) != want || !strings.Contains(fmt.Sprint(err), text) {
		t.Errorf("got %v, want %s with %q", err, want, text)
	}
}

// lose takes the bytes of an image away, as their owner may.
func (h *house) lose(i Image) {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), http.MethodDelete, h.server.URL+"/v2/"+i.Place.Repository+"/manifests/"+i.Place.Digest, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	r.SetBasicAuth(i.Owner, secret)
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	got.Body.Close()
	if got.StatusCode != http.StatusAccepted {
		h.t.Fatalf("deleting the bytes of %s: %s", i.Name, got.Status)
	}
}

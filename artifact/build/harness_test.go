package build

import (
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

	"souk/artifact/images"
	"souk/artifact/images/imagestest"
	"souk/artifact/installer"
	"souk/artifact/installer/installertest"
	"souk/gateway/apierror"
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
	t      *testing.T
	below  *imagestest.House // its files are the logs
	at     string            // folder of machines and installers
	store  store.Store
	source images.AMI

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
	h := &house{t: t, store: s, at: t.TempDir(), options: map[string]Option{}}
	h.below = imagestest.Open(t, s)
	c := Config{
		Store: s, Images: h.below.Images, Logs: h.below.Blobs, Keys: h.below.Registry.Keys, Owner: "node-1",
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
		Derive: h.below.Derive,
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
	var err error
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
	return h.below.Register(account, called, installertest.Base(h.t))
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

// ended waits for the end of a build.
func (h *house) ended(id string) *Build {
	h.t.Helper()
	worktest.Until(h.t, "build "+id+" has ended", func() bool { return h.read(id).Status != InProgress })
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

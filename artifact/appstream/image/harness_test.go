package image

import (
	"bytes"
	"context"
	"errors"
	pictures "image"
	"image/png"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"souk/artifact/archive/archivetest"
	"souk/artifact/images"
	"souk/artifact/images/imagestest"
	"souk/artifact/registry/registrytest"
	"souk/gateway/apierror"
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
	release = "ID=ubuntu\nVERSION_ID=\"24.04\"\nNAME=Ubuntu\nPRETTY_NAME=\"Ubuntu 24.04.1 LTS\"\n"
)

// house is AppStream images on a real store and real machine images.
type house struct {
	*Images
	t     *testing.T
	store store.Store
	below *imagestest.House

	mu     sync.Mutex      // guards what follows
	used   map[string]bool // IDs of images that builders were made from
	by     string          // those builders
	denied string          // action that the role does not allow
	boots  error           // what starting a machine ends with
	late   time.Duration   // how much later it is
}

// May implements Roles.
func (h *house) May(_ context.Context, account, arn, action, _ string) (there, allowed bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	there = strings.HasPrefix(arn, "arn:aws:iam::"+account+":role/") && strings.HasSuffix(arn, "/images")
	return there, there && action != h.denied, nil
}

// deny makes the role allow everything but an action.
func (h *house) deny(action string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.denied = action
}

func open(t *testing.T, s store.Store, edit func(*Config)) *house {
	t.Helper()
	h := &house{t: t, store: s, used: map[string]bool{}, by: "arn:aws:appstream:us-east-1:111111111111:image-builder/one"}
	h.below = imagestest.Open(t, s)
	c := Config{
		Store: s, AMIs: h.below.Images, Blobs: h.below.Blobs, Keys: h.below.Registry.Keys, Roles: h,
		Repository: h.below.AppStreamRepository, Export: h.below.Derive,
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
	var err error
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
var base = []archivetest.Entry{
	program("bin/sh", "#!"),
	archivetest.File("etc/os-release", release),
	program("opt/app/run", "#!/bin/sh\n"),
	archivetest.File("opt/app/icon.png", picture),
	archivetest.File("opt/app/huge.png", drawn(20_000, 8)),
	archivetest.File("opt/app/text", "text"),
	archivetest.Symlink("usr/bin/app", "../../opt/app/run"),
}

// program is a file that may be run.
func program(name, text string) archivetest.Entry {
	e := archivetest.File(name, text)
	e.Mode = 0o755
	return e
}

// ami registers a machine image of some files.
func (h *house) ami(account, called string, files []archivetest.Entry, edit ...func(*images.Registration)) images.AMI {
	h.t.Helper()
	return h.below.Register(account, called, archivetest.Tar(files...), edit...)
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
	worktest.Until(h.t, "image "+i.Name+" is ready", func() bool {
		var err error
		now, err = h.see(i)
		if err != nil {
			h.t.Fatal(err)
		}
		return now.State == Available || now.State == Failed
	})
	return now
}

// layer writes a layer as a builder does.
func (h *house) layer(files ...archivetest.Entry) *images.LayerFile {
	h.t.Helper()
	f, err := os.Create(filepath.Join(h.t.TempDir(), "layer.tar.gz"))
	if err != nil {
		h.t.Fatal(err)
	}
	text := archivetest.Tar(files...)
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

// refused wants an error with a code and a text in it.
func refused(t *testing.T, err error, want, text string) {
	t.Helper()
	if !apierror.Is(err, want) || !strings.Contains(err.Error(), text) {
		t.Errorf("got %v, want %s with %q", err, want, text)
	}
}

// lose takes the bytes of an image away, as their owner may.
func (h *house) lose(i Image) {
	h.t.Helper()
	err := remote.Delete(h.below.Registry.Reference(h.t, i.Place.Repository+"@"+i.Place.Digest), registrytest.As(i.Owner), remote.WithContext(h.t.Context()))
	if err != nil {
		h.t.Fatalf("deleting the bytes of %s: %v", i.Name, err)
	}
}

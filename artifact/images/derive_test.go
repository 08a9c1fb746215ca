package images

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"souk/artifact/archive/archivetest"
	"souk/catalog/change"
	"souk/storage/store"
)

var buyer = change.Seller{Account: otherAccount, Namespace: "buyer"}

// layerOf is a new layer of some entries.
func layerOf(t *testing.T, entries ...archivetest.Entry) *LayerFile {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "layer"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	l, err := CompressLayer(f, func(w io.Writer) error {
		_, err := io.Copy(w, bytes.NewReader(archivetest.Tar(entries...)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	l.File = f.Name()
	return l
}

// worker is a document whose work is to make AMIs.
var worker = store.Key{Kind: "test-work", ID: "one"}

// holding takes a name for an AMI of the buyer and returns what makes it.
func (h *house) holding(name string, source AMI, l *LayerFile) Derivation {
	h.t.Helper()
	id, err := h.NewID()
	if err != nil {
		h.t.Fatal(err)
	}
	err = h.config.Store.Commit(h.t.Context(), store.Batch{Put: []store.Write{
		Hold(buyer.Account, name, id, worker), {Document: store.Document{Key: worker}, Was: store.Any},
	}})
	if err != nil {
		h.t.Fatal(err)
	}
	return Derivation{
		ID: id, Account: buyer.Account, Name: name, Source: source, Layer: l, CreatedBy: "a test", Codes: []string{"abc"}, Origin: "test",
	}
}

// derive makes an AMI, with a document beside it.
func (h *house) derive(d Derivation) (AMI, error) {
	h.t.Helper()
	a, b, err := h.Derive(h.t.Context(), buyer, d)
	if err != nil {
		return AMI{}, err
	}
	b.Put = append(b.Put, store.Write{Document: store.Document{Key: store.Key{Kind: "test-end", ID: d.ID}}})
	return a, h.config.Store.Commit(h.t.Context(), b)
}

func TestAnAMIIsMadeOfAnotherAndALayer(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(*testing.T) store.Store{"sqlite": onSQLite, "postgres": onPostgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, open(t))
			ctx := t.Context()
			source := h.register(seller, "base", func(r *Registration) { r.ProductCodes = []string{"xyz"}; r.Public = true })
			d := h.holding("derived", source, layerOf(t, archivetest.Dir("opt"), archivetest.File("opt/new", "installed")))

			repository, digest := h.push(buyer, h.debian())
			if _, err := h.Register(ctx, Registration{Account: buyer.Account, Name: "derived", Repository: repository, Digest: digest}); !errors.Is(err, ErrNameTaken) {
				t.Errorf("another takes the name that is held: %v", err)
			}
			a, err := h.derive(d)
			if err != nil {
				t.Fatal(err)
			}
			if a.ID != d.ID || a.Owner != buyer.Account || a.Public || a.State != StateAvailable || a.Platform != source.Platform || strings.Join(a.ProductCodes, " ") != "xyz abc" ||
				a.Size != source.Size+d.Layer.Size || a.Unpacked != source.Unpacked+d.Layer.Unpacked || a.Repository != "buyer/ami" {
				t.Errorf("made %+v of %+v", a, source)
			}
			image, err := remote.Image(h.ref(a.Repository+"@"+a.Digest), as(buyer.Account))
			if err == nil {
				err = validate.Image(image)
			}
			if err != nil {
				t.Errorf("the image is not whole: %v", err)
			}
			config, err := image.ConfigFile()
			if err != nil || len(config.History) == 0 || config.History[len(config.History)-1].CreatedBy != "a test" {
				t.Errorf("history %+v, %v", config.History, err)
			}
			all, err := h.Layers(ctx, a.Repository, a.Digest)
			if err != nil || len(all) != 2 || all[1].DiffID != d.Layer.DiffID {
				t.Errorf("layers %+v, %v", all, err)
			}
			if _, err := h.derive(d); !errors.Is(err, store.ErrConflict) {
				t.Errorf("made a second time: %v", err)
			}
			if wrong, err := h.Doctor(ctx); err != nil || len(wrong) > 0 {
				t.Errorf("the doctor finds %q, %v", wrong, err)
			}
			if err := h.Deregister(ctx, buyer.Account, a.ID); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestALayerMayChangeWhichSystemItIs(t *testing.T) {
	t.Parallel()
	h := newHouse(t, onSQLite(t))
	source := h.register(seller, "base", func(r *Registration) { r.Public = true })
	d := h.holding("derived", source, layerOf(t, archivetest.File("usr/lib/os-release", "NAME=Other\nVERSION_ID=2\n")))
	a, err := h.derive(d)
	if err != nil || a.Platform != "Other 2" {
		t.Errorf("platform %q, %v", a.Platform, err)
	}
	gone := h.holding("rootless", source, layerOf(t, archivetest.File("usr/lib/.wh.os-release", ""), archivetest.File("etc/.wh.os-release", "")))
	if _, err := h.derive(gone); !errors.Is(err, ErrBadImage) {
		t.Errorf("without os-release: %v", err)
	}
	moved := h.holding("moved", source, layerOf(t, archivetest.Dir("opt/"), archivetest.File("usr", ""), archivetest.Symlink("etc", "/opt")))
	if _, err := h.derive(moved); !errors.Is(err, ErrBadImage) {
		t.Errorf("with a link in the place of the folder of os-release: %v", err)
	}
}

func TestAHostileLayerBecomesNoAMI(t *testing.T) {
	t.Parallel()
	h := newHouse(t, onSQLite(t))
	source := h.register(seller, "base", func(r *Registration) { r.Public = true })
	d := h.holding("derived", source, layerOf(t, archivetest.File("../outside", "")))
	if _, err := h.derive(d); !errors.Is(err, ErrBadImage) {
		t.Errorf("made of a hostile layer: %v", err)
	}
	if _, err := h.Find(t.Context(), buyer.Account, d.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("it is there: %v", err)
	}
}

func TestDoctorFindsANameThatIsHeldForNobody(t *testing.T) {
	t.Parallel()
	h := newHouse(t, onSQLite(t))
	source := h.register(seller, "base")
	h.holding("derived", source, nil)
	if wrong, err := h.Doctor(t.Context()); err != nil || len(wrong) > 0 {
		t.Errorf("while it is held: %q, %v", wrong, err)
	}
	if err := h.config.Store.Commit(t.Context(), store.Batch{Delete: []store.Removal{{Key: worker, Was: store.Any}}}); err != nil {
		t.Fatal(err)
	}
	wrong, err := h.Doctor(t.Context())
	if err != nil || len(wrong) != 1 || !strings.Contains(wrong[0], "held for test-work one, which is not there") {
		t.Errorf("got %q, %v", wrong, err)
	}
}

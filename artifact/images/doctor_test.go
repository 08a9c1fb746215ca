package images

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"souk/artifact/registry"
	"souk/storage/store"
)

func TestDoctorHasNothingToSayOfWhatIsRegistered(t *testing.T) {
	t.Parallel()
	h := newHouse(t, onSQLite(t))
	gone := h.register(seller, "gone")
	if err := h.Deregister(t.Context(), sellerAccount, gone.ID); err != nil {
		t.Fatal(err)
	}
	h.register(seller, "web 1.0")
	wrong, err := h.Doctor(t.Context())
	if err != nil || len(wrong) > 0 {
		t.Errorf("got %q, %v; want nothing", wrong, err)
	}
}

func TestDoctorFindsRecordsThatDoNotGoTogether(t *testing.T) {
	t.Parallel()
	remove := func(key func(AMI) store.Key) func(*house, AMI) {
		return func(h *house, a AMI) {
			h.t.Helper()
			if err := h.config.Store.Commit(h.t.Context(), store.Batch{Delete: []store.Removal{{Key: key(a), Was: store.Any}}}); err != nil {
				h.t.Fatal(err)
			}
		}
	}
	for name, c := range map[string]struct {
		harm func(*house, AMI)
		want string
	}{
		"record without its name": {remove(func(a AMI) store.Key { return nameKey(a.Owner, a.Name) }), `the name "web 1.0" is not its own`},
		"record without its tag":  {remove(func(a AMI) store.Key { return store.Key{Kind: registry.KindTag, ID: a.Repository + ":" + a.ID} }), "can be pushed again"},
		"name without its record": {remove(func(a AMI) store.Key { return store.Key{Kind: KindAMI, ID: a.ID} }), "ami-name 111111111111/web 1.0: there is no AMI"},
		"layer lost from the disk": {func(h *house, a AMI) {
			h.t.Helper()
			layers, err := h.Layers(h.t.Context(), a.Repository, a.Digest)
			if err != nil {
				h.t.Fatal(err)
			}
			hex := strings.TrimPrefix(layers[0].Digest, "sha256:")
			found := 0
			err = filepath.WalkDir(h.registry.Root, func(path string, d os.DirEntry, err error) error {
				if err == nil && d.IsDir() && d.Name() == hex && strings.Contains(path, "blobs") {
					found++
					return os.Remove(filepath.Join(path, "data"))
				}
				return err
			})
			if err != nil || found != 1 {
				h.t.Fatalf("removing the layer: %v, found %d", err, found)
			}
		}, "is not whole"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, onSQLite(t))
			a := h.register(seller, "web 1.0")
			c.harm(h, a)
			wrong, err := h.Doctor(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(wrong) != 1 || !strings.Contains(wrong[0], c.want) {
				t.Errorf("got %q, want one finding with %q", wrong, c.want)
			}
		})
	}
}

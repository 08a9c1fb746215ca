package registry

import (
	"os"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// TestHasPublishedMissesEveryPart takes the files of a published index away, one
// at a time, and spoils a manifest.
func TestHasPublishedMissesEveryPart(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	owner := m.root(sellerAccount)
	index, err := random.Index(64, 2, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(m.ref(theRepository+":multi"), index, owner.auth()); err != nil {
		t.Fatal(err)
	}
	digest := digestOf(t, index)
	has := func() bool {
		t.Helper()
		there, err := m.registry.HasPublished(t.Context(), theProduct, theRepository, digest)
		if err != nil {
			t.Fatal(err)
		}
		return there
	}
	if has() {
		t.Error("what was pushed and not published is there")
	}
	if err := m.registry.Images().Publish(t.Context(), theProduct, m.image(theRepository+":multi"), digest); err != nil {
		t.Fatal(err)
	}
	if !has() {
		t.Fatal("what was published is not there")
	}

	name, layout := Published(theProduct, theRepository), m.registry.layout
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	child := manifest.Manifests[1].Digest
	image, err := index.Image(child)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	layer := digestOf(t, layers[1])
	for what, file := range map[string]string{
		"the link of the index":   layout.revision(name, digest),
		"the index":               layout.blob(digest),
		"the link of a manifest":  layout.revision(name, child.String()),
		"a manifest of the index": layout.blob(child.String()),
		"the link of a layer":     layout.layer(name, layer),
		"the content of a layer":  layout.blob(layer),
	} {
		if err := os.Rename(file, file+".away"); err != nil {
			t.Fatal(err)
		}
		if has() {
			t.Errorf("%s is gone and nobody misses it", what)
		}
		if err := os.Rename(file+".away", file); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Truncate(layout.blob(child.String()), 10); err != nil {
		t.Fatal(err)
	}
	if has() {
		t.Error("a manifest is cut off and nobody misses the rest")
	}
}

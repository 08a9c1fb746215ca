package registry

import (
	"context"
	"os"
	"sync/atomic"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
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

// TestBuyersHaveOnlyWhatVersionsName publishes an index and an image as change
// sets do, of which no version names the image.
func TestBuyersHaveOnlyWhatVersionsName(t *testing.T) {
	t.Parallel()
	var named atomic.Pointer[[]string]
	named.Store(&[]string{})
	m := newMarket(t, func(c *Config) {
		c.Delivered = func(_ context.Context, account, product string) ([]string, error) {
			if account != otherAccount || product != theProduct {
				t.Errorf("asked what %s may have of %s", account, product)
			}
			return *named.Load(), nil
		}
	})
	owner, buyer := m.root(sellerAccount), m.root(otherAccount)
	m.publish(theProduct)
	index, err := random.Index(64, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(m.ref(theRepository+":multi"), index, owner.auth()); err != nil {
		t.Fatal(err)
	}
	left := m.push(owner, theRepository+":left")
	for tag, digest := range map[string]string{"multi": digestOf(t, index), "left": digestOf(t, left)} {
		if err := m.registry.Images().Publish(t.Context(), theProduct, m.image(theRepository+":"+tag), digest); err != nil {
			t.Fatal(err)
		}
		m.put(KindTag, theRepository+":"+tag, Tag{Digest: digest})
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	child, err := index.Image(manifest.Manifests[1].Digest)
	if err != nil {
		t.Fatal(err)
	}
	layer := func(img v1.Image) string {
		t.Helper()
		layers, err := img.Layers()
		if err != nil {
			t.Fatal(err)
		}
		return digestOf(t, layers[0])
	}
	published := Published(theProduct, theRepository)
	check := func(when string, want int, paths ...string) {
		t.Helper()
		for _, repository := range []string{theRepository, published} {
			for _, path := range paths {
				for _, method := range []string{"GET", "HEAD"} {
					if resp, body := m.do(&buyer, method, "/v2/"+repository+path, "", ""); resp.StatusCode != want {
						t.Errorf("%s: %s %s%s: got %d %s, want %d", when, method, repository, path, resp.StatusCode, body, want)
					}
				}
			}
		}
	}
	ofIndex := []string{"/manifests/" + digestOf(t, index), "/manifests/" + digestOf(t, child), "/blobs/" + layer(child)}
	ofLeft := []string{"/manifests/" + digestOf(t, left), "/blobs/" + layer(left)}
	check("no version names anything", 404, append(ofIndex, ofLeft...)...)
	named.Store(&[]string{digestOf(t, index)})
	check("a version names the index", 200, ofIndex...)
	check("a version names the index", 404, ofLeft...)
	if _, err := remote.Index(m.ref(theRepository+":multi"), buyer.auth()); err != nil {
		t.Errorf("by its tag: %v", err)
	}
	_, err = remote.Image(m.ref(theRepository+":left"), buyer.auth())
	refused(t, err, 404, "the tag of what no version names")

	m.put(KindRepository, "globex/app", Repository{Account: otherAccount, Product: "prod-bbbbbbbbbbbbb"})
	for digest, want := range map[string]int{layer(child): 201, layer(left): 202} {
		resp, body := m.do(&buyer, "POST", "/v2/globex/app/blobs/uploads/?mount="+digest+"&from="+theRepository, "", "")
		if resp.StatusCode != want {
			t.Errorf("mounting %s: got %d %s, want %d", digest, resp.StatusCode, body, want)
		}
	}
	// The owner reads all that was pushed.
	if _, err := remote.Image(m.ref(theRepository+":left"), owner.auth()); err != nil {
		t.Error(err)
	}
}

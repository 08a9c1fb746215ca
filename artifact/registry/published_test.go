package registry

import (
	"context"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"souk/catalog/procurement"
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
		c.Delivered = func(_ context.Context, account, product string) ([]procurement.Artifact, error) {
			if account != otherAccount || product != theProduct {
				t.Errorf("asked what %s may have of %s", account, product)
			}
			var all []procurement.Artifact
			for _, digest := range *named.Load() {
				all = append(all, procurement.Artifact{Digest: digest, Answer: procurement.Answer{OK: true}})
			}
			return all, nil
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

// TestRefusalsSayWhy pulls an image of a restricted version, and one that the
// buyer gets: only that is told as obtained, and only when it is fetched.
func TestRefusalsSayWhy(t *testing.T) {
	t.Parallel()
	var all atomic.Pointer[[]procurement.Artifact]
	var obtained atomic.Pointer[[]string]
	obtained.Store(&[]string{})
	m := newMarket(t, func(c *Config) {
		c.Delivered = func(context.Context, string, string) ([]procurement.Artifact, error) { return *all.Load(), nil }
		c.Obtained = func(_ context.Context, account, product, digest string) error {
			now := append(slices.Clone(*obtained.Load()), account+" "+product+" "+digest)
			obtained.Store(&now)
			return nil
		}
	})
	owner, buyer := m.root(sellerAccount), m.root(otherAccount)
	m.publish(theProduct)
	var digests []string
	for _, tag := range []string{"old", "new"} {
		digest := digestOf(t, m.push(owner, theRepository+":"+tag))
		digests = append(digests, digest)
		if err := m.registry.Images().Publish(t.Context(), theProduct, m.image(theRepository+":"+tag), digest); err != nil {
			t.Fatal(err)
		}
		m.put(KindTag, theRepository+":"+tag, Tag{Digest: digest})
	}
	all.Store(&[]procurement.Artifact{
		{Digest: digests[0], Answer: procurement.Answer{Reason: "version 1.0 is Restricted", Told: true}},
		{Digest: digests[1], Answer: procurement.Answer{OK: true}},
	})
	resp, body := m.do(&buyer, "GET", "/v2/"+theRepository+"/manifests/old", "", "")
	if resp.StatusCode != 403 || !strings.Contains(body, `"DENIED"`) || !strings.Contains(body, "version 1.0 is Restricted") {
		t.Errorf("the restricted one: %d %s, want 403 with the reason", resp.StatusCode, body)
	}
	for _, method := range []string{"HEAD", "GET"} {
		if len(*obtained.Load()) != 0 {
			t.Errorf("before it is fetched: %q are obtained", *obtained.Load())
		}
		if resp, body := m.do(&buyer, method, "/v2/"+theRepository+"/manifests/new", "", ""); resp.StatusCode != 200 {
			t.Errorf("%s of the other: %d %s", method, resp.StatusCode, body)
		}
	}
	if want := []string{otherAccount + " " + theProduct + " " + digests[1]}; !slices.Equal(*obtained.Load(), want) {
		t.Errorf("obtained are %q, want %q", *obtained.Load(), want)
	}
}

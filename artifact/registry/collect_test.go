package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"souk/storage/store"
)

// collect sweeps with the clock two days ahead.
func (m *market) collect(s Sweep) int64 {
	m.t.Helper()
	m.ahead.Store(int64(2 * Idle))
	defer m.ahead.Store(0)
	freed, err := m.registry.Collect(context.Background(), s)
	if err != nil {
		m.t.Fatal(err)
	}
	return freed
}

// whole fails unless the image can be pulled with all its layers.
func (m *market) whole(k key, ref string) {
	m.t.Helper()
	img, err := remote.Image(m.ref(ref), k.auth())
	if err != nil {
		m.t.Errorf("%s: %v", ref, err)
		return
	}
	if err := validate.Image(img); err != nil {
		m.t.Errorf("%s: %v", ref, err)
	}
}

func TestCollectKeepsWhatIsReferenced(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	owner := m.root(sellerAccount)
	m.push(owner, theRepository+":1.0")
	index, err := random.Index(100, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(m.ref(theRepository+":index"), index, owner.auth()); err != nil {
		t.Fatal(err)
	}
	untagged := m.push(owner, theRepository+":moves")
	m.push(owner, theRepository+":moves")
	if freed := m.collect(Sweep{}); freed != 0 {
		t.Errorf("freed %d bytes, want none", freed)
	}
	m.whole(owner, theRepository+":1.0")
	m.whole(owner, theRepository+"@"+digestOf(t, untagged))
	pulled, err := remote.Index(m.ref(theRepository+":index"), owner.auth())
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(pulled); err != nil {
		t.Error(err)
	}
}

func TestCollectSweepsDeletedImagesButNotSharedLayers(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	owner := m.root(sellerAccount)
	base := m.push(owner, theRepository+":base")
	layer, err := random.Layer(5000, "application/vnd.docker.image.rootfs.diff.tar.gzip")
	if err != nil {
		t.Fatal(err)
	}
	more, err := mutate.AppendLayers(base, layer)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(m.ref(theRepository+":more"), more, owner.auth()); err != nil {
		t.Fatal(err)
	}
	if err := remote.Delete(m.ref(theRepository+"@"+digestOf(t, more)), owner.auth()); err != nil {
		t.Fatal(err)
	}
	// Not yet: nothing has been idle for a day.
	if freed, err := m.registry.Collect(t.Context(), Sweep{}); err != nil || freed != 0 {
		t.Errorf("on the same day: freed %d, %v, want none", freed, err)
	}
	if freed := m.collect(Sweep{}); freed < 5000 {
		t.Errorf("freed %d bytes, want the layer's 5000 and more", freed)
	}
	m.whole(owner, theRepository+":base")
	if _, err := os.Stat(m.registry.layout.blob(digestOf(t, layer))); !os.IsNotExist(err) {
		t.Errorf("the layer is still there: %v", err)
	}
	// What was swept can be pushed again.
	if err := remote.Write(m.ref(theRepository+":more"), more, owner.auth()); err != nil {
		t.Fatal(err)
	}
	m.whole(owner, theRepository+":more")
}

func TestCollectSweepsUploadsAndRepositoriesWithoutDocument(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	owner := m.root(sellerAccount)
	m.push(owner, theRepository+":1.0")
	resp, _ := m.do(&owner, http.MethodPost, "/v2/"+theRepository+"/blobs/uploads/", "", "")
	at := resp.Header.Get("Location")
	m.collect(Sweep{})
	resp, _ = m.do(&owner, http.MethodPatch, at, "", "late")
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("upload of two days ago: %s, want 404", resp.Status)
	}
	err := m.store.Commit(t.Context(), store.Batch{Delete: []store.Removal{{Key: store.Key{Kind: KindRepository, ID: theRepository}, Was: store.Any}}})
	if err != nil {
		t.Fatal(err)
	}
	if freed := m.collect(Sweep{}); freed == 0 {
		t.Error("nothing freed of a repository that is no more")
	}
	if n := dataFiles(t, m); n != 0 {
		t.Errorf("%d blobs left, want none", n)
	}
}

func TestCollectAsksAboutPublishedManifests(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	owner := m.root(sellerAccount)
	m.publish(theProduct)
	kept, dropped := m.push(owner, theRepository+":1"), m.push(owner, theRepository+":2")
	for _, img := range []v1.Image{kept, dropped} {
		if err := m.registry.Images().Publish(t.Context(), theProduct, m.image(theRepository+":1"), digestOf(t, img)); err != nil {
			t.Fatal(err)
		}
		if err := remote.Delete(m.ref(theRepository+"@"+digestOf(t, img)), owner.auth()); err != nil {
			t.Fatal(err)
		}
	}
	published := Published(theProduct, theRepository)
	m.collect(Sweep{Keep: func(_ context.Context, repository, digest string) (bool, error) {
		if repository != published {
			t.Errorf("asked about %s, want %s", repository, published)
		}
		return digest == digestOf(t, kept), nil
	}})
	m.whole(owner, published+"@"+digestOf(t, kept))
	_, err := remote.Head(m.ref(published+"@"+digestOf(t, dropped)), owner.auth())
	refused(t, err, http.StatusNotFound, "the one that no version names")
}

func TestCollectOfUntaggedManifests(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	owner := m.root(sellerAccount)
	index, err := random.Index(100, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(m.ref(theRepository+":index"), index, owner.auth()); err != nil {
		t.Fatal(err)
	}
	old := m.push(owner, theRepository+":moves")
	m.push(owner, theRepository+":moves")
	pinned := m.push(owner, theRepository+":pinned")
	m.put(KindTag, theRepository+":pinned", Tag{Digest: digestOf(t, pinned)})
	m.put(KindRepository, "acme/other", Repository{Account: sellerAccount, Product: "prod-other00000000"})
	stays := m.push(owner, "acme/other:moves")
	m.push(owner, "acme/other:moves")
	m.collect(Sweep{Untagged: func(r Repository) bool { return r.Product == theProduct }})
	m.whole(owner, "acme/other@"+digestOf(t, stays))
	_, err = remote.Head(m.ref(theRepository+"@"+digestOf(t, old)), owner.auth())
	refused(t, err, http.StatusNotFound, "the image that its tag left")
	m.whole(owner, theRepository+":moves")
	m.whole(owner, theRepository+":pinned")
	pulled, err := remote.Index(m.ref(theRepository+":index"), owner.auth())
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(pulled); err != nil {
		t.Error(err)
	}
}

// A blob that lies there unreferenced for days is in use again from the moment
// in which somebody uploads or mounts it once more.
func TestWhatIsPushedAgainIsNotIdle(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	m.put(KindRepository, "acme/other", Repository{Account: sellerAccount, Product: theProduct})
	owner := m.root(sellerAccount)
	const digest = "sha256:b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9" // of hello world
	upload := func(repository string) {
		resp, _ := m.do(&owner, http.MethodPost, "/v2/"+repository+"/blobs/uploads/", "", "")
		resp, body := m.do(&owner, http.MethodPut, resp.Header.Get("Location")+"&digest="+digest, "", "hello world")
		if resp.StatusCode != http.StatusCreated {
			t.Fatalf("upload: %s %s", resp.Status, body)
		}
	}
	upload(theRepository)
	for what, again := range map[string]func(){
		"upload to the same repository": func() { upload(theRepository) },
		"upload to another repository":  func() { upload("acme/other") },
		"mount into another repository": func() {
			m.do(&owner, http.MethodPost, "/v2/acme/other/blobs/uploads/?mount="+digest+"&from="+theRepository, "", "")
		},
		"question whether it is there": func() { m.do(&owner, http.MethodHead, "/v2/"+theRepository+"/blobs/"+digest, "", "") },
	} {
		old := time.Now().Add(-10 * Idle)
		if err := touch(old, m.registry.layout.blob(digest), m.registry.layout.layer(theRepository, digest)); err != nil {
			t.Fatal(err)
		}
		again()
		info, err := os.Stat(m.registry.layout.blob(digest))
		if err != nil || time.Since(info.ModTime()) > Idle {
			t.Errorf("%s: the blob was last touched %v, %v", what, info.ModTime(), err)
		}
	}
}

// A server that is killed while it writes a link or a small blob leaves a file under
// another name beside it, also where the link is there.
func TestCollectRemovesWhatWasHalfWritten(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	owner := m.root(sellerAccount)
	image := m.push(owner, theRepository+":1.0")
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	revision, blob := m.registry.layout.revision(theRepository, digest.String()), m.registry.layout.blob(digest.String())
	left := []string{
		revision + ".01a20340-06cd-79d2-ac2a-65da21797a38.tmp",
		blob + ".01a20340-06cd-79d2-ac2a-65da21797a39.tmp",
		m.registry.layout.layer(theRepository, "sha256:"+strings.Repeat("0", 64)) + ".01a20340-06cd-79d2-ac2a-65da21797a40.tmp",
	}
	for _, file := range left {
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte("sha"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.registry.Collect(t.Context(), Sweep{}); err != nil {
		t.Fatal(err)
	}
	for _, file := range left {
		if _, err := os.Stat(file); err != nil {
			t.Errorf("it may be written still: %v", err)
		}
	}
	m.collect(Sweep{})
	for _, file := range left {
		if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", file, err)
		}
	}
	m.whole(owner, theRepository+":1.0")
}

// Every push that was answered well stays whole, however often the sweep runs
// meanwhile and though it takes for idle what was not touched for a moment.
func TestCollectWhilePushesGoOn(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	owner := m.root(sellerAccount)
	shared, err := random.Image(200, 2)
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var sweeps, pushes sync.WaitGroup
	sweeps.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := m.registry.Collect(context.Background(), Sweep{OlderThan: 50 * time.Millisecond}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	once := []remote.Option{owner.auth(), remote.WithRetryStatusCodes(), remote.WithRetryPredicate(func(error) bool { return false }), remote.WithRetryBackoff(remote.Backoff{Steps: 1})}
	var answered atomic.Int64
	for i := range 4 {
		pushes.Go(func() {
			for j := range 8 {
				layer, err := random.Layer(100, "application/vnd.docker.image.rootfs.diff.tar.gzip")
				if err != nil {
					t.Error(err)
					return
				}
				img, err := mutate.AppendLayers(shared, layer)
				if err != nil {
					t.Error(err)
					return
				}
				// An upload or a layer may go before the manifest comes; then the
				// registry says so, and nothing was promised.
				tag := fmt.Sprint("t", i, "-", j)
				for range 20 {
					if remote.Write(m.ref(theRepository+":"+tag), img, once...) == nil {
						answered.Add(1)
						m.whole(owner, theRepository+":"+tag)
						break
					}
				}
			}
		})
	}
	pushes.Wait()
	close(stop)
	sweeps.Wait()
	if answered.Load() == 0 {
		t.Error("no push was answered well: the test shows nothing")
	}
}

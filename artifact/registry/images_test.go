package registry

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	helmregistry "helm.sh/helm/v3/pkg/registry"

	"souk/catalog/change"
)

// packChart packs a chart of the given files, below NAME/.
func packChart(t *testing.T, name string, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for file, content := range files {
		err := w.WriteHeader(&tar.Header{Name: name + "/" + file, Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg})
		if err != nil {
			t.Fatal(err)
		}
		w.Write([]byte(content))
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func webChart(image string) map[string]string {
	return map[string]string{
		"Chart.yaml":  "apiVersion: v2\nname: chart\nversion: 1.2.3\n",
		"values.yaml": "image: " + image + "\nreplicas: 2\n",
		"templates/deployment.yaml": `apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}}
spec:
  replicas: {{ .Values.replicas }}
  template:
    spec:
      containers:
      - name: web
        image: {{ .Values.image | quote }}
`,
	}
}

func TestHelmPushesAndPullsAChart(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	m.put(KindRepository, "acme/chart", Repository{Account: sellerAccount, Product: theProduct})
	owner := m.root(sellerAccount)
	image := Host + "/acme/web:1.0"
	packed := packChart(t, "chart", webChart(image))

	client, err := helmregistry.NewClient(
		helmregistry.ClientOptPlainHTTP(),
		helmregistry.ClientOptWriter(t.Output()),
		helmregistry.ClientOptCredentialsFile(filepath.Join(t.TempDir(), "helm.json")),
	)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Login(m.host(), helmregistry.LoginOptBasicAuth(owner.id, "wrong"), helmregistry.LoginOptPlainText(true)); err == nil {
		t.Error("helm logged in with a wrong secret")
	}
	if err := client.Login(m.host(), helmregistry.LoginOptBasicAuth(owner.id, owner.secret), helmregistry.LoginOptPlainText(true)); err != nil {
		t.Fatal(err)
	}
	pushed, err := client.Push(packed, m.host()+"/acme/chart:1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	pulled, err := client.Pull(m.host() + "/acme/chart:1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(pulled.Chart.Data, packed) {
		t.Error("helm pulled another chart than it pushed")
	}
	tags, err := client.Tags(m.host() + "/acme/chart")
	if err != nil || !slices.Equal(tags, []string{"1.2.3"}) {
		t.Errorf("tags %v, %v, want [1.2.3]", tags, err)
	}

	images := m.registry.Images()
	got, err := images.Resolve(t.Context(), m.seller(), m.image("acme/chart:1.2.3"))
	want := change.Image{Digest: pushed.Manifest.Digest, MediaType: string(types.OCIManifestSchema1), Chart: true}
	if err != nil || got != want {
		t.Errorf("Resolve: %+v, %v, want %+v", got, err, want)
	}
	chart, err := images.Chart(t.Context(), m.seller(), m.image("acme/chart:1.2.3"))
	if err != nil {
		t.Fatal(err)
	}
	wantChart := change.Chart{Digest: pushed.Manifest.Digest, Name: "chart", Version: "1.2.3",
		Values: map[string]any{"image": image, "replicas": float64(2)}, Images: []string{image}}
	if d := cmp.Diff(wantChart, chart); d != "" {
		t.Error("Chart (-want +got):\n", d)
	}

	// What was published stays when the seller deletes the chart.
	digest := pushed.Manifest.Digest
	if err := images.Publish(t.Context(), theProduct, m.image("acme/chart:1.2.3"), digest); err != nil {
		t.Fatal(err)
	}
	for _, reference := range []string{"1.2.3", digest} {
		if resp, body := m.do(&owner, "DELETE", "/v2/acme/chart/manifests/"+reference, "", ""); resp.StatusCode != 202 {
			t.Fatalf("deleting %s: %d %s", reference, resp.StatusCode, body)
		}
	}
	if _, err := images.Chart(t.Context(), m.seller(), m.image("acme/chart@"+digest)); !errors.Is(err, change.ErrImageNotFound) {
		t.Errorf("the chart that was deleted: %v, want ErrImageNotFound", err)
	}
	published := m.image("acme/chart@" + digest)
	published.Product = theProduct
	chart, err = images.Chart(t.Context(), m.seller(), published)
	if d := cmp.Diff(wantChart, chart); err != nil || d != "" {
		t.Errorf("the published chart: %v (-want +got):\n%s", err, d)
	}
	_, err = images.Chart(t.Context(), change.Seller{Account: otherAccount}, published)
	if !errors.Is(err, change.ErrImageNotFound) {
		t.Errorf("the published chart of another seller: %v, want ErrImageNotFound", err)
	}

	broken := webChart(image)
	broken["templates/broken.yaml"] = "{{ .Values.image | noSuchFunction }}"
	// The client refuses nothing: it looks at Chart.yaml only.
	if _, err := client.Push(packChart(t, "chart", broken), m.host()+"/acme/chart:2.0.0", helmregistry.PushOptStrictMode(false)); err != nil {
		t.Fatal(err)
	}
	_, err = images.Chart(t.Context(), m.seller(), m.image("acme/chart:2.0.0"))
	if !errors.Is(err, change.ErrChartInvalid) || !strings.Contains(err.Error(), "noSuchFunction") {
		t.Errorf("chart with a broken template: %v, want ErrChartInvalid and why", err)
	}
}

func TestResolveFindsWhatTheSellerPushed(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	owner := m.root(sellerAccount)
	images, ctx := m.registry.Images(), t.Context()
	img := m.push(owner, theRepository+":1.0")
	index, err := random.Index(100, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(m.ref(theRepository+":index"), index, owner.auth()); err != nil {
		t.Fatal(err)
	}
	for ref, want := range map[string]change.Image{
		"acme/web:1.0":                 {Digest: digestOf(t, img), MediaType: string(types.DockerManifestSchema2)},
		"acme/web@" + digestOf(t, img): {Digest: digestOf(t, img), MediaType: string(types.DockerManifestSchema2)},
		"acme/web:index":               {Digest: digestOf(t, index), MediaType: string(types.OCIImageIndex)},
	} {
		got, err := images.Resolve(ctx, m.seller(), m.image(ref))
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", ref, got, err, want)
		}
	}
	absent := "sha256:" + strings.Repeat("0", 64)
	for _, ref := range []string{"acme/web:2.0", "acme/web", "acme/web@" + absent, "acme/nothing:1.0"} {
		_, err := images.Resolve(ctx, m.seller(), m.image(ref))
		if !errors.Is(err, change.ErrImageNotFound) {
			t.Errorf("%s: %v, want ErrImageNotFound", ref, err)
		}
	}
	_, err = images.Resolve(ctx, change.Seller{Account: otherAccount, Namespace: "other"}, m.image("acme/web:1.0"))
	if !errors.Is(err, change.ErrImageNotFound) {
		t.Errorf("another seller: %v, want ErrImageNotFound", err)
	}
	_, err = images.Chart(ctx, m.seller(), m.image("acme/web:1.0"))
	if !errors.Is(err, change.ErrChartInvalid) {
		t.Errorf("an image as a chart: %v, want ErrChartInvalid", err)
	}
	_, err = images.Chart(ctx, m.seller(), m.image("acme/web:index"))
	if !errors.Is(err, change.ErrChartInvalid) {
		t.Errorf("an index as a chart: %v, want ErrChartInvalid", err)
	}
}

// dataFiles counts the blobs on disk.
func dataFiles(t *testing.T, m *market) int {
	t.Helper()
	n := 0
	err := filepath.WalkDir(m.registry.layout.blobs(), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "data" {
			n++
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return n
}

func TestBuyersReadWhatIsPublishedAndNoMore(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	owner, buyer := m.root(sellerAccount), m.root(otherAccount)
	img := m.push(owner, theRepository+":1.0")
	hidden := m.push(owner, theRepository+":next")
	index, err := random.Index(100, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(m.ref(theRepository+":multi"), index, owner.auth()); err != nil {
		t.Fatal(err)
	}
	before := dataFiles(t, m)

	images := m.registry.Images()
	var doing sync.WaitGroup
	for range 8 { // at once, and again and again
		for _, d := range []string{digestOf(t, img), digestOf(t, index)} {
			doing.Go(func() {
				if err := images.Publish(t.Context(), theProduct, m.image(theRepository+"@"+d), d); err != nil {
					t.Error(err)
				}
			})
		}
	}
	doing.Wait()
	if n := dataFiles(t, m); n != before {
		t.Errorf("publishing made %d blobs of %d: it must copy nothing", n, before)
	}
	m.put(KindTag, theRepository+":1.0", Tag{Digest: digestOf(t, img)})
	m.put(KindTag, theRepository+":multi", Tag{})

	_, err = remote.Image(m.ref(theRepository+":1.0"), buyer.auth())
	refused(t, err, http.StatusNotFound, "before the product is public")
	m.publish(theProduct)

	published := Published(theProduct, theRepository)
	for _, ref := range []string{theRepository + ":1.0", theRepository + "@" + digestOf(t, img), published + "@" + digestOf(t, img)} {
		pulled, err := remote.Image(m.ref(ref), buyer.auth())
		if err != nil {
			t.Errorf("%s: %v", ref, err)
			continue
		}
		if got := digestOf(t, pulled); got != digestOf(t, img) {
			t.Errorf("%s: pulled %s, want %s", ref, got, digestOf(t, img))
		}
		if err := validate.Image(pulled); err != nil {
			t.Errorf("%s: %v", ref, err)
		}
	}
	pulled, err := remote.Index(m.ref(theRepository+":multi"), buyer.auth())
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(pulled); err != nil {
		t.Error(err)
	}
	for _, ref := range []string{theRepository + ":next", theRepository + "@" + digestOf(t, hidden), published + "@" + digestOf(t, hidden), published + ":1.0"} {
		_, err := remote.Get(m.ref(ref), buyer.auth())
		refused(t, err, http.StatusNotFound, ref)
	}
	for policy, status := range map[string]int{
		"": http.StatusForbidden,
		`{"Statement":{"Effect":"Allow","Action":"ecr:BatchGetImage","Resource":"arn:aws:ecr:us-east-1:` + otherAccount + `:repository/*"}}`:                                                       http.StatusForbidden,
		`{"Statement":{"Effect":"Allow","Action":"ecr:BatchGetImage","Resource":["arn:aws:ecr:*:` + sellerAccount + `:repository/acme/*","arn:aws:ecr:*:` + Account + `:*"]}}`:                     http.StatusOK,
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ecr:*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceAccount":"${aws:PrincipalAccount}"}}}}`:                   http.StatusForbidden,
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ecr:*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceAccount":["` + sellerAccount + `","` + Account + `"]}}}}`: http.StatusOK,
	} {
		user := m.user(otherAccount, policy)
		for _, ref := range []string{theRepository, published} {
			if resp, _ := m.do(&user, http.MethodHead, "/v2/"+ref+"/manifests/"+digestOf(t, img), "", ""); resp.StatusCode != status {
				t.Errorf("buyer's user with policy %q reads %s: %s, want %d", policy, ref, resp.Status, status)
			}
		}
	}
	_, err = remote.List(m.ref(theRepository).Context(), buyer.auth())
	refused(t, err, http.StatusForbidden, "tags")
	for _, ref := range []string{theRepository + ":mine", published + ":mine"} {
		refused(t, remote.Write(m.ref(ref), img, buyer.auth()), http.StatusForbidden, "buyer writes "+ref)
	}
	refused(t, remote.Write(m.ref(published+":mine"), img, owner.auth()), http.StatusForbidden, "owner writes "+published)
	refused(t, remote.Delete(m.ref(published+"@"+digestOf(t, img)), owner.auth()), http.StatusForbidden, "owner deletes from "+published)

	// Whatever the seller does afterwards, buyers have what they were sold.
	if err := remote.Delete(m.ref(theRepository+"@"+digestOf(t, img)), owner.auth()); err != nil {
		t.Fatal(err)
	}
	m.ahead.Store(int64(2 * Idle))
	if _, err := m.registry.Collect(t.Context(), Sweep{}); err != nil {
		t.Fatal(err)
	}
	again, err := remote.Image(m.ref(theRepository+":1.0"), buyer.auth())
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(again); err != nil {
		t.Error(err)
	}
}

func TestBuyersMountWhatTheyMayPull(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	m.put(KindRepository, "other/own", Repository{Account: otherAccount, Product: "prod-bbbbbbbbbbbbb"})
	owner, buyer := m.root(sellerAccount), m.root(otherAccount)
	img := m.push(owner, theRepository+":1.0")
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	layer := digestOf(t, layers[0])
	mount := func() int {
		resp, _ := m.do(&buyer, http.MethodPost, "/v2/other/own/blobs/uploads/?mount="+layer+"&from="+theRepository, "", "")
		return resp.StatusCode
	}
	if got := mount(); got != http.StatusAccepted {
		t.Errorf("product not public: %d, want 202: an upload instead of a mount", got)
	}
	m.publish(theProduct)
	if got := mount(); got != http.StatusAccepted {
		t.Errorf("image not published: %d, want 202", got)
	}
	if err := m.registry.Images().Publish(t.Context(), theProduct, m.image(theRepository+":1.0"), digestOf(t, img)); err != nil {
		t.Fatal(err)
	}
	if got := mount(); got != http.StatusCreated {
		t.Errorf("image published: %d, want 201", got)
	}
	if resp, _ := m.do(&buyer, http.MethodHead, "/v2/other/own/blobs/"+layer, "", ""); resp.StatusCode != http.StatusOK {
		t.Errorf("mounted layer: %s", resp.Status)
	}
}

func TestPublishOfWhatIsNotThere(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	owner := m.root(sellerAccount)
	img := m.push(owner, theRepository+":1.0")
	images, ctx := m.registry.Images(), context.Background()
	absent := "sha256:" + strings.Repeat("0", 64)
	if err := images.Publish(ctx, theProduct, m.image(theRepository+":1.0"), absent); !errors.Is(err, change.ErrImageNotFound) {
		t.Errorf("unknown digest: %v, want ErrImageNotFound", err)
	}
	if err := images.Publish(ctx, theProduct, m.image(theRepository+":1.0"), "../../x"); err == nil {
		t.Error("a path was taken for a digest")
	}
	if err := images.Publish(ctx, "../x", m.image(theRepository+":1.0"), digestOf(t, img)); err == nil {
		t.Error("a path was taken for a product")
	}
	// Half of it: a layer that is gone from the disk.
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(m.registry.layout.layer(theRepository, digestOf(t, layers[1]))); err != nil {
		t.Fatal(err)
	}
	if err := images.Publish(ctx, theProduct, m.image(theRepository+":1.0"), digestOf(t, img)); !errors.Is(err, change.ErrImageNotFound) {
		t.Errorf("layer gone: %v, want ErrImageNotFound", err)
	}
	if _, err := os.Stat(m.registry.layout.revision(Published(theProduct, theRepository), digestOf(t, img))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half an image is published: %v", err)
	}
}

func TestPublishedNamesFitForLongOnes(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 100, 160, 161, 240} {
		name := Published(theProduct, "acme/"+strings.Repeat("a", n))
		if !validName(name) {
			t.Errorf("name of %d letters: %s is not valid", n, name)
		}
		if product, ok := PublishedProduct(name); !ok || product != theProduct {
			t.Errorf("name of %d letters: product %q, %t", n, product, ok)
		}
	}
	if Published(theProduct, "acme/"+strings.Repeat("a", 200)) == Published(theProduct, "acme/"+strings.Repeat("a", 201)) {
		t.Error("two long names became one")
	}
}

package registry

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	ocilayout "github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

func TestPushAndPullAnImage(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	owner := m.root(sellerAccount)
	img := m.push(owner, theRepository+":1.0")

	pulled, err := remote.Image(m.ref(theRepository+":1.0"), owner.auth())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := digestOf(t, pulled), digestOf(t, img); got != want {
		t.Errorf("pulled %s, want %s", got, want)
	}
	if err := validate.Image(pulled); err != nil {
		t.Error(err)
	}
	tags, err := remote.List(m.ref(theRepository).Context(), owner.auth())
	if err != nil || len(tags) != 1 || tags[0] != "1.0" {
		t.Errorf("tags: %v, %v, want [1.0]", tags, err)
	}
}

func TestPushAndPullAnIndex(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	owner := m.root(sellerAccount)
	for _, kind := range []types.MediaType{types.OCIImageIndex, types.DockerManifestList} {
		index, err := random.Index(512, 2, 3)
		if err != nil {
			t.Fatal(err)
		}
		index = mutate.IndexMediaType(index, kind)
		ref := m.ref(theRepository + ":" + map[types.MediaType]string{types.OCIImageIndex: "oci", types.DockerManifestList: "docker"}[kind])
		if err := remote.WriteIndex(ref, index, owner.auth()); err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		pulled, err := remote.Index(ref, owner.auth())
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if err := validate.Index(pulled); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestPushInPieces(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	owner := m.root(sellerAccount)
	resp, _ := m.do(&owner, http.MethodPost, "/v2/"+theRepository+"/blobs/uploads/", "", "")
	at := resp.Header.Get("Location")
	if resp.StatusCode != http.StatusAccepted || !strings.HasPrefix(at, "/v2/") {
		t.Fatalf("begin: %s, Location %q", resp.Status, at)
	}
	for _, piece := range []string{"hello ", "world"} {
		resp, body := m.do(&owner, http.MethodPatch, at, "application/octet-stream", piece)
		if resp.StatusCode != http.StatusAccepted {
			t.Fatalf("piece %q: %s %s", piece, resp.Status, body)
		}
		at = resp.Header.Get("Location")
	}
	const digest = "sha256:b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"
	resp, body := m.do(&owner, http.MethodPut, at+"&digest="+digest, "", "")
	if resp.StatusCode != http.StatusCreated {
		t.Fatalf("end: %s %s", resp.Status, body)
	}
	resp, body = m.do(&owner, http.MethodGet, "/v2/"+theRepository+"/blobs/"+digest, "", "")
	if resp.StatusCode != http.StatusOK || body != "hello world" {
		t.Errorf("blob: %s %q", resp.Status, body)
	}
}

func TestCraneCopiesWithinTheRegistry(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	m.put(KindRepository, "acme/copy", Repository{Account: sellerAccount, Product: theProduct})
	owner := m.root(sellerAccount)
	img := m.push(owner, theRepository+":1.0")

	opts := []crane.Option{crane.Insecure, crane.WithAuth(&authn.Basic{Username: owner.id, Password: owner.secret})}
	to := m.host() + "/acme/copy:1.0"
	if err := crane.Copy(m.host()+"/"+theRepository+":1.0", to, opts...); err != nil {
		t.Fatal(err)
	}
	got, err := crane.Digest(to, opts...)
	if err != nil || got != digestOf(t, img) {
		t.Errorf("digest %s, %v, want %s", got, err, digestOf(t, img))
	}
}

func TestSkopeoPushesAndPulls(t *testing.T) {
	t.Parallel()
	skopeo, err := exec.LookPath("skopeo")
	if err != nil {
		t.Fatal("skopeo is needed (apt-get install skopeo): ", err)
	}
	m := newMarket(t)
	owner := m.root(sellerAccount)
	dir := t.TempDir()
	img, err := random.Image(1024, 2)
	if err != nil {
		t.Fatal(err)
	}
	img = mutate.ConfigMediaType(mutate.MediaType(img, types.OCIManifestSchema1), types.OCIConfigJSON)
	made, err := ocilayout.Write(filepath.Join(dir, "made"), empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := made.AppendImage(img); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), skopeo, args...)
		cmd.Env = append(os.Environ(), "HOME="+dir, "REGISTRY_AUTH_FILE="+filepath.Join(dir, "auth.json"))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("skopeo %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	token, _, err := m.registry.Token(owner.id, "")
	if err != nil {
		t.Fatal(err)
	}
	at := "docker://" + m.host() + "/" + theRepository + ":1.0"
	run("login", "--tls-verify=false", "-u", "AWS", "-p", token, m.host())
	run("--insecure-policy", "copy", "--dest-tls-verify=false", "oci:"+filepath.Join(dir, "made"), at)
	run("--insecure-policy", "copy", "--src-tls-verify=false", "--src-creds", owner.id+":"+owner.secret, at, "oci:"+filepath.Join(dir, "pulled"))
	got := strings.TrimSpace(run("inspect", "--tls-verify=false", "--format", "{{.Digest}}", at))
	if want := digestOf(t, img); got != want {
		t.Errorf("skopeo sees %s, want %s", got, want)
	}
	run("delete", "--tls-verify=false", at)
	_, err = remote.Head(m.ref(theRepository+":1.0"), owner.auth())
	refused(t, err, http.StatusNotFound, "pull after delete")
}

func TestOwnerDeletesATagAndAManifest(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	owner := m.root(sellerAccount)
	img := m.push(owner, theRepository+":1.0")
	if err := remote.Delete(m.ref(theRepository+":1.0"), owner.auth()); err != nil {
		t.Fatal(err)
	}
	if _, err := remote.Head(m.ref(theRepository+"@"+digestOf(t, img)), owner.auth()); err != nil {
		t.Error("manifest went with its tag: ", err)
	}
	if err := remote.Delete(m.ref(theRepository+"@"+digestOf(t, img)), owner.auth()); err != nil {
		t.Fatal(err)
	}
	_, err := remote.Head(m.ref(theRepository+"@"+digestOf(t, img)), owner.auth())
	refused(t, err, http.StatusNotFound, "pull of a deleted manifest")
}

func TestLogInTokenIsWorthWhatItsKeyIs(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	owner := m.root(sellerAccount)
	password, expires, err := m.registry.Token(owner.id, "")
	if err != nil {
		t.Fatal(err)
	}
	if d := time.Until(expires); d < 11*time.Hour || d > 12*time.Hour {
		t.Errorf("token expires in %s, want 12 hours", d)
	}
	with := key{id: "AWS", secret: password}
	m.push(with, theRepository+":token")

	altered := []byte(password)
	altered[len(altered)/2] ^= 1
	if resp, _ := m.do(&key{id: "AWS", secret: string(altered)}, http.MethodGet, "/v2/", "", ""); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("altered token: %s", resp.Status)
	}
	if resp, _ := m.do(&key{id: owner.id, secret: password}, http.MethodGet, "/v2/", "", ""); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("token as the secret of its key: %s", resp.Status)
	}
	m.ahead.Store(int64(12*time.Hour + time.Minute))
	if resp, _ := m.do(&with, http.MethodGet, "/v2/", "", ""); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("expired token: %s", resp.Status)
	}
	m.ahead.Store(0)
	m.deactivate(owner)
	if resp, _ := m.do(&with, http.MethodGet, "/v2/", "", ""); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("token of a deactivated key: %s", resp.Status)
	}
}

func TestLayerOverTheLimitIsRefusedAndGone(t *testing.T) {
	t.Parallel()
	m := newMarket(t, func(c *Config) { c.MaxBlob = 1000 })
	owner := m.root(sellerAccount)
	begin := func() string {
		resp, _ := m.do(&owner, http.MethodPost, "/v2/"+theRepository+"/blobs/uploads/", "", "")
		return resp.Header.Get("Location")
	}
	resp, body := m.do(&owner, http.MethodPatch, begin(), "", strings.Repeat("x", 1001))
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("one piece: %s %s", resp.Status, body)
	}
	resp, _ = m.do(&owner, http.MethodPatch, begin(), "", strings.Repeat("x", 600))
	resp, body = m.do(&owner, http.MethodPatch, resp.Header.Get("Location"), "", strings.Repeat("x", 600))
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("second piece: %s %s", resp.Status, body)
	}
	// Without a length, so that it shows only on the way.
	at := begin()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, m.server.URL+at, io.MultiReader(bytes.NewReader(make([]byte, 1500))))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(owner.id, owner.secret)
	resp, err = http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("without length: %s", resp.Status)
	}
	id := filepath.Base(strings.Split(at, "?")[0])
	if _, err := os.Stat(m.registry.layout.upload(theRepository, id)); !os.IsNotExist(err) {
		t.Errorf("the upload is still there: %v", err)
	}
}

func TestAnswersNameNoHost(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	owner := m.root(sellerAccount)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, m.server.URL+"/v2/"+theRepository+"/blobs/uploads/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "evil.example"
	req.Header.Set("X-Forwarded-Host", "evil.example")
	req.SetBasicAuth(owner.id, owner.secret)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if strings.Contains(fmt.Sprint(resp.Header), "evil") {
		t.Errorf("headers repeat the client's host: %v", resp.Header)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	const digest = "sha256:b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"
	for uri, want := range map[string]string{
		Host + "/acme/web:1.0":                  "acme/web 1.0 ",
		Host + "/acme/web":                      "acme/web  ",
		Host + "/acme/web@" + digest:            "acme/web  " + digest,
		Host + "/acme/web:1.0@" + digest:        "acme/web  " + digest,
		Host + "/acme/deep/er_name.x:v1":        "acme/deep/er_name.x v1 ",
		strings.ToUpper(Host) + "/acme/web:1":   "acme/web 1 ",
		m.host() + "/acme/web:1.0":              "acme/web 1.0 ",
		"https://" + Host + "/acme/web:1.0":     "",
		"docker.io/acme/web:1.0":                "",
		"acme/web:1.0":                          "",
		Host + "/web:1.0":                       "",
		Host + "/acme/../web:1.0":               "",
		Host + "/acme/Web:1.0":                  "",
		Host + "/acme/web:":                     "",
		Host + "/acme/web@":                     "",
		Host + "/acme/web:a b":                  "",
		Host + "/acme//web:1":                   "",
		Host + "/acme/web:1.0\n":                "",
		Host + "/published/prod-x/web:1":        "",
		Host + "/acme/web@sha512:" + digest[7:]: "",
		"":                                      "",
		"/":                                     "",
	} {
		ref, ok := m.registry.Parse(uri)
		got := ""
		if ok {
			got = ref.Repository + " " + ref.Tag + " " + ref.Digest
		}
		if got != want {
			t.Errorf("Parse(%q) = %q, want %q", uri, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(Host + "/acme/web:1.0")
	f.Add(Host + "/acme/web:1.0@sha256:b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9")
	f.Add(Host + "/a/../b")
	f.Fuzz(func(t *testing.T, uri string) {
		r := &Registry{}
		r.config.PublicURL = mustURL(t, "https://souk.example")
		ref, ok := r.Parse(uri)
		if !ok {
			return
		}
		again := Host + "/" + ref.Repository
		if ref.Tag != "" {
			again += ":" + ref.Tag
		}
		if ref.Digest != "" {
			again += "@" + ref.Digest
		}
		same, ok := r.Parse(again)
		if !ok || same != ref {
			t.Errorf("%q gives %+v, which as %q gives %+v", uri, ref, again, same)
		}
		if strings.Contains(ref.Repository, "..") || strings.HasPrefix(ref.Repository, "/") {
			t.Errorf("%q gives the path %q", uri, ref.Repository)
		}
	})
}

func FuzzReferences(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"config":{"digest":"sha256:b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"},"layers":[]}`))
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"digest":"sha256:../../../etc/passwd"}]}`))
	f.Fuzz(func(t *testing.T, manifest []byte) {
		refs, err := references(manifest)
		if err != nil {
			return
		}
		for _, d := range append(refs.blobs, refs.manifests...) {
			if len(d) != len("sha256:")+64 {
				t.Errorf("%q is no digest", d)
			}
		}
	})
}

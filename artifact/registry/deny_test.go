package registry

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

func mustURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestNobodyGetsInWithoutAKey(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	owner := m.root(sellerAccount)
	m.push(owner, theRepository+":1.0")
	gone := m.root(sellerAccount)
	m.deactivate(gone)
	for what, k := range map[string]*key{
		"anonymous":               nil,
		"wrong secret":            {id: owner.id, secret: owner.secret + "x"},
		"empty secret":            {id: owner.id},
		"unknown key":             {id: "AKIAIOSFODNN7EXAMPLE", secret: owner.secret},
		"deactivated key":         &gone,
		"user AWS without token":  {id: "AWS", secret: owner.secret},
		"user AWS, no password":   {id: "AWS"},
		"password of a megabyte":  {id: owner.id, secret: strings.Repeat("x", 1<<19)},
		"empty name and password": {},
	} {
		for _, path := range []string{"/v2/", "/v2", "/v2/" + theRepository + "/manifests/1.0", "/v2/no/such/manifests/1", "/v2/../etc", "/v2/_catalog"} {
			resp, body := m.do(k, http.MethodGet, path, "", "")
			if resp.StatusCode != http.StatusUnauthorized && !(what == "password of a megabyte" && resp.StatusCode == http.StatusBadRequest || resp.StatusCode == http.StatusRequestHeaderFieldsTooLarge) {
				t.Errorf("%s, %s: %s %s", what, path, resp.Status, body)
			}
			if resp.StatusCode == http.StatusUnauthorized && (!strings.HasPrefix(resp.Header.Get("WWW-Authenticate"), "Basic realm=") || !strings.Contains(body, "UNAUTHORIZED")) {
				t.Errorf("%s, %s: challenge %q, body %s", what, path, resp.Header.Get("WWW-Authenticate"), body)
			}
		}
	}
}

func TestUnknownAndForeignRepositoriesLookAlike(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	owner, other := m.root(sellerAccount), m.root(otherAccount)
	m.push(owner, theRepository+":1.0")
	_, unknown := m.do(&other, http.MethodGet, "/v2/acme/nothing/manifests/1.0", "", "")
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete} {
		resp, foreign := m.do(&other, method, "/v2/"+theRepository+"/manifests/1.0", "", `{"schemaVersion":2}`)
		if resp.StatusCode != http.StatusNotFound || foreign != unknown {
			t.Errorf("%s: %s %s, want what an unknown repository answers: %s", method, resp.Status, foreign, unknown)
		}
	}
	resp, body := m.do(&other, http.MethodPost, "/v2/"+theRepository+"/blobs/uploads/", "", "")
	if resp.StatusCode != http.StatusNotFound || !strings.Contains(body, "NAME_UNKNOWN") {
		t.Errorf("upload: %s %s", resp.Status, body)
	}
	resp, body = m.do(&owner, http.MethodPost, "/v2/acme/nothing/blobs/uploads/", "", "")
	if resp.StatusCode != http.StatusNotFound || !strings.Contains(body, "NAME_UNKNOWN") {
		t.Errorf("the namespace's owner: %s %s", resp.Status, body)
	}
}

func TestPoliciesOfTheOwnersUsersDecide(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	m.push(m.root(sellerAccount), theRepository+":1.0")
	allow := func(actions, resource string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":[` + actions + `],"Resource":"` + resource + `"}]}`
	}
	const web = "arn:aws:ecr:us-east-1:111111111111:repository/acme/web"
	for what, c := range map[string]struct {
		policy     string
		pull, push bool
	}{
		"no policy":              {"", false, false},
		"pull only":              {allow(`"ecr:BatchGetImage"`, web), true, false},
		"push only":              {allow(`"ecr:PutImage"`, web), false, true},
		"all of ecr":             {allow(`"ecr:*"`, "*"), true, true},
		"another repository":     {allow(`"ecr:*"`, web+"2"), false, false},
		"another account's name": {allow(`"ecr:*"`, strings.Replace(web, "1111", "2222", 1)), false, false},
		"explicit deny": {`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},
			{"Effect":"Deny","Action":"ecr:PutImage","Resource":"*"}]}`, true, false},
		"from another address": {`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ecr:*","Resource":"*",
			"Condition":{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}}]}`, false, false},
		"from this address": {`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ecr:*","Resource":"*",
			"Condition":{"IpAddress":{"aws:SourceIp":"127.0.0.0/8"}}}]}`, true, true},
		"in the region of the repositories": {`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ecr:*","Resource":"*",
			"Condition":{"StringEquals":{"aws:RequestedRegion":"us-east-1"}}}]}`, true, true},
		"in another region": {`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ecr:*","Resource":"*",
			"Condition":{"StringEquals":{"aws:RequestedRegion":"eu-west-1"}}}]}`, false, false},
	} {
		user := m.user(sellerAccount, c.policy)
		resp, body := m.do(&user, http.MethodGet, "/v2/"+theRepository+"/tags/list", "", "")
		if got := resp.StatusCode == http.StatusOK; got != c.pull || !got && (resp.StatusCode != http.StatusForbidden || !strings.Contains(body, "DENIED")) {
			t.Errorf("%s: pull %s %s, want allowed %t", what, resp.Status, body, c.pull)
		}
		resp, body = m.do(&user, http.MethodPost, "/v2/"+theRepository+"/blobs/uploads/", "", "")
		if got := resp.StatusCode == http.StatusAccepted; got != c.push || !got && (resp.StatusCode != http.StatusForbidden || !strings.Contains(body, "DENIED")) {
			t.Errorf("%s: push %s %s, want allowed %t", what, resp.Status, body, c.push)
		}
	}
}

func TestPathTricks(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	m.put(KindRepository, "other/secret", Repository{Account: otherAccount, Product: "prod-bbbbbbbbbbbbb"})
	owner, other := m.root(sellerAccount), m.root(otherAccount)
	m.push(other, "other/secret:1")
	m.push(owner, theRepository+":1")
	for _, path := range []string{
		"/v2/acme/web/../../other/secret/manifests/1",
		"/v2/acme/web/%2e%2e/%2e%2e/other/secret/manifests/1",
		"/v2/acme/web/..%2f..%2fother/secret/manifests/1",
		"/v2/acme%2fweb/manifests/1",
		"/v2/./other/secret/manifests/1",
		"/v2//other/secret/manifests/1",
		"/v2/acme/web/manifests/../../../other/secret/manifests/1",
		"/v2/acme/web/blobs/uploads/..",
		"/v2/acme/web/blobs/uploads/...",
		"/v2/acme/web/blobs/uploads/data",
		"/v2/acme/web/manifests/..",
		"/v2/_catalog",
		"/v2/acme/web/_layers/sha256",
		"/v2/acme/web/manifests/1/",
		"/v2/../v2/other/secret/tags/list",
		"/v2/other/secret/tags/list",
		"/v2/published/prod-aaaaaaaaaaaaa/../../other/secret/tags/list",
		"/v2/ACME/web/tags/list",
		"/v2/localhost:5000/acme/web/tags/list",
	} {
		for _, method := range []string{http.MethodGet, http.MethodPatch, http.MethodDelete} {
			resp, body := m.do(&owner, method, path, "", "")
			if resp.StatusCode < 400 || resp.StatusCode >= 500 {
				t.Errorf("%s %s: %s %s", method, path, resp.Status, body)
			}
		}
	}
}

// secret is an image in a repository of another account, other/secret.
func (m *market) secret() v1.Image {
	m.t.Helper()
	m.put(KindRepository, "other/secret", Repository{Account: otherAccount, Product: "prod-bbbbbbbbbbbbb"})
	return m.push(m.root(otherAccount), "other/secret:1")
}

func TestParametersInABodyAreNone(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	owner, img := m.root(sellerAccount), m.secret()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	digest := digestOf(t, layers[0])
	form := "mount=" + digest + "&from=other/secret"
	for what, send := range map[string]func() (*http.Response, string){
		"query": func() (*http.Response, string) {
			return m.do(&owner, http.MethodPost, "/v2/acme/web/blobs/uploads/?"+form, "", "")
		},
		"form": func() (*http.Response, string) {
			return m.do(&owner, http.MethodPost, "/v2/acme/web/blobs/uploads/", "application/x-www-form-urlencoded", form)
		},
		"both": func() (*http.Response, string) {
			return m.do(&owner, http.MethodPost, "/v2/acme/web/blobs/uploads/?mount="+digest+"&from=acme/web", "application/x-www-form-urlencoded", form)
		},
		"twice": func() (*http.Response, string) {
			return m.do(&owner, http.MethodPost, "/v2/acme/web/blobs/uploads/?mount="+digest+"&from=acme/web&from=other/secret", "", "")
		},
	} {
		// As the specification has it: what can't be mounted is to be uploaded.
		if resp, body := send(); resp.StatusCode != http.StatusAccepted && resp.StatusCode != http.StatusCreated {
			t.Errorf("%s: %s %s", what, resp.Status, body)
		}
		// Nothing was linked that the asker could not read.
		if resp, _ := m.do(&owner, http.MethodHead, "/v2/acme/web/blobs/"+digest, "", ""); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: the layer of another account came over: %s", what, resp.Status)
		}
	}
}

func TestManifestsNameOnlyLayersOfTheirRepository(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	owner, img := m.root(sellerAccount), m.secret()
	manifest, err := img.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	kind, err := img.MediaType()
	if err != nil {
		t.Fatal(err)
	}
	resp, body := m.do(&owner, http.MethodPut, "/v2/acme/web/manifests/stolen", string(kind), string(manifest))
	if resp.StatusCode != http.StatusBadRequest || !strings.Contains(body, "MANIFEST_BLOB_UNKNOWN") {
		t.Errorf("manifest of another's layers: %s %s", resp.Status, body)
	}
	index := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"` + string(kind) + `","size":` + "1" + `,"digest":"` + digestOf(t, img) + `"}]}`
	resp, body = m.do(&owner, http.MethodPut, "/v2/acme/web/manifests/stolen", string(types.OCIImageIndex), index)
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("index of another's manifest: %s %s", resp.Status, body)
	}
	// Layers that are to be fetched from elsewhere are no layers.
	foreign, err := mutate.Append(empty.Image, mutate.Addendum{Layer: static.NewLayer([]byte("x"), types.DockerForeignLayer), URLs: []string{"https://example.com/layer"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(m.ref("acme/web:foreign"), foreign, owner.auth()); err == nil {
		t.Error("an image with a layer on another server was taken")
	}
}

func TestTagThatAVersionNamesStaysWhereItIs(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	owner := m.root(sellerAccount)
	img := m.push(owner, theRepository+":1.0")
	next, err := random.Image(100, 1)
	if err != nil {
		t.Fatal(err)
	}
	for what, tag := range map[string]Tag{"with its digest": {Digest: digestOf(t, img)}, "without": {}} {
		m.put(KindTag, theRepository+":1.0", tag)
		err = remote.Write(m.ref(theRepository+":1.0"), next, owner.auth())
		refused(t, err, http.StatusBadRequest, "another image, document "+what)
		if want := "TAG_INVALID: The image tag '1.0' already exists in the '" + theRepository + "' repository and cannot be overwritten because the tag is immutable."; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("document %s: %v; want %s", what, err, want)
		}
		if err := remote.Write(m.ref(theRepository+":1.0"), img, owner.auth()); err != nil {
			t.Errorf("document %s: the same image again: %v", what, err)
		}
	}
	if err := remote.Write(m.ref(theRepository+":1.1"), next, owner.auth()); err != nil {
		t.Errorf("another tag: %v", err)
	}
	// Deleting it opens no way around.
	m.put(KindTag, theRepository+":1.0", Tag{Digest: digestOf(t, img)})
	if err := remote.Delete(m.ref(theRepository+":1.0"), owner.auth()); err != nil {
		t.Fatal(err)
	}
	refused(t, remote.Write(m.ref(theRepository+":1.0"), next, owner.auth()), http.StatusBadRequest, "another image after a deletion")
}

func TestMalformedManifests(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	owner := m.root(sellerAccount)
	const oci = string(types.OCIManifestSchema1)
	for what, c := range map[string]struct {
		kind, body string
		status     int
	}{
		"huge":             {oci, strings.Repeat(" ", maxManifest+1), http.StatusRequestEntityTooLarge},
		"empty":            {oci, "", http.StatusBadRequest},
		"no JSON":          {oci, "hello", http.StatusBadRequest},
		"a list":           {oci, "[]", http.StatusBadRequest},
		"unknown type":     {"application/x-what", "{}", http.StatusBadRequest},
		"sha512":           {oci, `{"schemaVersion":2,"config":{"digest":"sha512:` + strings.Repeat("a", 128) + `"},"layers":[]}`, http.StatusBadRequest},
		"path as a digest": {oci, `{"schemaVersion":2,"config":{"digest":"sha256:../../../../etc/passwd"},"layers":[]}`, http.StatusBadRequest},
		"version 1":        {oci, `{"schemaVersion":1}`, http.StatusBadRequest},
		"version absent":   {oci, `{}`, http.StatusBadRequest},
		"wrong type":       {string(types.OCIImageIndex), `{"schemaVersion":2,"mediaType":"` + oci + `","config":{}}`, http.StatusBadRequest},
		"layer with a URL": {oci, `{"schemaVersion":2,"layers":[{"digest":"sha256:` + strings.Repeat("a", 64) + `","urls":["https://example.com"]}]}`, http.StatusBadRequest},
		"no layers":        {oci, `{"schemaVersion":2}`, http.StatusBadRequest},
		"deep":             {oci, strings.Repeat(`{"config":`, 100_000), http.StatusBadRequest},
	} {
		resp, body := m.do(&owner, http.MethodPut, "/v2/acme/web/manifests/1", c.kind, c.body)
		if resp.StatusCode != c.status {
			t.Errorf("%s: %s %.200s, want %d", what, resp.Status, body, c.status)
		}
	}
}

func TestMalformedRequestsAreNobodysFailure(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	owner := m.root(sellerAccount)
	begin := func() string {
		resp, _ := m.do(&owner, http.MethodPost, "/v2/acme/web/blobs/uploads/", "", "")
		return resp.Header.Get("Location")
	}
	id := strings.Split(begin(), "?")[0]
	hello := "sha256:" + strings.Repeat("a", 64)
	for _, c := range []struct{ method, path string }{
		{http.MethodPatch, id},
		{http.MethodPatch, id + "?_state=x"},
		{http.MethodPatch, begin() + "x"},
		{http.MethodPut, begin()},
		{http.MethodPut, begin() + "&digest=x"},
		{http.MethodPut, begin() + "&digest=sha512:" + strings.Repeat("a", 128)},
		{http.MethodPut, begin() + "&digest=" + hello},
		{http.MethodGet, "/v2/acme/web/blobs/uploads/00000000-0000-0000-0000-000000000000"},
		{http.MethodPost, "/v2/acme/web/blobs/uploads/?mount=x&from=y"},
		{http.MethodPost, "/v2/acme/web/blobs/uploads/?mount=" + hello + "&from=.."},
		{http.MethodGet, "/v2/acme/web/tags/list?n=x"},
		{http.MethodGet, "/v2/acme/web/tags/list?n=-1"},
		{http.MethodGet, "/v2/acme/web/tags/list?n=5&last=../../.."},
		{http.MethodGet, "/v2/acme/web/blobs/" + hello},
		{http.MethodGet, "/v2/acme/web/blobs/sha512:" + strings.Repeat("a", 128)},
		{http.MethodDelete, "/v2/acme/web/blobs/" + hello},
		{http.MethodGet, "/v2/acme/web/manifests/" + strings.Repeat("x", 129)},
		{http.MethodDelete, "/v2/acme/web/manifests/" + hello},
		{http.MethodDelete, "/v2/acme/web/manifests/none"},
		{http.MethodDelete, "/v2/acme/web/manifests/sha512:" + strings.Repeat("a", 128)},
		{http.MethodPut, "/v2/acme/web/manifests/md5:" + strings.Repeat("a", 32)},
		{http.MethodPost, "/v2/acme/web/manifests/1"},
		{"BREW", "/v2/acme/web/manifests/1"},
		{http.MethodPost, "/v2/acme/web/blobs/uploads"},
		{http.MethodGet, "/v2/acme/web/referrers/" + hello},
	} {
		resp, body := m.do(&owner, c.method, c.path, "text/plain", "hello")
		if resp.StatusCode >= 500 {
			t.Errorf("%s %s: %s %s", c.method, c.path, resp.Status, body)
		}
		if strings.Contains(body, "docker/registry/v2") {
			t.Errorf("%s %s tells paths: %s", c.method, c.path, body)
		}
	}
	for _, header := range []string{"x", "5-2", "0-99999999999999999999", "bytes 0-4/5"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, m.server.URL+begin(), strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth(owner.id, owner.secret)
		req.Header.Set("Content-Range", header)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode < 400 || resp.StatusCode >= 500 {
			t.Errorf("Content-Range %q: %s", header, resp.Status)
		}
	}
}

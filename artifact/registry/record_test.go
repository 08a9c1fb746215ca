package registry

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"souk/access/trail"
	"souk/catalog/procurement"
	"souk/storage/store"
)

// recorded makes a market whose requests are recorded, and what reads its records.
func recorded(t *testing.T, wrap func(store.Store) store.Store, with ...func(*Config)) (*market, func(account string) []map[string]any) {
	t.Helper()
	var records *trail.Trail
	m := newMarket(t, append(with, func(c *Config) {
		s := c.Store
		if wrap != nil {
			s = wrap(s)
		}
		var err error
		records, err = trail.New(trail.Config{Store: s, Owner: "node"})
		if err != nil {
			t.Fatal(err)
		}
		c.Trail = records
	})...)
	return m, func(account string) []map[string]any {
		t.Helper()
		found, _, err := records.Lookup(t.Context(), trail.Query{Account: account, Most: 1000})
		if err != nil {
			t.Fatal(err)
		}
		slices.Reverse(found)
		var all []map[string]any
		for _, r := range found {
			var e map[string]any
			if err := json.Unmarshal(r.JSON(), &e); err != nil {
				t.Fatalf("%v in %s", err, r.JSON())
			}
			all = append(all, e)
		}
		return all
	}
}

// The names and errors are those of the Amazon ECR API Reference.
func TestEachRequestIsRecordedAsACallOfECR(t *testing.T) {
	t.Parallel()
	m, events := recorded(t, nil)
	owner, other := m.root(sellerAccount), m.root(otherAccount)
	eve := m.user(sellerAccount, "")
	const (
		hello  = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
		absent = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
		at     = "/v2/" + theRepository
		arn    = "arn:aws:ecr:us-east-1:" + sellerAccount + ":repository/" + theRepository
	)
	resp, _ := m.do(&owner, "POST", at+"/blobs/uploads/", "", "")
	upload := resp.Header.Get("Location")
	resp, _ = m.do(&owner, "PATCH", upload, "application/octet-stream", "hello")
	upload = resp.Header.Get("Location")
	m.do(&owner, "PUT", upload+"&digest="+hello, "", "")
	manifest := `{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{"mediaType":"application/vnd.docker.container.image.v1+json","size":5,"digest":"` + hello + `"},"layers":[]}`
	resp, body := m.do(&owner, "PUT", at+"/manifests/1.0", "application/vnd.docker.distribution.manifest.v2+json", manifest)
	if resp.StatusCode != http.StatusCreated {
		t.Fatalf("push: %s %s", resp.Status, body)
	}
	digest := resp.Header.Get("Docker-Content-Digest")

	rest := []struct {
		by           *key
		method, path string
		name, code   string
		read         bool
		about        bool   // the record names the repository's ARN
		in           string // part of requestParameters
	}{
		{&owner, "GET", at + "/manifests/1.0", "BatchGetImage", "", true, true, `"imageIds":[{"imageTag":"1.0"}]`},
		{&owner, "HEAD", at + "/manifests/" + digest, "BatchGetImage", "", true, true, `"imageIds":[{"imageDigest":"` + digest + `"}]`},
		{&owner, "GET", at + "/manifests/2.0", "BatchGetImage", "ImageNotFoundException", true, true, `"imageTag":"2.0"`},
		{&owner, "HEAD", at + "/manifests/2.0", "BatchGetImage", "ImageNotFoundException", true, true, `"imageTag":"2.0"`},
		{&owner, "GET", at + "/blobs/" + hello, "GetDownloadUrlForLayer", "", true, true, `"layerDigest":"` + hello + `"`},
		{&owner, "GET", at + "/blobs/" + absent, "GetDownloadUrlForLayer", "LayerInaccessibleException", true, true, absent},
		{&owner, "HEAD", at + "/blobs/" + hello, "BatchCheckLayerAvailability", "", true, true, `"layerDigests":["` + hello + `"]`},
		{&owner, "HEAD", at + "/blobs/" + absent, "BatchCheckLayerAvailability", "", true, true, absent}, // that is an answer
		{&owner, "GET", at + "/tags/list", "ListImages", "", true, true, `"repositoryName":"acme/web"`},
		{&owner, "POST", at + "/blobs/uploads/?mount=" + hello + "&from=" + theRepository, "InitiateLayerUpload", "", false, true, `"mount":"` + hello + `"`},
		{&owner, "PUT", at + "/manifests/bad", "PutImage", "InvalidParameterException", false, true, `"imageTag":"bad"`},
		{&owner, "PUT", at + "/manifests/sold", "PutImage", "ImageTagAlreadyExistsException", false, true, `"imageTag":"sold"`},
		{&owner, "DELETE", at + "/blobs/uploads/nonsense", "UploadLayerPart", "UploadNotFoundException", false, false, `"uploadId":"nonsense"`},
		{&owner, "GET", "/v2/acme/nothing/manifests/1", "BatchGetImage", "RepositoryNotFoundException", true, false, `"repositoryName":"acme/nothing"`},
		{&eve, "GET", at + "/manifests/1.0", "BatchGetImage", "AccessDeniedException", true, true, `"registryId":"` + sellerAccount + `"`},
		{&eve, "POST", at + "/blobs/uploads/", "InitiateLayerUpload", "AccessDeniedException", false, true, `"repositoryName":"acme/web"`},
		{&owner, "DELETE", at + "/manifests/" + digest, "BatchDeleteImage", "", false, true, `"imageDigest":"` + digest + `"`},
	}
	m.put(KindTag, theRepository+":sold", Tag{Digest: absent})
	for _, c := range rest {
		body := ""
		if strings.HasSuffix(c.path, "/sold") {
			body = manifest
		}
		m.do(c.by, c.method, c.path, "", body)
	}
	// What is no call, or of nobody who is known, has no record.
	m.do(nil, "GET", at+"/manifests/1.0", "", "")
	m.do(&key{id: owner.id, secret: "wrong"}, "GET", at+"/manifests/1.0", "", "")
	m.do(&owner, "GET", "/v2/", "", "")
	m.do(&owner, "GET", "/v2/_catalog", "", "")
	m.do(&owner, "DELETE", at+"/blobs/"+hello, "", "")
	resp, _ = m.do(&other, "GET", at+"/manifests/1.0", "", "")

	all := events(sellerAccount)
	var names []string
	for _, e := range all {
		names = append(names, e["eventName"].(string))
	}
	pushed := []string{"InitiateLayerUpload", "UploadLayerPart", "CompleteLayerUpload", "PutImage"}
	if len(all) != len(pushed)+len(rest) || !slices.Equal(names[:4], pushed) {
		t.Fatalf("records of %v, want a push and %d more", names, len(rest))
	}
	for i, want := range []string{`"uploadId":"`, `"lastByteReceived":4`, `"layerDigest":"` + hello, `"imageId":{"imageDigest":"` + digest + `","imageTag":"1.0"}`} {
		if got := text(t, all[i]["responseElements"]); !strings.Contains(got, want) {
			t.Errorf("%s: responseElements %s, want %s", names[i], got, want)
		}
	}
	for i, c := range rest {
		e := all[len(pushed)+i]
		code, _ := e["errorCode"].(string)
		if e["eventName"] != c.name || code != c.code || e["readOnly"] != c.read || e["eventSource"] != "ecr.amazonaws.com" {
			t.Errorf("%s %s: %v %q, read %v; want %s %q, read %v", c.method, c.path, e["eventName"], code, e["readOnly"], c.name, c.code, c.read)
		}
		if message, _ := e["errorMessage"].(string); (message != "") != (c.code != "") {
			t.Errorf("%s %s: error message %q", c.method, c.path, message)
		}
		if got := text(t, e["requestParameters"]); !strings.Contains(got, c.in) {
			t.Errorf("%s %s: requestParameters %s, want %s", c.method, c.path, got, c.in)
		}
		if got := text(t, e["resources"]); strings.Contains(got, arn) != c.about {
			t.Errorf("%s %s: resources %s", c.method, c.path, got)
		}
		if e["sourceIPAddress"] != "127.0.0.1" || e["userAgent"] == "" || len(e["requestID"].(string)) != 36 {
			t.Errorf("%s %s: from %v, by %v, request %v", c.method, c.path, e["sourceIPAddress"], e["userAgent"], e["requestID"])
		}
	}
	// Who may not know of a repository learns nothing of it from its own records.
	foreign := events(otherAccount)
	if len(foreign) != 1 || foreign[0]["errorCode"] != "RepositoryNotFoundException" || strings.Contains(text(t, foreign[0]), sellerAccount) {
		t.Errorf("another account's pull: %s", text(t, foreign))
	}
	if id := resp.Header.Get("X-Amzn-Requestid"); len(foreign) == 1 && foreign[0]["requestID"] != id {
		t.Errorf("request %s has the record of %v", id, foreign[0]["requestID"])
	}
}

// What a private marketplace denies is known to who is told so: the record says
// which repository it was about. What an account does not see is in no record.
func TestRecordsOfRefusedPullsNameWhatMayBeKnown(t *testing.T) {
	t.Parallel()
	var answer procurement.Answer
	m, events := recorded(t, nil, func(c *Config) {
		c.MayObtain = func(context.Context, string, string, string) (procurement.Answer, error) { return answer, nil }
	})
	buyer := m.root(otherAccount)
	for i, c := range []struct {
		answer procurement.Answer
		code   string
		about  bool
	}{
		{procurement.Answer{Reason: "the private marketplace exp-a denies it", Told: true}, "AccessDeniedException", true},
		{procurement.Answer{Reason: "it is a draft"}, "RepositoryNotFoundException", false},
	} {
		answer = c.answer
		m.do(&buyer, "GET", "/v2/"+theRepository+"/manifests/1.0", "", "")
		e := events(otherAccount)[i]
		resources := text(t, e["resources"])
		if e["errorCode"] != c.code || strings.Contains(resources, `"ARN":"`+arnOf(sellerAccount, theRepository)+`"`) != c.about || strings.Contains(text(t, e), sellerAccount) != c.about {
			t.Errorf("%s: record %s", c.answer.Reason, text(t, e))
		}
	}
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// full is a store that takes nothing once it is told so.
type full struct {
	store.Store
	now *atomic.Bool
}

func (f full) Commit(ctx context.Context, b store.Batch) error {
	if f.now.Load() {
		return errors.New("the disk is full")
	}
	return f.Store.Commit(ctx, b)
}

func TestPushThatCannotBeRecordedFails(t *testing.T) {
	t.Parallel()
	var now atomic.Bool
	m, _ := recorded(t, func(s store.Store) store.Store { return full{s, &now} })
	owner := m.root(sellerAccount)
	now.Store(true)
	resp, body := m.do(&owner, "POST", "/v2/"+theRepository+"/blobs/uploads/", "", "")
	if resp.StatusCode != http.StatusInternalServerError || !strings.Contains(body, "UNKNOWN") || resp.Header.Get("Location") != "" {
		t.Errorf("got %s, Location %q, %s", resp.Status, resp.Header.Get("Location"), body)
	}
	now.Store(false)
	resp, body = m.do(&owner, "POST", "/v2/"+theRepository+"/blobs/uploads/", "", "")
	if resp.StatusCode != http.StatusAccepted {
		t.Errorf("once the store takes records again: %s %s", resp.Status, body)
	}
}

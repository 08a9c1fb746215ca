package registry

import (
	"bytes"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// webARN is theRepository in policies.
const webARN = "arn:aws:ecr:us-east-1:" + sellerAccount + ":repository/" + theRepository

// statements makes a policy: "Allow ACTION,ACTION" and "Deny ACTION" on webARN.
func statements(list ...string) string {
	var all []string
	for _, s := range list {
		effect, actions, _ := strings.Cut(s, " ")
		all = append(all, `{"Effect":"`+effect+`","Action":["`+strings.ReplaceAll(actions, ",", `","`)+`"],"Resource":"`+webARN+`"}`)
	}
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(all, ",") + `]}`
}

// TestSmallActionsOfECR: what the documents say that each action is for, asked
// by requests.
func TestSmallActionsOfECR(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	m.put(KindRepository, "acme/base", Repository{Account: sellerAccount, Product: theProduct})
	owner := m.root(sellerAccount)
	img := m.push(owner, theRepository+":1.0")
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	layer := digestOf(t, layers[0])
	const at = "/v2/" + theRepository
	// Every request can be done again and again; an upload that is gone is
	// answered 404 to those who may ask.
	const upload = at + "/blobs/uploads/00000000-0000-4000-8000-000000000000"
	type request struct{ method, path string }
	requests := map[string]request{
		"look up a layer":  {http.MethodHead, at + "/blobs/" + layer},
		"look up an image": {http.MethodHead, at + "/manifests/1.0"},
		"pull an image":    {http.MethodGet, at + "/manifests/1.0"},
		"pull a layer":     {http.MethodGet, at + "/blobs/" + layer},
		"list tags":        {http.MethodGet, at + "/tags/list"},
		"begin a layer":    {http.MethodPost, at + "/blobs/uploads/"},
		"upload a part":    {http.MethodPatch, upload},
		"complete a layer": {http.MethodPut, upload + "?digest=" + layer},
		"push an image":    {http.MethodPut, at + "/manifests/2.0"},
		"delete an image":  {http.MethodDelete, at + "/manifests/none"},
	}
	const (
		looks  = "look up a layer,look up an image"
		pulls  = looks + ",pull an image,pull a layer,list tags"
		pushes = looks + ",begin a layer,upload a part,complete a layer,push an image"
	)
	for _, c := range []struct {
		policy string
		may    string // the names of requests
	}{
		{statements("Allow ecr:GetAuthorizationToken"), ""},
		{statements("Allow ecr:BatchGetImage"), pulls},
		{statements("Allow ecr:PutImage"), pushes},
		{statements("Allow ecr:BatchDeleteImage"), "delete an image"},
		// The small actions open what is asked before a push, and no more.
		{statements("Allow ecr:BatchCheckLayerAvailability"), "look up a layer"},
		{statements("Allow ecr:DescribeImages"), "look up an image"},
		{statements("Allow ecr:ListImages"), "list tags"},
		{statements("Allow ecr:GetDownloadUrlForLayer"), ""},
		{statements("Allow ecr:InitiateLayerUpload,ecr:UploadLayerPart,ecr:CompleteLayerUpload"), ""},
		// An explicit deny of any closes its step and no other.
		{statements("Allow ecr:BatchGetImage", "Deny ecr:GetDownloadUrlForLayer"), looks + ",pull an image,list tags"},
		{statements("Allow ecr:BatchGetImage", "Deny ecr:BatchCheckLayerAvailability"), "look up an image,pull an image,pull a layer,list tags"},
		{statements("Allow ecr:BatchGetImage", "Deny ecr:DescribeImages"), pulls},
		{statements("Allow ecr:BatchGetImage", "Deny ecr:ListImages"), looks + ",pull an image,pull a layer"},
		{statements("Allow ecr:PutImage", "Deny ecr:InitiateLayerUpload"), looks + ",upload a part,complete a layer,push an image"},
		{statements("Allow ecr:PutImage", "Deny ecr:UploadLayerPart"), looks + ",begin a layer,push an image"},
		{statements("Allow ecr:PutImage", "Deny ecr:CompleteLayerUpload"), looks + ",begin a layer,upload a part,push an image"},
		{statements("Allow ecr:PutImage", "Deny ecr:BatchGetImage"), "look up a layer,begin a layer,upload a part,complete a layer,push an image"},
		{statements("Allow ecr:*", "Deny ecr:PutImage"), pulls + ",delete an image"},
		{statements("Allow ecr:*", "Deny ecr:BatchGetImage"), "look up a layer,list tags,begin a layer,upload a part,complete a layer,push an image,delete an image"},
	} {
		user := m.user(sellerAccount, c.policy)
		for what, r := range requests {
			want := strings.Contains(","+c.may+",", ","+what+",")
			resp, body := m.do(&user, r.method, r.path, "", "")
			if got := resp.StatusCode != http.StatusForbidden; got != want {
				t.Errorf("%s with %s: %s %s, want allowed %t", what, c.policy, resp.Status, body, want)
			}
		}
	}

	// A mount needs the steps of both sides; what may not be mounted is to be
	// uploaded, which is refused or not by itself.
	base := strings.ReplaceAll(webARN, theRepository, "acme/base")
	for denied, want := range map[string]int{
		"":                            http.StatusCreated,
		"ecr:GetDownloadUrlForLayer":  http.StatusAccepted,
		"ecr:CompleteLayerUpload":     http.StatusAccepted,
		"ecr:InitiateLayerUpload":     http.StatusForbidden,
		"ecr:BatchGetImage":           http.StatusAccepted,
		"ecr:SomethingQuiteDifferent": http.StatusCreated,
	} {
		policy := strings.ReplaceAll(statements("Allow ecr:*", "Deny "+denied), `"`+webARN+`"`, `["`+webARN+`","`+base+`"]`)
		if denied == "" {
			policy = strings.ReplaceAll(statements("Allow ecr:*"), webARN, "*")
		}
		user := m.user(sellerAccount, policy)
		resp, body := m.do(&user, http.MethodPost, "/v2/acme/base/blobs/uploads/?mount="+layer+"&from="+theRepository, "", "")
		if resp.StatusCode != want {
			t.Errorf("mount with %q denied: %s %s, want %d", denied, resp.Status, body, want)
		}
	}
}

// TestPushPoliciesPush: the policy of Amazon ECR's guide for pushing, without
// the right to read an image, and the manual's, with a real client.
func TestPushPoliciesPush(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	publisher := regexp.MustCompile("(?s)publisher\\.json.*?```json\n(.*?)```").FindSubmatch(manual)
	if publisher == nil {
		t.Fatal("operating.md has no publisher.json")
	}
	m := newMarket(t)
	for what, policy := range map[string]string{
		"usual":  strings.ReplaceAll(statements("Allow ecr:GetAuthorizationToken,ecr:BatchCheckLayerAvailability,ecr:InitiateLayerUpload,ecr:UploadLayerPart,ecr:CompleteLayerUpload,ecr:PutImage"), webARN, "*"),
		"manual": strings.NewReplacer("210987654321", sellerAccount).Replace(string(publisher[1])),
	} {
		user := m.user(sellerAccount, policy)
		for range 2 { // the second one finds its layers there
			m.push(user, theRepository+":"+what)
		}
		img, err := random.Image(512, 2)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := remote.Write(m.ref(theRepository+":again"), img, user.auth()); err != nil {
				t.Errorf("%s policy, the same image twice: %v", what, err)
			}
		}
		_, err = remote.Image(m.ref(theRepository+":again"), user.auth())
		refused(t, err, http.StatusForbidden, what+" policy pulls")
	}
}

// TestRefusalsAreLogged: those that keep somebody out at info, the challenge
// with which every client begins for debugging alone; never a password.
func TestRefusalsAreLogged(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer // written by one request after the other
	m := newMarket(t, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	user := m.user(sellerAccount, "")
	for what, c := range map[string]struct {
		key  *key
		want string
	}{
		"a denial":       {&user, "status=403 error=DENIED reason=\"User: arn:aws:iam::111111111111:user/eve is not authorized to perform: ecr:BatchGetImage"},
		"a wrong secret": {&key{id: user.id, secret: "quite wrong"}, "status=401 error=UNAUTHORIZED"},
		"a challenge":    {nil, ""},
	} {
		log.Reset()
		m.do(c.key, http.MethodGet, "/v2/"+theRepository+"/manifests/1.0", "", "")
		if got := log.String(); !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%s: logged %q, want %q", what, got, c.want)
		}
		if strings.Contains(log.String(), "quite wrong") || strings.Contains(log.String(), user.secret) {
			t.Errorf("%s: the log has the secret: %s", what, log.String())
		}
	}
}

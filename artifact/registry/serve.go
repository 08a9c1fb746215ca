package registry

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"path"
	"regexp"
	"strings"
	"sync"
	"time"

	v2 "github.com/distribution/distribution/v3/registry/api/v2"
	"github.com/gorilla/mux"

	"souk/storage/store"
)

// downloadTime is how long one blob may take to a slow client.
const downloadTime = 6 * time.Hour

// routes understands paths exactly as the library does: it is the library's.
var routes = sync.OnceValue(func() *mux.Router { return v2.RouterWithPrefix("") })

// uploadID is the form of the id of an upload, which names a folder.
var uploadID = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// call is a request that has been understood.
type call struct {
	asker      asker
	user       string // access key, for the library's log
	route      string // the library's name
	repository string
	reference  string // of a manifest: tag or digest
	digest     string // of a blob
	upload     string // id
}

// serve answers a request: who is it, what does it ask for, is that allowed;
// then it is the library's. The record of it is made before it is answered.
func (r *Registry) serve(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	w.Header().Set("X-Content-Type-Options", "nosniff")

	a := r.newRecorder(w, req)
	err := r.route(a, req)
	if err != nil {
		r.refuse(a, req, err)
	}
	a.end()
}

// refuse answers a request with the error that it ended in.
func (r *Registry) refuse(a *recorder, req *http.Request, err error) {
	var no *refusal
	if !errors.As(err, &no) {
		if req.Context().Err() == nil {
			r.config.Log.Error("registry: request failed", "request", a.record.RequestID, "method", req.Method, "path", req.URL.Path, "error", err)
		}
		no = unknown()
	}
	r.logRefusal(req, no, a.record.RequestID)
	no.write(a)
}

// logRefusal writes down who was kept out, and for debugging every other
// refusal: clients ask for much that is not there, and begin without
// credentials.
func (r *Registry) logRefusal(req *http.Request, no *refusal, id string) {
	level := slog.LevelDebug
	_, _, claimed := req.BasicAuth()
	if no.status == http.StatusForbidden || no.status == http.StatusUnauthorized && claimed {
		level = slog.LevelInfo
	}
	r.config.Log.Log(req.Context(), level, "registry: refused", "request", id, "method", req.Method, "path", req.URL.Path,
		"from", req.RemoteAddr, "status", no.status, "error", no.code, "reason", no.message)
}

// route does the request. An error has not been answered yet.
func (r *Registry) route(w *recorder, req *http.Request) error {
	key, principal, ok, err := r.authenticate(req)
	if err != nil {
		return err
	}
	if !ok {
		w.Header().Set("WWW-Authenticate", `Basic realm="Souk",charset="UTF-8"`)
		return &refusal{http.StatusUnauthorized, "UNAUTHORIZED", "authentication required"}
	}
	if req.URL.Path == "/v2" {
		req = clone(req, "/v2/", req.URL.RawQuery)
	}
	// No two ways to write one path: nothing escaped, no dots, no doubled slashes.
	p := req.URL.Path
	slash := p == "/v2/" || strings.HasSuffix(p, "/blobs/uploads/")
	if req.URL.RawPath != "" || (path.Clean(p) != p && !(slash && path.Clean(p)+"/" == p)) {
		return nameUnknown()
	}
	var match mux.RouteMatch
	if !routes().Match(req, &match) || match.MatchErr != nil || match.Route == nil {
		return &refusal{http.StatusNotFound, "UNSUPPORTED", "the registry has nothing at this path"}
	}
	c := call{
		asker:      r.asker(principal, req),
		user:       key,
		route:      match.Route.GetName(),
		repository: match.Vars["name"],
		reference:  match.Vars["reference"],
		digest:     match.Vars["digest"],
		upload:     match.Vars["uuid"],
	}
	w.begin(&c)
	read := req.Method == http.MethodGet || req.Method == http.MethodHead

	switch c.route {
	case v2.RouteNameBase: // docker login asks for this alone
		return r.library(w, req, c, nil)
	case v2.RouteNameManifest:
		switch {
		case read:
			return r.pullManifest(w, req, c)
		case req.Method == http.MethodPut:
			return r.putManifest(w, req, c)
		case req.Method == http.MethodDelete:
			return r.deleteManifest(w, req, c)
		}
	case v2.RouteNameBlob:
		if read {
			return r.pullBlob(w, req, c)
		}
		// A layer goes when no manifest has it any more: Collect.
	case v2.RouteNameTags:
		if read {
			return r.listTags(w, req, c)
		}
	case v2.RouteNameBlobUpload:
		if req.Method == http.MethodPost {
			return r.startUpload(w, req, c)
		}
	case v2.RouteNameBlobUploadChunk:
		return r.upload(w, req, c)
	}
	return &refusal{http.StatusMethodNotAllowed, "UNSUPPORTED", "The operation is unsupported."}
}

// library hands a request that was granted to the distribution library.
func (r *Registry) library(w http.ResponseWriter, req *http.Request, c call, actions map[string][]string) error {
	g := &grant{user: c.user, actions: actions}
	a, ok := w.(*answer)
	if !ok {
		a = &answer{ResponseWriter: w}
	}
	a.failed = func() {
		// What went wrong stands in the library's own log entry.
		r.config.Log.Error("registry: request failed", "request", w.Header().Get("X-Amzn-Requestid"), "method", req.Method, "path", req.URL.Path)
	}
	r.app.ServeHTTP(a, req.WithContext(context.WithValue(req.Context(), grantKey{}, g)))
	return nil
}

// clone is the request with another path and query.
func clone(req *http.Request, path, query string) *http.Request {
	req = req.Clone(req.Context())
	req.URL.Path, req.URL.RawPath, req.URL.RawQuery = path, "", query
	req.RequestURI = req.URL.RequestURI()
	return req
}

// mayPull is mayRead for a request that fetches, which needs one permission, or
// that only looks whether something is there, which needs the other.
func (r *Registry) mayPull(req *http.Request, c call, fetch, lookUp permission) (readable, error) {
	need := fetch
	if req.Method == http.MethodHead {
		need = lookUp
	}
	return r.mayRead(req.Context(), c.asker, need, c.repository)
}

func (r *Registry) pullManifest(w http.ResponseWriter, req *http.Request, c call) error {
	from, err := r.mayPull(req, c, pullImage, lookUpImage)
	if err != nil {
		return err
	}
	if from.of != "" {
		digest, err := r.publishedDigest(req.Context(), from.of, c.reference)
		if err != nil {
			return err
		}
		req = clone(req, "/v2/"+from.name+"/manifests/"+digest, "")
		c.reference = digest
	}
	by, err := r.mayHave(req.Context(), c.asker, from, c.reference)
	if err != nil {
		return err
	}
	if by != "" && req.Method == http.MethodGet && r.config.Obtained != nil {
		err = r.config.Obtained(req.Context(), c.asker.principal.Account, from.product, by)
		if err != nil {
			return err
		}
	}
	return r.library(w, req, c, map[string][]string{from.name: {"pull"}})
}

// publishedDigest is what a reference of a repository names to those who read
// what is published: a digest names itself, a tag what the version pinned.
func (r *Registry) publishedDigest(ctx context.Context, repository, reference string) (string, error) {
	if digestPattern.MatchString(reference) {
		return reference, nil
	}
	if !tagPattern().MatchString(reference) {
		return "", manifestUnknown()
	}
	t, err := r.tag(ctx, repository, reference)
	if errors.Is(err, store.ErrNotFound) {
		return "", manifestUnknown()
	}
	if err != nil {
		return "", err
	}
	if t.Digest == "" {
		t.Digest, err = r.current(ctx, repository, reference)
		if err != nil {
			return "", err
		}
	}
	if t.Digest == "" {
		return "", manifestUnknown()
	}
	return t.Digest, nil
}

// manifestUnknown is the answer for a manifest that a repository has not got.
func manifestUnknown() *refusal {
	return &refusal{http.StatusNotFound, "MANIFEST_UNKNOWN", "manifest unknown"}
}

func (r *Registry) pullBlob(w http.ResponseWriter, req *http.Request, c call) error {
	from, err := r.mayPull(req, c, pullLayer, lookUpLayer)
	if err != nil {
		return err
	}
	if !digestPattern.MatchString(c.digest) {
		return &refusal{http.StatusNotFound, "BLOB_UNKNOWN", "blob unknown to registry"}
	}
	_, err = r.mayHave(req.Context(), c.asker, from, c.digest)
	if err != nil {
		return err
	}
	if from.of == "" && req.Method == http.MethodHead {
		// Whoever pushes asks first which layers are there; those must not be
		// swept before the manifest that is about to name them comes.
		err = touch(r.config.Now(), r.layout.blob(c.digest), r.layout.layer(c.repository, c.digest))
		if err != nil {
			return err
		}
	}
	if from.of != "" {
		req = clone(req, "/v2/"+from.name+"/blobs/"+c.digest, "")
	}
	// The server's own limit is made for answers of a few kilobytes. The error
	// says that the connection has no such limit to set.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(downloadTime))
	return r.library(w, req, c, map[string][]string{from.name: {"pull"}})
}

// listTags is for those who read all of a repository.
func (r *Registry) listTags(w http.ResponseWriter, req *http.Request, c call) error {
	from, err := r.mayRead(req.Context(), c.asker, listImages, c.repository)
	if err != nil {
		return err
	}
	if from.of != "" || strings.HasPrefix(from.name, publishedPrefix) {
		return &refusal{http.StatusForbidden, "DENIED", "only the account that owns the repository may list its tags"}
	}
	return r.library(w, req, c, map[string][]string{from.name: {"pull"}})
}

func (r *Registry) deleteManifest(w http.ResponseWriter, req *http.Request, c call) error {
	err := r.mayWrite(req.Context(), c.asker, deleteImage, c.repository)
	if err != nil {
		return err
	}
	if tagPattern().MatchString(c.reference) {
		digest, err := r.current(req.Context(), c.repository, c.reference)
		if err != nil {
			return err
		}
		if digest == "" {
			return manifestUnknown()
		}
	}
	return r.library(w, req, c, map[string][]string{c.repository: {"delete"}})
}

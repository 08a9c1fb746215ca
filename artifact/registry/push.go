package registry

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/reference"

	"souk/storage/store"
)

// uploadPause is how long a client may send nothing of a layer.
const uploadPause = 2 * time.Minute

// contentRange is the form of Content-Range in the OCI distribution specification.
var contentRange = regexp.MustCompile(`^[0-9]{1,18}-[0-9]{1,18}$`)

// startUpload begins the upload of a layer, or mounts one of another
// repository. A mount that is not possible becomes an upload, as the OCI
// distribution specification has it ("Mounting a blob from another repository").
func (r *Registry) startUpload(w http.ResponseWriter, req *http.Request, c call) error {
	ctx := req.Context()
	err := r.mayWrite(ctx, c.asker, beginLayer, c.repository)
	if err != nil {
		return err
	}
	q := req.URL.Query()
	mount, from := q.Get("mount"), q.Get("from")
	query, actions := "", map[string][]string{c.repository: {"pull", "push"}}
	if digestPattern.MatchString(mount) && from != "" {
		source, err := r.mayRead(ctx, c.asker, pullLayer, from)
		if err == nil {
			_, err = r.mayHave(ctx, c.asker, source, mount)
		}
		if err == nil {
			err = r.mayWrite(ctx, c.asker, mountLayer, c.repository)
		}
		var no *refusal
		switch {
		case err == nil:
			release, err := r.share()
			if err != nil {
				return err
			}
			defer release()
			err = touch(r.config.Now(), r.layout.blob(mount), r.layout.layer(source.name, mount), r.layout.layer(c.repository, mount))
			if err != nil {
				return err
			}
			query = url.Values{"mount": {mount}, "from": {source.name}}.Encode()
			if source.name != c.repository {
				actions[source.name] = []string{"pull"}
			}
		case !errors.As(err, &no):
			return err
		}
	}
	return r.library(w, plain(clone(req, req.URL.Path, query)), c, actions)
}

// plain makes sure that the library takes nothing in a body for parameters.
func plain(req *http.Request) *http.Request {
	req.Header.Del("Content-Type")
	return req
}

// upload is all that happens to an upload that was begun: its state, a piece,
// its end, its cancellation.
func (r *Registry) upload(w http.ResponseWriter, req *http.Request, c call) error {
	if !uploadID.MatchString(c.upload) {
		return &refusal{http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry"}
	}
	need := uploadLayer
	if req.Method == http.MethodPut {
		need = completeLayer
	}
	err := r.mayWrite(req.Context(), c.asker, need, c.repository)
	if err != nil {
		return err
	}
	actions := map[string][]string{c.repository: {"pull", "push", "delete"}}
	req = plain(clone(req, req.URL.Path, req.URL.RawQuery))
	if req.Method != http.MethodPatch && req.Method != http.MethodPut {
		return r.library(w, req, c, actions)
	}

	if c := req.Header.Get("Content-Range"); c != "" && !contentRange.MatchString(c) {
		return &refusal{http.StatusRequestedRangeNotSatisfiable, "BLOB_UPLOAD_INVALID", "Content-Range has the form START-END here"}
	}
	left := r.config.MaxBlob
	data := filepath.Join(r.layout.upload(c.repository, c.upload), "data")
	if info, err := os.Stat(data); err == nil {
		left -= info.Size()
	}
	tooLarge := &refusal{http.StatusRequestEntityTooLarge, "SIZE_INVALID", fmt.Sprintf("a layer may have %d bytes at most", r.config.MaxBlob)}
	if req.ContentLength > left {
		return tooLarge
	}
	body := &layerBody{body: req.Body, left: left, conn: http.NewResponseController(w)}
	defer body.done()
	if req.Method == http.MethodPut {
		digest := req.URL.Query().Get("digest")
		if !digestPattern.MatchString(digest) {
			return &refusal{http.StatusBadRequest, "DIGEST_INVALID", "the digest of a layer is sha256: and 64 hexadecimal digits"}
		}
		body.atEnd = func() (func(), error) {
			release, err := r.share()
			if err != nil {
				return nil, err
			}
			return release, touch(r.config.Now(), r.layout.blob(digest), r.layout.layer(c.repository, digest))
		}
		if req.ContentLength == 0 {
			err := body.end()
			if err != nil {
				return err
			}
		}
	}
	req.Body = body
	answer := &answer{ResponseWriter: w}
	answer.instead = func() *refusal {
		switch {
		case body.left < 0:
			return tooLarge
		case body.broken:
			return &refusal{http.StatusBadRequest, "BLOB_UPLOAD_INVALID", "the piece did not come to its end"}
		}
		return nil
	}
	err = r.library(answer, req, c, actions)
	if body.left < 0 {
		_ = os.RemoveAll(r.layout.upload(c.repository, c.upload)) // else it goes with the other unfinished ones
	}
	return err
}

// errTooLarge ends a body that is longer than a layer may be.
var errTooLarge = errors.New("layer is too large")

// layerBody is the body of a request that brings a layer. It counts, gives a
// slow client time as long as something comes, and runs atEnd when all of it
// is there, before the library that reads it goes on: so the lock that a
// commit needs is never held while a client is awaited. One goroutine uses it.
type layerBody struct {
	body    io.ReadCloser
	conn    *http.ResponseController
	left    int64 // bytes that may come; below 0 when too many came
	broken  bool  // the client did not send all
	atEnd   func() (release func(), err error)
	release func()
}

func (b *layerBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, errTooLarge
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	// Connections without deadlines have no slow clients either.
	_ = b.conn.SetReadDeadline(time.Now().Add(uploadPause))
	n, err := b.body.Read(p)
	b.left -= int64(n)
	if b.left < 0 {
		return n, errTooLarge
	}
	if err == io.EOF {
		failed := b.end()
		if failed != nil {
			return n, failed
		}
		_ = b.conn.SetWriteDeadline(time.Now().Add(uploadPause))
		return n, err
	}
	b.broken = err != nil
	return n, err
}

// end runs atEnd once.
func (b *layerBody) end() error {
	if b.atEnd == nil {
		return nil
	}
	run := b.atEnd
	b.atEnd = nil
	release, err := run()
	b.release = release
	return err
}

func (b *layerBody) done() {
	if b.release != nil {
		b.release()
	}
}

func (b *layerBody) Close() error { return b.body.Close() }

// answer lets us replace what the library is about to answer. Where the
// library fails it tells clients the paths of our files; ours does not.
type answer struct {
	http.ResponseWriter
	instead func() *refusal // nil or returning nil: as the library says
	failed  func()          // told when the library answers that it failed
	status  int
	muted   bool // the library's body is dropped
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *answer) WriteHeader(status int) {
	if a.status != 0 {
		return
	}
	a.status = status
	var no *refusal
	if a.instead != nil {
		no = a.instead()
	}
	if no == nil && status >= 500 {
		a.failed()
		no = &refusal{status, "UNKNOWN", "unknown error"}
	}
	if no != nil {
		a.status, a.muted = no.status, true
		no.write(a.ResponseWriter)
		return
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	if a.muted {
		return len(p), nil
	}
	return a.ResponseWriter.Write(p)
}

// putManifest stores a manifest, under a tag or by its digest.
func (r *Registry) putManifest(w http.ResponseWriter, req *http.Request, c call) error {
	ctx := req.Context()
	err := r.mayWrite(ctx, c.asker, pushImage, c.repository)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxManifest))
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return &refusal{http.StatusRequestEntityTooLarge, "SIZE_INVALID", fmt.Sprintf("a manifest may have %d bytes at most", maxManifest)}
		}
		return &refusal{http.StatusBadRequest, "MANIFEST_INVALID", "the manifest did not come to its end"}
	}
	refs, err := references(body)
	if err != nil {
		return &refusal{http.StatusBadRequest, "MANIFEST_INVALID", err.Error()}
	}
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256(body))

	// From here on until the library is done nothing is swept.
	release, err := r.share()
	if err != nil {
		return err
	}
	defer release()
	if !digestPattern.MatchString(c.reference) {
		if !tagPattern().MatchString(c.reference) {
			return &refusal{http.StatusBadRequest, "DIGEST_INVALID", "the digest of a manifest is sha256: and 64 hexadecimal digits"}
		}
		err = r.mayMoveTag(ctx, c.repository, c.reference, digest)
		if err != nil {
			return err
		}
	}
	files := r.filesOf(c.repository, digest, refs)
	err = touch(r.config.Now(), files...)
	if err != nil {
		return err
	}
	req = clone(req, req.URL.Path, "")
	req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	// The answer means that the image is there after a power failure too.
	if tagPattern().MatchString(c.reference) {
		files = append(files, r.layout.tag(c.repository, c.reference))
	}
	answer := &answer{ResponseWriter: w}
	answer.instead = func() *refusal {
		if answer.status != http.StatusCreated {
			return nil
		}
		err := r.layout.settle(files...)
		if err != nil {
			r.config.Log.Error("registry: image not made durable", "repository", c.repository, "digest", digest, "error", err)
			return unknown()
		}
		return nil
	}
	return r.library(answer, req, c, map[string][]string{c.repository: {"pull", "push"}})
}

// mayMoveTag refuses to let a tag that a version names go to another digest, as
// Amazon ECR does where tags are immutable: in its words, by which clients know
// the case. The reason is ours.
func (r *Registry) mayMoveTag(ctx context.Context, repository, name, digest string) error {
	t, err := r.tag(ctx, repository, name)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if t.Digest == "" {
		t.Digest, err = r.current(ctx, repository, name)
		if err != nil {
			return err
		}
	}
	if t.Digest == digest {
		return nil
	}
	return &refusal{http.StatusBadRequest, "TAG_INVALID", "The image tag '" + name + "' already exists in the '" + repository + "' repository and cannot be overwritten because the tag is immutable. " +
		"A version of a product names it as " + t.Digest + ": push under another tag."}
}

// current is the digest that a tag names now, "" if it names nothing.
func (r *Registry) current(ctx context.Context, repository, tag string) (string, error) {
	repo, err := r.open(ctx, repository)
	if err != nil {
		return "", err
	}
	d, err := repo.Tags(ctx).Get(ctx, tag)
	var unknown distribution.ErrTagUnknown
	if errors.As(err, &unknown) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading tag %s:%s: %w", repository, tag, err)
	}
	return d.Digest.String(), nil
}

// open is the library's view of a repository.
func (r *Registry) open(ctx context.Context, name string) (distribution.Repository, error) {
	named, err := reference.WithName(name)
	if err != nil {
		return nil, fmt.Errorf("opening repository %q: %w", name, err)
	}
	repo, err := r.namespace.Repository(ctx, named)
	if err != nil {
		return nil, fmt.Errorf("opening repository %s: %w", name, err)
	}
	return repo, nil
}

// filesOf lists the files that a manifest in a repository stands on.
func (r *Registry) filesOf(repository, digest string, refs manifestRefs) []string {
	files := []string{r.layout.blob(digest), r.layout.revision(repository, digest)}
	for _, d := range refs.blobs {
		files = append(files, r.layout.blob(d), r.layout.layer(repository, d))
	}
	for _, d := range refs.manifests {
		files = append(files, r.layout.blob(d), r.layout.revision(repository, d))
	}
	return files
}

// manifestRefs is what a manifest names, as digests.
type manifestRefs struct {
	blobs     []string // config and layers
	manifests []string // of an index
	subject   string   // what the manifest is about; it need not exist
}

// references reads what a manifest or index of any of the four known types
// names. All digests must be sha256: the sweep knows no others.
func references(manifest []byte) (manifestRefs, error) {
	type descriptor struct {
		Digest string   `json:"digest"`
		URLs   []string `json:"urls"`
	}
	var m struct {
		Version   int          `json:"schemaVersion"`
		Config    *descriptor  `json:"config"`
		Layers    []descriptor `json:"layers"`
		Manifests []descriptor `json:"manifests"`
		Subject   *descriptor  `json:"subject"`
	}
	err := json.Unmarshal(manifest, &m)
	if err != nil {
		return manifestRefs{}, errors.New("the manifest is not valid JSON of a manifest")
	}
	if m.Version != 2 {
		return manifestRefs{}, errors.New("the schemaVersion of a manifest is 2")
	}
	var refs manifestRefs
	if m.Config != nil {
		refs.blobs = append(refs.blobs, m.Config.Digest)
	}
	for _, l := range m.Layers {
		if len(l.URLs) > 0 {
			return manifestRefs{}, errors.New("a layer that is to be fetched from elsewhere is not taken: push it")
		}
		refs.blobs = append(refs.blobs, l.Digest)
	}
	for _, c := range m.Manifests {
		refs.manifests = append(refs.manifests, c.Digest)
	}
	all := append(append([]string{}, refs.blobs...), refs.manifests...)
	if m.Subject != nil {
		refs.subject = m.Subject.Digest
		all = append(all, refs.subject)
	}
	for _, d := range all {
		if !digestPattern.MatchString(d) {
			return manifestRefs{}, fmt.Errorf("digest %.100q is not sha256: and 64 hexadecimal digits", d)
		}
	}
	return refs, nil
}

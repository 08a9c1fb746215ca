package registry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	v2 "github.com/distribution/distribution/v3/registry/api/v2"

	"souk/access/trail"
)

// This file makes a record of each request in the trail, as Amazon ECR has it:
// under the name of the call that ECR's own registry makes of it.
//
// Amazon ECR User Guide, "Logging Amazon ECR actions with AWS CloudTrail".

// region is the one that repositories are in.
const region = "us-east-1"

// eventSource is what CloudTrail calls Amazon ECR.
const eventSource = "ecr.amazonaws.com"

// event is what a request is called in records.
type event struct {
	name string // of ECR's call
	read bool
}

// event says under which name a call is recorded; ok is false for what is no
// call: a log-in (/v2/), and what the registry does not offer. A request for
// which ECR has no call has the name of the action that policies are asked for.
func (c *call) event(method string) (e event, ok bool) {
	read := method == http.MethodGet || method == http.MethodHead
	names := map[string]string{}
	switch c.route {
	case v2.RouteNameManifest:
		names = map[string]string{
			http.MethodGet: "BatchGetImage", http.MethodHead: "BatchGetImage",
			http.MethodPut: "PutImage", http.MethodDelete: "BatchDeleteImage",
		}
	case v2.RouteNameBlob:
		names = map[string]string{http.MethodGet: "GetDownloadUrlForLayer", http.MethodHead: "BatchCheckLayerAvailability"}
	case v2.RouteNameTags:
		names = map[string]string{http.MethodGet: "ListImages", http.MethodHead: "ListImages"}
	case v2.RouteNameBlobUpload:
		names = map[string]string{http.MethodPost: "InitiateLayerUpload"}
	case v2.RouteNameBlobUploadChunk:
		names = map[string]string{
			http.MethodPatch: "UploadLayerPart", http.MethodPut: "CompleteLayerUpload",
			// The state of an upload, and its end without a layer.
			http.MethodGet: "UploadLayerPart", http.MethodHead: "UploadLayerPart", http.MethodDelete: "UploadLayerPart",
		}
	}
	return event{names[method], read}, names[method] != ""
}

// elements are the members of ECR's requests and answers that ours have. The
// trail shows those that are not empty, as CloudTrail spells them.
//
// Amazon ECR API Reference, the operations that event names.
type elements struct {
	RegistryId     string    `json:",omitzero"`
	RepositoryName string    `json:",omitzero"`
	ImageIds       []imageID `json:",omitzero"`
	ImageTag       string    `json:",omitzero"`
	ImageDigest    string    `json:",omitzero"`
	MediaType      string    `json:"imageManifestMediaType,omitzero"`
	Image          *image    `json:",omitzero"`
	LayerDigest    string    `json:",omitzero"`
	LayerDigests   []string  `json:",omitzero"`
	UploadId       string    `json:",omitzero"`
	LastByte       int64     `json:"lastByteReceived,omitzero"`
	Mount          string    `json:",omitzero"` // ours: the layer that is taken
	From           string    `json:",omitzero"` // ours: of that repository
}

type imageID struct {
	ImageDigest string `json:",omitzero"`
	ImageTag    string `json:",omitzero"`
}

type image struct {
	RepositoryName string
	ImageId        imageID
}

// imageOf reads a reference.
func imageOf(reference string) imageID {
	if strings.Contains(reference, ":") { // no tag has one
		return imageID{ImageDigest: reference}
	}
	return imageID{ImageTag: reference}
}

// requested are the parameters of a request, as ECR's call has them.
func (c *call) requested(name string, req *http.Request) *elements {
	e := &elements{RepositoryName: c.repository, UploadId: c.upload}
	q := req.URL.Query()
	switch name {
	case "BatchGetImage", "BatchDeleteImage":
		e.ImageIds = []imageID{imageOf(c.reference)}
	case "PutImage":
		id := imageOf(c.reference)
		e.ImageTag, e.ImageDigest, e.MediaType = id.ImageTag, id.ImageDigest, req.Header.Get("Content-Type")
	case "GetDownloadUrlForLayer":
		e.LayerDigest = c.digest
	case "BatchCheckLayerAvailability":
		e.LayerDigests = []string{c.digest}
	case "InitiateLayerUpload":
		e.Mount, e.From = q.Get("mount"), q.Get("from")
	case "CompleteLayerUpload":
		e.LayerDigests = []string{q.Get("digest")}
	}
	return e
}

// answered are the elements of an answer, which its headers tell.
func (c *call) answered(name string, h http.Header) *elements {
	e := &elements{RepositoryName: c.repository, UploadId: h.Get("Docker-Upload-UUID")}
	switch digest := h.Get("Docker-Content-Digest"); name {
	case "PutImage":
		id := imageOf(c.reference)
		id.ImageDigest = digest
		return &elements{Image: &image{RepositoryName: c.repository, ImageId: id}}
	case "BatchDeleteImage":
		return &elements{ImageIds: []imageID{imageOf(c.reference)}}
	case "CompleteLayerUpload", "InitiateLayerUpload": // a layer that was mounted is complete
		e.LayerDigest = digest
	case "UploadLayerPart":
		_, last, _ := strings.Cut(h.Get("Range"), "-")
		e.LastByte, _ = strconv.ParseInt(last, 10, 64) // 0 where the library tells none
	}
	return e
}

// recorder is the answer to a request, which is sent when its record is made:
// that of a write that was done is durable then. What says that something
// failed is kept until it is whole, since the record has its text.
type recorder struct {
	http.ResponseWriter
	registry *Registry
	req      *http.Request
	record   trail.Call
	call     *call // nil: there is nothing to record
	status   int
	failure  bytes.Buffer // the body of an answer of 400 or more
	muted    bool         // it was answered in another way
}

func (r *Registry) newRecorder(w http.ResponseWriter, req *http.Request) *recorder {
	a := &recorder{ResponseWriter: w, registry: r, req: req}
	a.record = trail.Call{RequestID: trail.NewRequestID(), Region: region, Source: eventSource, Time: r.config.Now().UTC()}
	a.record.Came(req)
	w.Header()["X-Amzn-Requestid"] = []string{a.record.RequestID}
	return a
}

// begin says who asks, and for what. Requests of nobody who is known have no
// record: there is no account that it would belong to.
func (a *recorder) begin(c *call) {
	e, ok := c.event(a.req.Method)
	if !ok || a.registry.config.Trail == nil {
		return
	}
	a.call = c
	a.record.Principal, a.record.AccessKeyID = c.asker.principal, c.user
	a.record.Name, a.record.ReadOnly = e.name, e.read
}

// Unwrap is for http.ResponseController.
func (a *recorder) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (a *recorder) WriteHeader(status int) {
	if a.status != 0 {
		return
	}
	a.status = status
	if status < http.StatusBadRequest && a.done(trail.Outcome{}) {
		a.ResponseWriter.WriteHeader(status)
	}
}

// Write implements http.ResponseWriter.
func (a *recorder) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	switch {
	case a.muted:
		return len(p), nil
	case a.status >= http.StatusBadRequest:
		return a.failure.Write(p) // of the library and of ours: a few kilobytes
	}
	return a.ResponseWriter.Write(p)
}

// end sends what was kept. It is called when the request is over.
func (a *recorder) end() {
	switch {
	case a.status == 0:
		a.WriteHeader(http.StatusOK)
	case a.status >= http.StatusBadRequest && !a.muted && a.done(a.refused()):
		a.ResponseWriter.WriteHeader(a.status)
		a.ResponseWriter.Write(a.failure.Bytes()) // a client that has gone is no concern of ours
	}
}

// done makes the record. If that fails the request is answered as one that
// failed, although what it asked for may have been done, and done returns false.
func (a *recorder) done(o trail.Outcome) bool {
	if a.call == nil {
		return true
	}
	a.record.Resources = *a.call.asker.asked
	owner := ""
	if len(a.record.Resources) > 0 { // who asks may know whose the repository is
		owner = strings.Split(a.record.Resources[0], ":")[4]
	}
	input := a.call.requested(a.record.Name, a.req)
	input.RegistryId, a.record.Input = owner, input
	if o.Code == "" && !a.record.ReadOnly {
		output := a.call.answered(a.record.Name, a.Header())
		output.RegistryId, o.Output = owner, output
	}
	err := a.registry.config.Trail.Record(a.req.Context(), a.record, o)
	if err == nil {
		return true
	}
	a.registry.config.Log.Error("registry: a request could not be recorded", "request", a.record.RequestID, "method", a.req.Method, "path", a.req.URL.Path, "error", err)
	a.muted = true
	for _, name := range []string{"Location", "Docker-Upload-Uuid", "Docker-Content-Digest", "Range", "Etag"} {
		a.Header().Del(name)
	}
	unknown().write(a.ResponseWriter)
	return false
}

// refused is what the record says of an answer of 400 or more.
func (a *recorder) refused() trail.Outcome {
	var body struct {
		Errors []struct{ Code, Message string }
	}
	var o trail.Outcome
	code := ""
	if json.Unmarshal(a.failure.Bytes(), &body) == nil && len(body.Errors) > 0 {
		code, o.Message = body.Errors[0].Code, body.Errors[0].Message
	}
	if o.Message == "" {
		o.Message = strconv.Itoa(a.status) + " " + http.StatusText(a.status)
	}
	// ECR answers the question which layers are there, also where none is.
	if a.record.Name == "BatchCheckLayerAvailability" && a.status == http.StatusNotFound && code != "NAME_UNKNOWN" {
		return trail.Outcome{}
	}
	o.Code = a.errorCode(code)
	return o
}

// errorCode is ECR's name for an error of the OCI distribution specification.
//
// Amazon ECR API Reference, "Errors" of the operations that event names.
func (a *recorder) errorCode(code string) string {
	switch code {
	case "DENIED", "UNAUTHORIZED":
		return "AccessDeniedException"
	case "TAG_INVALID":
		return "ImageTagAlreadyExistsException"
	case "NAME_UNKNOWN":
		return "RepositoryNotFoundException"
	case "MANIFEST_UNKNOWN":
		return "ImageNotFoundException"
	case "MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN":
		if a.record.Name == "GetDownloadUrlForLayer" {
			return "LayerInaccessibleException"
		}
		return "LayersNotFoundException"
	case "BLOB_UPLOAD_UNKNOWN":
		return "UploadNotFoundException"
	case "BLOB_UPLOAD_INVALID":
		return "InvalidLayerPartException"
	case "DIGEST_INVALID":
		if a.record.Name == "CompleteLayerUpload" {
			return "InvalidLayerException"
		}
	case "UNSUPPORTED":
		return "UnsupportedOperationException"
	}
	if a.status >= http.StatusInternalServerError {
		return "ServerException"
	}
	return "InvalidParameterException"
}

// ask notes a resource that policies are asked about: the record names it.
func (a *asker) ask(resource string) {
	if !slices.Contains(*a.asked, resource) {
		*a.asked = append(*a.asked, resource)
	}
}

// unknown is the answer where something of ours failed.
func unknown() *refusal {
	return &refusal{http.StatusInternalServerError, "UNKNOWN", "unknown error"}
}

// arnOf is the ARN of a repository.
func arnOf(owner, name string) string {
	return fmt.Sprintf("arn:aws:ecr:%s:%s:repository/%s", region, owner, name)
}

package containerproduct

import (
	"regexp"
	"unicode/utf8"
)

// reference is what an image URI says: host/repository, then :tag or @digest,
// one of which the rules demand. If both are there, the digest counts.
type reference struct {
	Repository string // without the host: NAMESPACE/NAME
	Tag        string
	Digest     string
}

// imageURI is the grammar of image references with a host (OCI Distribution
// Specification, "Pulling manifests", and the reference grammar of its first
// implementation).
var imageURI = regexp.MustCompile(`^(?:localhost|[a-zA-Z0-9.-]+[.][a-zA-Z0-9-]+|[a-zA-Z0-9.-]+:[0-9]+|\[[0-9a-fA-F:]+\])(?::[0-9]+)?` +
	`/([a-z0-9]+(?:(?:[.]|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[.]|_|__|-+)[a-z0-9]+)*)*)` +
	`(?::([a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}))?(?:@(sha256:[0-9a-f]{64}))?$`)

// parseReference reads an image URI; ok is false if it is none.
func parseReference(uri string) (ref reference, ok bool) {
	m := imageURI.FindStringSubmatch(uri)
	if m == nil {
		return reference{}, false
	}
	return reference{Repository: m[1], Tag: m[2], Digest: m[3]}, true
}

// floating says whether a reference names whatever is newest.
func (r reference) floating() bool {
	return r.Digest == "" && (r.Tag == "" || r.Tag == "latest")
}

// unfitLength says whether an entry of a list of URIs can be none for its length.
func unfitLength(uri string) bool { return uri == "" || utf8.RuneCountInString(uri) > 1000 }

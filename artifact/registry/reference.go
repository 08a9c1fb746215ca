package registry

import (
	"regexp"
	"strings"
	"sync"

	"souk/catalog/change"
)

var (
	tagPattern    = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`) })
	namePattern   = regexp.MustCompile(`^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)+$`)
	digestPattern = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
)

// Parse reads an image URI under the documents' host or our own:
// HOST/NAMESPACE/NAME, then :TAG, @DIGEST or both (the digest counts), or
// neither. ok is false for all else, also for published/...: what is there is
// not for sellers to name.
func (r *Registry) Parse(uri string) (ref change.ImageRef, ok bool) {
	host, rest, ok := strings.Cut(uri, "/")
	if !ok || !r.ours(host) {
		return change.ImageRef{}, false
	}
	rest, digest, hasDigest := strings.Cut(rest, "@")
	if hasDigest && !digestPattern.MatchString(digest) {
		return change.ImageRef{}, false
	}
	name, tag, hasTag := strings.Cut(rest, ":")
	if hasTag && !tagPattern().MatchString(tag) {
		return change.ImageRef{}, false
	}
	if !validName(name) || strings.HasPrefix(name, publishedPrefix) {
		return change.ImageRef{}, false
	}
	if hasDigest {
		return change.ImageRef{Repository: name, Digest: digest}, true
	}
	return change.ImageRef{Repository: name, Tag: tag}, true
}

// validName says whether a name is a repository's: NAMESPACE/NAME of
// lower-case path components as OCI has them, at most 255 characters.
func validName(name string) bool {
	return len(name) <= 255 && namePattern.MatchString(name)
}

// ours says whether a host is one of the two names of this registry.
func (r *Registry) ours(host string) bool {
	if strings.EqualFold(host, Host) {
		return true
	}
	own := r.config.PublicURL
	if strings.EqualFold(host, own.Host) {
		return true
	}
	if own.Port() != "" {
		return false
	}
	port := map[string]string{"http": ":80", "https": ":443"}[own.Scheme]
	return port != "" && strings.EqualFold(host, own.Host+port)
}

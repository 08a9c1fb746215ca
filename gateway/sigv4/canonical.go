package sigv4

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// This file writes the canonical request, as AWS General Reference,
// "Create a canonical request", says, for services other than S3: the path is
// normalised and encoded once more than it was sent.

// wirePath is the path of the request line as the client sent it.
func wirePath(r *http.Request) string {
	if !strings.HasPrefix(r.RequestURI, "/") {
		return r.URL.EscapedPath() // absolute form, or a request that no server has read
	}
	path, _, _ := strings.Cut(r.RequestURI, "?")
	return path
}

// isUnnormalized says whether normalising would change a path.
func isUnnormalized(path string) bool {
	return strings.Contains(path, "//") || strings.Contains(path, "/.")
}

func appendPath(dst []byte, path string, normalize bool) []byte {
	if path == "" {
		return append(dst, '/')
	}
	if normalize && isUnnormalized(path) {
		path = normalized(path)
	}
	for i := range len(path) {
		c := path[i]
		if c == '/' || isUnreserved(c) {
			dst = append(dst, c)
		} else {
			dst = appendEscaped(dst, c)
		}
	}
	return dst
}

// normalized removes empty and dot segments as RFC 3986 says, keeping a last slash.
func normalized(path string) string {
	var kept []string
	for segment := range strings.SplitSeq(path, "/") {
		switch segment {
		case "", ".":
		case "..":
			if len(kept) > 0 {
				kept = kept[:len(kept)-1]
			}
		default:
			kept = append(kept, segment)
		}
	}
	out := "/" + strings.Join(kept, "/")
	if strings.HasSuffix(path, "/") && len(kept) > 0 {
		out += "/"
	}
	return out
}

// pair is a parameter of the query, encoded; it lies in the arena of its scratch.
type pair struct{ key, value []byte }

// appendQuery writes the parameters, each encoded anew, sorted by name and then
// by value. The signature itself is no part of what is signed.
func (s *scratch) appendQuery(dst []byte, raw string, presigned bool) []byte {
	if raw == "" {
		return dst
	}
	if !presigned && isCanonicalQuery(raw) {
		return append(dst, raw...)
	}
	s.pairs = s.pairs[:0]
	// Encoding makes at most three bytes of one. The arena must not move while
	// pairs point into it.
	s.arena = slices.Grow(s.arena[:0], 3*len(raw))
	for rest := raw; rest != ""; {
		var part string
		part, rest, _ = strings.Cut(rest, "&")
		if part == "" {
			continue
		}
		key, value, _ := strings.Cut(part, "=")
		if presigned && key == "X-Amz-Signature" {
			continue
		}
		s.pairs = append(s.pairs, pair{s.recode(key), s.recode(value)})
	}
	slices.SortFunc(s.pairs, func(a, b pair) int {
		if c := slices.Compare(a.key, b.key); c != 0 {
			return c
		}
		return slices.Compare(a.value, b.value)
	})
	for i, p := range s.pairs {
		if i > 0 {
			dst = append(dst, '&')
		}
		dst = append(dst, p.key...)
		dst = append(dst, '=')
		dst = append(dst, p.value...)
	}
	return dst
}

// recode decodes a part of a query as servers do and encodes it as AWS demands.
// A broken escape stands for itself.
func (s *scratch) recode(text string) []byte {
	start := len(s.arena)
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '+':
			c = ' '
		case c == '%' && i+2 < len(text) && isHex(text[i+1]) && isHex(text[i+2]):
			c = unhex(text[i+1])<<4 | unhex(text[i+2])
			i += 2
		}
		if isUnreserved(c) {
			s.arena = append(s.arena, c)
		} else {
			s.arena = appendEscaped(s.arena, c)
		}
	}
	return s.arena[start:len(s.arena):len(s.arena)]
}

// isCanonicalQuery says whether a query is surely what appendQuery would
// write, as the queries of most clients are; with escapes in it, it may still be.
func isCanonicalQuery(raw string) bool {
	lastKey, lastValue := "", ""
	for rest, more := raw, true; more; {
		var part string
		part, rest, more = strings.Cut(rest, "&")
		key, value, ok := strings.Cut(part, "=")
		if !ok || !isPlain(key) || !isPlain(value) || key < lastKey || key == lastKey && value < lastValue {
			return false
		}
		lastKey, lastValue = key, value
	}
	return true
}

// isPlain says whether a text needs no encoding and has none.
func isPlain(text string) bool {
	for i := range len(text) {
		if !isUnreserved(text[i]) {
			return false
		}
	}
	return true
}

// appendHeaders writes the signed headers in the order in which they were signed.
func appendHeaders(dst []byte, r *http.Request, signed string) []byte {
	for rest, more := signed, true; more; {
		var name string
		name, rest, more = strings.Cut(rest, ";")
		dst = append(dst, name...)
		dst = append(dst, ':')
		switch values := r.Header[canonicalKey(name)]; {
		case name == "host":
			dst = appendTrimmed(dst, r.Host)
		case len(values) > 0:
			for i, v := range values {
				if i > 0 {
					dst = append(dst, ',')
				}
				dst = appendTrimmed(dst, v)
			}
		case name == "content-length" && r.ContentLength >= 0:
			dst = strconv.AppendInt(dst, r.ContentLength, 10)
		case name == "transfer-encoding": // the server takes it out of the headers
			dst = append(dst, strings.Join(r.TransferEncoding, ",")...)
		}
		dst = append(dst, '\n')
	}
	return dst
}

// canonicalKey gives the form in which net/http keeps a header. The headers
// that AWS clients sign are listed so that they cost no allocation.
func canonicalKey(name string) string {
	switch name {
	case "host":
		return "Host"
	case "x-amz-date":
		return "X-Amz-Date"
	case "x-amz-content-sha256":
		return "X-Amz-Content-Sha256"
	case "x-amz-security-token":
		return "X-Amz-Security-Token"
	case "x-amz-target":
		return "X-Amz-Target"
	case "x-amz-user-agent":
		return "X-Amz-User-Agent"
	case "x-amzn-query-mode":
		return "X-Amzn-Query-Mode"
	case "content-type":
		return "Content-Type"
	case "content-length":
		return "Content-Length"
	case "amz-sdk-invocation-id":
		return "Amz-Sdk-Invocation-Id"
	case "amz-sdk-request":
		return "Amz-Sdk-Request"
	case "accept":
		return "Accept"
	}
	return http.CanonicalHeaderKey(name)
}

// appendTrimmed writes a header's value without outer blanks and with runs of
// blanks made one.
func appendTrimmed(dst []byte, v string) []byte {
	v = strings.Trim(v, " \t")
	if !strings.Contains(v, "  ") {
		return append(dst, v...)
	}
	for i := range len(v) {
		if v[i] == ' ' && v[i-1] == ' ' {
			continue // v[0] is no blank
		}
		dst = append(dst, v[i])
	}
	return dst
}

// unsignedAmzHeader returns the name of an X-Amz- header that is not signed, ""
// if all are. AWS demands that all are: they change what a request means.
func unsignedAmzHeader(h http.Header, signed string) string {
	for name := range h {
		if strings.HasPrefix(name, "X-Amz-") && !names(signed, name) {
			return name
		}
	}
	return ""
}

// names says whether a list of signed headers has a header; case counts only in the list.
func names(signed, header string) bool {
	for rest, more := signed, true; more; {
		var name string
		name, rest, more = strings.Cut(rest, ";")
		if strings.EqualFold(name, header) {
			return true
		}
	}
	return false
}

func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '_' || c == '.' || c == '~'
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	default:
		return c - 'a' + 10
	}
}

func appendEscaped(dst []byte, c byte) []byte {
	const upper = "0123456789ABCDEF"
	return append(dst, '%', upper[c>>4], upper[c&15])
}

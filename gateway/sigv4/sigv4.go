// Package sigv4 verifies AWS Signature Version 4 on requests: in the
// Authorization header, and in the query string (presigned URLs).
//
// It says whether a request was signed with a given secret. It does not know
// whose secret that is, what the owner may do, or what the request means; it
// signs nothing, and it knows no chunked (STREAMING-...) payloads and no
// asymmetric signatures (SigV4A).
//
// AWS General Reference, "Signature Version 4 signing process".
package sigv4

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Limits of the protocol, as AWS documents them.
const (
	// MaxSkew is how far the time of a signature may lie from the server's.
	MaxSkew = 15 * time.Minute
	// MaxExpires is the longest life of a presigned URL.
	MaxExpires = 7 * 24 * time.Hour
)

const (
	algorithm       = "AWS4-HMAC-SHA256"
	terminator      = "aws4_request"
	unsignedPayload = "UNSIGNED-PAYLOAD"
	emptyHash       = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	timeFormat      = "20060102T150405Z"
)

// Reason says which of AWS's refusals a signature earns. The caller gives it
// the name that its protocol uses.
type Reason int

const (
	Missing    Reason = iota // there is no signature: MissingAuthenticationToken
	Incomplete               // it is not written as AWS demands: IncompleteSignature
	Expired                  // its time is too far from the server's: RequestExpired
	Mismatch                 // it is not the signature of this request: SignatureDoesNotMatch
)

// Error is why a signature was refused. Its message is meant for the client
// and holds neither secrets nor the signature that was expected.
type Error struct {
	Reason  Reason
	Message string
}

// Error implements error.
func (e *Error) Error() string { return e.Message }

func refuse(r Reason, message string) error { return &Error{Reason: r, Message: message} }

// Auth is what a request says of its signature. Until Verify has returned nil
// these are claims of an unknown client.
type Auth struct {
	AccessKeyID  string
	Region       string
	Service      string // the signing name, such as aws-marketplace
	SessionToken string // X-Amz-Security-Token, "" if none was sent
	Time         time.Time
	Presigned    bool // the signature is in the query string

	scope         string // date/region/service/aws4_request
	stamp         string // Time as it is signed, 20060102T150405Z
	signedHeaders string // lower case, joined by semicolons
	signature     string
	payload       string // x-amz-content-sha256, "" if none was sent
}

// Payload says which forms of the body's hash a service accepts.
type Payload int

const (
	// Signed is the rule: the signature covers the hash of the body.
	Signed Payload = iota
	// MayBeUnsigned accepts UNSIGNED-PAYLOAD beside the hash.
	MayBeUnsigned
)

// Verifier checks signatures. The zero value is ready; it is safe for
// concurrent use and must not be copied after first use.
type Verifier struct {
	keys    keyCache
	scratch sync.Pool // of *scratch
}

// scratch is the working memory of one verification.
type scratch struct {
	canonical []byte
	toSign    []byte
	arena     []byte
	pairs     []pair
}

// Verify says whether the request that Parse described by a was signed with
// the secret, and whether its body is the one that was signed. The error is an
// *Error with the Reason Mismatch.
func (v *Verifier) Verify(r *http.Request, a *Auth, secret string, body []byte, payload Payload) error {
	if name := unsignedAmzHeader(r.Header, a.signedHeaders); name != "" {
		return refuse(Mismatch, "There were headers present in the request which were not signed: "+strings.ToLower(name))
	}
	var hash [2 * sha256.Size]byte
	hashBody(&hash, body)
	declared := a.payload
	switch {
	case declared == "":
	case declared == unsignedPayload:
		if payload != MayBeUnsigned {
			return refuse(Mismatch, "This service demands that the body is signed: UNSIGNED-PAYLOAD is not accepted.")
		}
	case strings.HasPrefix(declared, "STREAMING-"):
		return refuse(Mismatch, "This service accepts no streaming payload: "+quote(declared)+".")
	case declared != string(hash[:]):
		return refuse(Mismatch, "The provided 'x-amz-content-sha256' header does not match what was computed.")
	}

	s, _ := v.scratch.Get().(*scratch)
	if s == nil {
		s = &scratch{canonical: make([]byte, 0, 1024), toSign: make([]byte, 0, 256)}
	}
	defer v.release(s)

	path := wirePath(r)
	ok := v.matches(r, a, secret, path, declared, hash[:], s, true)
	if !ok && isUnnormalized(path) {
		// Signers differ here: the documents demand a normalised path, several
		// SDKs sign the path as they send it. Either names this very request.
		ok = v.matches(r, a, secret, path, declared, hash[:], s, false)
	}
	if !ok {
		return refuse(Mismatch, "The request signature we calculated does not match the signature you provided. "+
			"Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
	}
	return nil
}

// matches computes the signature of the request and compares it with the one sent.
func (v *Verifier) matches(r *http.Request, a *Auth, secret, path, declared string, hash []byte, s *scratch, normalize bool) bool {
	b := append(s.canonical[:0], r.Method...)
	b = append(b, '\n')
	b = appendPath(b, path, normalize)
	b = append(b, '\n')
	b = s.appendQuery(b, r.URL.RawQuery, a.Presigned)
	b = append(b, '\n')
	b = appendHeaders(b, r, a.signedHeaders)
	b = append(b, '\n')
	b = append(b, a.signedHeaders...)
	b = append(b, '\n')
	if declared == unsignedPayload {
		b = append(b, unsignedPayload...)
	} else {
		b = append(b, hash...)
	}
	s.canonical = b
	sum := sha256.Sum256(b)

	t := append(s.toSign[:0], algorithm+"\n"...)
	t = append(t, a.stamp...)
	t = append(t, '\n')
	t = append(t, a.scope...)
	t = append(t, '\n')
	t = hex.AppendEncode(t, sum[:])
	s.toSign = t

	key, cached := v.keys.get(a, secret)
	want := key.sign(t)
	var got [2 * sha256.Size]byte
	if copy(got[:], a.signature) != len(got) || len(a.signature) != len(got) {
		return false
	}
	if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
		return false
	}
	if !cached { // only what was once right is kept, so that nobody else can fill the cache
		v.keys.put(a, key)
	}
	return true
}

// maxScratch is the largest working memory that is kept for the next request.
const maxScratch = 64 << 10

func (v *Verifier) release(s *scratch) {
	if cap(s.canonical)+cap(s.arena) > maxScratch {
		return
	}
	clear(s.pairs)
	s.pairs = s.pairs[:0]
	v.scratch.Put(s)
}

func hashBody(dst *[2 * sha256.Size]byte, body []byte) {
	if len(body) == 0 {
		copy(dst[:], emptyHash)
		return
	}
	sum := sha256.Sum256(body)
	hex.Encode(dst[:], sum[:])
}

// quote shows a value of the client in a message, shortened.
func quote(s string) string {
	const most = 64
	if len(s) > most {
		s = s[:most] + "..."
	}
	return "'" + strings.ToValidUTF8(s, "?") + "'"
}

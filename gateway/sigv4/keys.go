package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"strings"
	"sync"
)

// maxKeys bounds the cache of signing keys. A client uses one key per day,
// region and service, so that this holds the clients of a large installation.
const maxKeys = 4096

// signingKey is the key that AWS derives from a secret for one day, region and
// service, made ready for use: the hashes already hold the key's pads.
type signingKey struct {
	secret string
	macs   sync.Pool // of *macState
}

// keyCache keeps derived signing keys: deriving one costs four HMACs, more
// than all of the rest of a verification.
type keyCache struct {
	mu   sync.RWMutex
	keys map[keyName]*signingKey // guarded by mu
}

type keyName struct{ accessKeyID, scope string }

// get returns the signing key of a request, and whether it came from the cache.
func (c *keyCache) get(a *Auth, secret string) (*signingKey, bool) {
	c.mu.RLock()
	k := c.keys[keyName{a.AccessKeyID, a.scope}]
	c.mu.RUnlock()
	// Both secrets are ours, so that the time of this comparison tells a client nothing.
	if k != nil && k.secret == secret {
		return k, true
	}
	date, _, _ := strings.Cut(a.scope, "/")
	return newSigningKey(secret, date, a.Region, a.Service), false
}

// put keeps the key of a request whose signature was right.
func (c *keyCache) put(a *Auth, k *signingKey) {
	// The request's strings are parts of its headers; the cache keeps copies.
	name := keyName{strings.Clone(a.AccessKeyID), strings.Clone(a.scope)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys == nil || len(c.keys) >= maxKeys {
		// Yesterday's keys leave with the rest: starting anew costs each
		// client one derivation and needs no bookkeeping on the hot path.
		c.keys = make(map[keyName]*signingKey)
	}
	c.keys[name] = k
}

func newSigningKey(secret, date, region, service string) *signingKey {
	key := mac([]byte("AWS4"+secret), date)
	key = mac(key, region)
	key = mac(key, service)
	key = mac(key, terminator)
	k := &signingKey{secret: secret}
	k.macs.New = func() any { return &macState{hash: hmac.New(sha256.New, key)} }
	return k
}

func mac(key []byte, data string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(data))
	return h.Sum(nil)
}

// macState is a keyed hash with room for its result, so that signing allocates nothing.
type macState struct {
	hash hash.Hash
	sum  [sha256.Size]byte
}

// sign returns the signature of the string to sign, in hexadecimal.
func (k *signingKey) sign(toSign []byte) (out [2 * sha256.Size]byte) {
	m := k.macs.Get().(*macState)
	m.hash.Reset()
	m.hash.Write(toSign)
	hex.Encode(out[:], m.hash.Sum(m.sum[:0]))
	k.macs.Put(m)
	return out
}

// Package keyring seals what must not be read or forged: secrets at rest, page
// tokens, log-in tokens, signed addresses. All its keys are derived from one
// key file, one for each purpose, so that what was sealed for one purpose is
// worthless for another.
//
// It keeps nothing; whoever has the key file and the database has every secret.
package keyring

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"sync"

	"golang.org/x/crypto/chacha20poly1305"
)

// keySize is the size of the key file's key and of every derived key, in bytes.
const keySize = 32

// format is the first byte of all that is sealed.
const format = 1

// ErrNotSealed says that a text was not sealed by this key for this purpose and
// what it is bound to, or was altered since.
var ErrNotSealed = errors.New("not sealed by this key for this purpose")

// Ring has the keys of one key file. Its methods may be called concurrently.
type Ring struct {
	master []byte

	mu    sync.RWMutex
	seals map[string]cipher.AEAD // by purpose; purposes are few and written in the code
	macs  map[string][]byte
}

// New returns the ring of a key of 32 random bytes.
func New(key [32]byte) *Ring {
	return &Ring{master: key[:], seals: map[string]cipher.AEAD{}, macs: map[string][]byte{}}
}

// derive returns the key for a use of this package and a purpose of the caller.
func (r *Ring) derive(use, purpose string) []byte {
	key, err := hkdf.Expand(sha256.New, r.master, "souk "+use+"\x00"+purpose, keySize)
	if err != nil {
		panic("keyring: deriving a key: " + err.Error()) // only for impossible lengths
	}
	return key
}

func (r *Ring) aead(purpose string) cipher.AEAD {
	r.mu.RLock()
	a := r.seals[purpose]
	r.mu.RUnlock()
	if a != nil {
		return a
	}
	a, err := chacha20poly1305.NewX(r.derive("seal", purpose))
	if err != nil {
		panic("keyring: making a cipher: " + err.Error()) // only for impossible lengths
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seals[purpose] = a
	return a
}

// Seal encrypts a text so that only Open with the same purpose and the same
// bound data reads it. Bound data is not part of the result: it ties a secret to
// the id of its owner, or a page token to its query. The cipher is
// XChaCha20-Poly1305, whose nonces are long enough to be random without end.
func (r *Ring) Seal(purpose string, plain, bound []byte) []byte {
	sealed := make([]byte, 1+chacha20poly1305.NonceSizeX, 1+chacha20poly1305.NonceSizeX+len(plain)+chacha20poly1305.Overhead)
	sealed[0] = format
	nonce := sealed[1:]
	rand.Read(nonce) // never fails
	return r.aead(purpose).Seal(sealed, nonce, plain, bound)
}

// Open returns what Seal was given, or ErrNotSealed.
func (r *Ring) Open(purpose string, sealed, bound []byte) ([]byte, error) {
	if len(sealed) < 1+chacha20poly1305.NonceSizeX || sealed[0] != format {
		return nil, ErrNotSealed
	}
	nonce, text := sealed[1:1+chacha20poly1305.NonceSizeX], sealed[1+chacha20poly1305.NonceSizeX:]
	plain, err := r.aead(purpose).Open(nil, nonce, text, bound)
	if err != nil {
		return nil, ErrNotSealed
	}
	return plain, nil
}

// MAC returns 32 bytes that only this key and purpose give for the data
// (HMAC-SHA-256). Compare with hmac.Equal.
func (r *Ring) MAC(purpose string, data []byte) []byte {
	r.mu.RLock()
	key := r.macs[purpose]
	r.mu.RUnlock()
	if key == nil {
		key = r.derive("mac", purpose)
		r.mu.Lock()
		r.macs[purpose] = key
		r.mu.Unlock()
	}
	h := hmac.New(sha256.New, key)
	h.Write(data)
	return h.Sum(nil)
}

// Fingerprint names the key without telling anything of it. It is kept in the
// database, so that a server with another key does not start.
func (r *Ring) Fingerprint() string {
	return hex.EncodeToString(r.derive("fingerprint", "")[:10])
}

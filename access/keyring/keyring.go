// Package keyring seals what must not be read or forged: secrets at rest, page
// tokens, log-in tokens, session tokens, signed addresses. All its keys are
// derived from the keys of one key file, one for each purpose, so that what was
// sealed for one purpose is worthless for another.
//
// A key file may hold several keys: one seals, all open. Which one seals is
// written in the database, so that all nodes change at once; Rotation changes
// it and seals anew what lies in the database.
//
// The ring itself keeps nothing; whoever has the key file and the database has
// every secret.
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
	"sync/atomic"
	"time"

	"golang.org/x/crypto/chacha20poly1305"
)

// keySize is the size of a key of the file and of every derived key, in bytes.
const keySize = 32

// The first byte of all that is sealed. Older texts do not say which key sealed
// them; newer ones have its id behind that byte.
const (
	formatPlain = 1
	formatNamed = 2
)

// idSize is the size of a key's id in sealed texts, in bytes.
const idSize = 4

// ErrNotSealed says that a text was not sealed by a key of this ring for this
// purpose and what it is bound to, or was altered since.
var ErrNotSealed = errors.New("not sealed by this key for this purpose")

// key is one key of the ring. Its methods may be called concurrently.
type key struct {
	master  []byte
	id      string // idSize bytes: the beginning of the fingerprint
	print   string
	created time.Time // the zero time where the file does not say

	mu    sync.RWMutex
	seals map[string]cipher.AEAD // by purpose; purposes are few and written in the code
	macs  map[string][]byte
}

func newKey(master [keySize]byte, created time.Time) *key {
	k := &key{master: master[:], created: created, seals: map[string]cipher.AEAD{}, macs: map[string][]byte{}}
	print := k.derive("fingerprint", "")[:10]
	k.print, k.id = hex.EncodeToString(print), string(print[:idSize])
	return k
}

// name is the id as people read it.
func (k *key) name() string { return k.print[:2*idSize] }

// derive returns the key for a use of this package and a purpose of the caller.
func (k *key) derive(use, purpose string) []byte {
	derived, err := hkdf.Expand(sha256.New, k.master, "souk "+use+"\x00"+purpose, keySize)
	if err != nil {
		panic("keyring: deriving a key: " + err.Error()) // only for impossible lengths
	}
	return derived
}

func (k *key) aead(purpose string) cipher.AEAD {
	k.mu.RLock()
	a := k.seals[purpose]
	k.mu.RUnlock()
	if a != nil {
		return a
	}
	a, err := chacha20poly1305.NewX(k.derive("seal", purpose))
	if err != nil {
		panic("keyring: making a cipher: " + err.Error()) // only for impossible lengths
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.seals[purpose] = a
	return a
}

func (k *key) mac(purpose string, data []byte) []byte {
	k.mu.RLock()
	secret := k.macs[purpose]
	k.mu.RUnlock()
	if secret == nil {
		secret = k.derive("mac", purpose)
		k.mu.Lock()
		k.macs[purpose] = secret
		k.mu.Unlock()
	}
	h := hmac.New(sha256.New, secret)
	h.Write(data)
	return h.Sum(nil)
}

// keys are what a ring has at one time; they are not changed.
type keys struct {
	all   []*key // in the file's order
	seals *key   // one of all
}

// find returns the key of a fingerprint, nil if there is none.
func (ks *keys) find(print string) *key {
	for _, k := range ks.all {
		if k.print == print {
			return k
		}
	}
	return nil
}

// Ring has the keys of one key file. Its methods may be called concurrently.
type Ring struct {
	file string // "" if it was made by New
	now  atomic.Pointer[keys]

	mu   sync.Mutex // held while the keys are changed; guards seen
	seen version    // of the file that the keys were read from
}

// New returns the ring of keys of 32 random bytes. The first seals.
func New(first [32]byte, more ...[32]byte) *Ring {
	ks := &keys{seals: newKey(first, time.Time{})}
	ks.all = append(ks.all, ks.seals)
	for _, k := range more {
		ks.all = append(ks.all, newKey(k, time.Time{}))
	}
	r := &Ring{}
	r.now.Store(ks)
	return r
}

// Seal encrypts a text so that only Open with the same purpose and the same
// bound data reads it. Bound data is not part of the result: it ties a secret to
// the id of its owner, or a page token to its query. The cipher is
// XChaCha20-Poly1305, whose nonces are long enough to be random without end.
func (r *Ring) Seal(purpose string, plain, bound []byte) []byte {
	return r.now.Load().seals.seal(purpose, plain, bound)
}

func (k *key) seal(purpose string, plain, bound []byte) []byte {
	const head = 1 + idSize + chacha20poly1305.NonceSizeX
	sealed := make([]byte, head, head+len(plain)+chacha20poly1305.Overhead)
	sealed[0] = formatNamed
	copy(sealed[1:], k.id)
	nonce := sealed[1+idSize:]
	rand.Read(nonce) // never fails
	return k.aead(purpose).Seal(sealed, nonce, plain, bound)
}

// Open returns what Seal was given, or ErrNotSealed. A text of a key that the
// ring does not know makes it look into its file first.
func (r *Ring) Open(purpose string, sealed, bound []byte) ([]byte, error) {
	plain, _, err := r.open(purpose, sealed, bound)
	return plain, err
}

// open is Open, and says which key it was.
func (r *Ring) open(purpose string, sealed, bound []byte) (plain []byte, by *key, err error) {
	plain, by = r.now.Load().open(purpose, sealed, bound)
	if by == nil && r.lookAgain() {
		plain, by = r.now.Load().open(purpose, sealed, bound)
	}
	if by == nil {
		return nil, nil, ErrNotSealed
	}
	return plain, by, nil
}

// open tries the key that the text names, or all if it names none.
func (ks *keys) open(purpose string, sealed, bound []byte) ([]byte, *key) {
	id, rest := "", []byte(nil)
	switch {
	case len(sealed) > 1+idSize && sealed[0] == formatNamed:
		id, rest = string(sealed[1:1+idSize]), sealed[1+idSize:]
	case len(sealed) > 1 && sealed[0] == formatPlain:
		rest = sealed[1:]
	}
	if len(rest) < chacha20poly1305.NonceSizeX {
		return nil, nil
	}
	nonce, text := rest[:chacha20poly1305.NonceSizeX], rest[chacha20poly1305.NonceSizeX:]
	for _, k := range ks.all {
		if id != "" && id != k.id {
			continue
		}
		plain, err := k.aead(purpose).Open(nil, nonce, text, bound)
		if err == nil {
			return plain, k
		}
	}
	return nil, nil
}

// MAC returns 32 bytes that only the sealing key and the purpose give for the
// data (HMAC-SHA-256). It changes when another key seals: Verify compares.
func (r *Ring) MAC(purpose string, data []byte) []byte {
	return r.now.Load().seals.mac(purpose, data)
}

// Verify says whether a MAC was made of the data for the purpose, by any key of
// the ring. It takes the same time for every wrong MAC of the right length.
func (r *Ring) Verify(purpose string, data, mac []byte) bool {
	if r.now.Load().verify(purpose, data, mac) {
		return true
	}
	return r.lookAgain() && r.now.Load().verify(purpose, data, mac)
}

func (ks *keys) verify(purpose string, data, mac []byte) bool {
	right := false
	for _, k := range ks.all {
		right = hmac.Equal(k.mac(purpose, data), mac) || right
	}
	return right
}

// Fingerprint names the key that seals without telling anything of it. It is
// kept in the database, so that a server without that key does not start.
func (r *Ring) Fingerprint() string { return r.now.Load().seals.print }

// SealWith makes the key with a fingerprint the one that seals. It is false,
// and nothing changes, if neither the ring nor its file has that key.
func (r *Ring) SealWith(fingerprint string) bool {
	ks := r.now.Load()
	if ks.seals.print == fingerprint {
		return true
	}
	if ks.find(fingerprint) == nil {
		r.lookAgain()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	ks = r.now.Load()
	k := ks.find(fingerprint)
	if k == nil {
		return false
	}
	r.now.Store(&keys{all: ks.all, seals: k})
	return true
}

// Key is what may be told of a key.
type Key struct {
	ID          string    // 8 hexadecimal digits: the beginning of Fingerprint
	Fingerprint string    // 20 hexadecimal digits
	Created     time.Time // the zero time if it is not known: files of version 1 do not say
	Seals       bool      // the others only open
}

// Keys lists the keys, in the file's order.
func (r *Ring) Keys() []Key {
	ks := r.now.Load()
	list := make([]Key, len(ks.all))
	for i, k := range ks.all {
		list[i] = k.tell(ks)
	}
	return list
}

func (k *key) tell(ks *keys) Key {
	return Key{ID: k.name(), Fingerprint: k.print, Created: k.created, Seals: k == ks.seals}
}

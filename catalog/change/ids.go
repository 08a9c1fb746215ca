package change

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
)

// IDs mints ids from a seed: the same seed gives the same ids in the same
// order, so that a redo after a crash writes the same bytes. One goroutine uses it.
type IDs struct {
	source *rand.ChaCha8
}

// NewIDs returns the ids of a seed. The seed must hold 16 random bytes or more.
func NewIDs(seed string) *IDs {
	return &IDs{source: rand.NewChaCha8(sha256.Sum256([]byte(seed)))}
}

const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"

// New returns prefix and n lower-case letters and digits, such as prod-abcdefghij123.
func (s *IDs) New(prefix string, n int) string {
	r := rand.New(s.source)
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[r.IntN(len(alphabet))]
	}
	return prefix + string(b)
}

// UUID returns a random (version 4) UUID.
func (s *IDs) UUID() string {
	var b [16]byte
	s.source.Read(b[:]) // never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

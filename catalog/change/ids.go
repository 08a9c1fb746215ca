package change

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"time"
)

// IDs mints ids from a seed and a time: the same give the same ids in the same
// order, so that a redo after a crash writes the same bytes. One goroutine uses it.
type IDs struct {
	source *rand.ChaCha8
	at     time.Time
}

// NewIDs returns the ids of a seed. The seed must hold 16 random bytes or more.
func NewIDs(seed string, at time.Time) *IDs {
	return &IDs{rand.NewChaCha8(sha256.Sum256([]byte(seed))), at}
}

// Entity returns prefix and 13 lower-case letters and digits, such as
// prod-abcdefghij123. Seven of them are of the time, so that new entities are
// neighbours in every index by id and their writes share its pages; the other
// six keep apart what is made in the same 16 milliseconds.
func (s *IDs) Entity(prefix string) string {
	const digits = 7 // of base 36: they begin again after 39 years
	slot := uint64(s.at.UnixMilli()-epoch) >> 4
	var b [digits]byte
	for i := range b {
		b[digits-1-i] = sorted[slot%36]
		slot /= 36
	}
	return s.New(prefix+string(b[:]), 13-digits)
}

// epoch is the beginning of 2026, in milliseconds since 1970.
const epoch = 1767225600000

const sorted = "0123456789abcdefghijklmnopqrstuvwxyz"

const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"

// New returns prefix and n random lower-case letters and digits.
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

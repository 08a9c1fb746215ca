package organization

import (
	"errors"
	"testing"

	"souk/access/keyring"
	"souk/storage/store"
)

// FuzzPosition: whatever is sent as a page token is the position that was
// sealed, or ErrToken.
func FuzzPosition(f *testing.F) {
	o := New(Config{Keyring: keyring.New([32]byte{1})})
	bound := []byte("accounts")
	for _, seed := range []string{"", "AA", "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "***", o.token(store.Position{Sort: "a", ID: "b"}, bound)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		p, err := o.position(token, bound)
		if err != nil && !errors.Is(err, ErrToken) {
			t.Errorf("%q: %v", token, err)
		}
		if err == nil {
			if again, err := o.position(o.token(p, bound), bound); err != nil || again != p {
				t.Errorf("%q: %v is not read again: %v, %v", token, p, again, err)
			}
		}
	})
}

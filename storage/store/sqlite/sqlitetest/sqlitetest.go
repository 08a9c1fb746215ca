// Package sqlitetest gives tests of other rooms a store of their own, as an
// installation on one machine has it. What every store does is tested by
// storetest.
package sqlitetest

import (
	"path/filepath"
	"testing"

	"souk/storage/store/sqlite"
)

// Open makes an empty store, which is closed when the test has ended.
func Open(t testing.TB) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "souk.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

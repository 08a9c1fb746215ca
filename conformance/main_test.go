package conformance

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"souk/conformance/seller"
	"souk/conformance/souktest"
	"souk/storage/store/postgres/pgtest"
)

func TestMain(m *testing.M) { os.Exit(souktest.Main(m)) }

// forEachDatabase runs a test on SQLite and on PostgreSQL.
func forEachDatabase(t *testing.T, test func(t *testing.T, o souktest.Options)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, souktest.Options{}) })
	t.Run("postgres", func(t *testing.T) { test(t, souktest.Options{Database: freshPostgres(t)}) })
}

// freshPostgres is the URL of an empty database, which ends with the test.
func freshPostgres(t *testing.T) string {
	t.Helper()
	return pgtest.Start(t)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestChecks runs the black-box checks, those of souk conformance, against the
// real binary on both databases, each as a seller of its own.
func TestChecks(t *testing.T) {
	t.Parallel()
	forEachDatabase(t, func(t *testing.T, o souktest.Options) {
		t.Parallel()
		server := souktest.Start(t, o)
		account := accounts(server)
		// The checks end before the server does: the group waits for them.
		t.Run("group", func(t *testing.T) {
			for _, c := range Checks() {
				t.Run(c.Name, func(t *testing.T) {
					t.Parallel()
					err := One(t.Context(), c, account(t))
					if err != nil {
						t.Error(err)
					}
				})
			}
		})
	})
}

// accounts returns a function that makes a seller with an account of its own.
func accounts(server *souktest.Server) func(t *testing.T) *seller.Seller {
	var (
		mu sync.Mutex
		n  int // guarded by mu
	)
	return func(t *testing.T) *seller.Seller {
		t.Helper()
		mu.Lock()
		n++
		name := fmt.Sprintf("seller-%d", n)
		mu.Unlock()
		return server.Account(t, name, "").Seller(server)
	}
}

package postgres

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"

	"souk/storage/store"
	"souk/storage/store/postgres/pgtest"
)

func TestErrorsOfDatabasesThatAreNotThere(t *testing.T) {
	t.Parallel()
	// A port that was free a moment ago, and that nobody listens on.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	l.Close()
	for what, c := range map[string]struct{ database, want string }{
		"nobody listens": {"postgres://souk:secret@" + closed + "/souk", "cannot connect to the database at " + closed + ": connection refused; see that it runs"},
		"no socket":      {"postgres://souk:secret@/souk?host=/nowhere&sslmode=disable", "cannot connect to the database at /nowhere: no such file or directory; see"},
	} {
		_, err := Open(t.Context(), Config{URL: c.database})
		err = Explained(fmt.Errorf("listing accounts: %w", err))
		var unreachable *UnreachableError
		if !errors.As(err, &unreachable) || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "listing") {
			t.Errorf("%s: %v, want %s...", what, err, c.want)
		}
	}

	there, err := url.Parse(pgtest.Start(t))
	if err != nil {
		t.Fatal(err)
	}
	there.Path = "/nobodys"
	_, err = Open(t.Context(), Config{URL: there.String()})
	if text := fmt.Sprint(Explained(err)); !strings.Contains(text, `: database "nobodys" does not exist; see`) {
		t.Errorf("no such database: %s", text)
	}

	if other := fmt.Errorf("get a b: %w", store.ErrNotFound); Explained(other) != other || Explained(nil) != nil {
		t.Error("another error was explained")
	}
}

package main

import (
	"net"
	"testing"
)

// TestDatabaseThatIsNotThere: what a person is told who gave a wrong --database,
// or did not start it.
func TestDatabaseThatIsNotThere(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	l.Close()
	s := &shell{t: t, data: t.TempDir()}
	status, _, problems := s.do("", "serve", "--listen", "127.0.0.1:0", "--admin-listen", "off", "--database", "postgres://souk:secret@"+closed+"/souk")
	want := "souk: cannot connect to the database at " + closed + ": connection refused; see that it runs, and that --database (SOUK_DATABASE) names it, its user and password\n"
	if status != exitFailed || problems != want {
		t.Errorf("status %d, %q\nwant %d, %q", status, problems, exitFailed, want)
	}
	s = newMarket(t, false) // has its key
	status, _, problems = s.do("", "account", "list", "--database", "postgres://souk:secret@"+closed+"/souk")
	if status != exitFailed || problems != want {
		t.Errorf("a command without a server: status %d, %q\nwant %d, %q", status, problems, exitFailed, want)
	}
}

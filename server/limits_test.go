package server

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each listener has its own bound of open connections, and counts what it refuses.
func TestEveryListenerBoundsItsConnections(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "souk-limits-") // short: a socket's path may have 100 characters
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s, _ := start(t, Config{Place: Place{Data: dir}, AdminListen: "127.0.0.1:0", MaxConnections: 5})
	for listener, c := range map[string]struct {
		network, address string
		most             int
	}{
		"public": {"tcp", s.public.Addr().String(), 5},
		"admin":  {"tcp", s.admin.Addr().String(), 64},
		"socket": {"unix", filepath.Join(dir, "souk.sock"), 64},
	} {
		for i := range c.most + 1 {
			conn, err := net.Dial(c.network, c.address)
			if err != nil {
				t.Fatalf("%s: connection %d: %v", listener, i+1, err)
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n") // it may be closed already
			answer := make([]byte, 1024)
			n, _ := conn.Read(answer)
			if served := bytes.HasPrefix(answer[:n], []byte("HTTP/1.1 ")); served != (i < c.most) {
				t.Fatalf("%s: connection %d: served %t", listener, i+1, served)
			}
		}
		found, err := s.metrics.Gather()
		if err != nil {
			t.Fatal(err)
		}
		counted := false
		for _, f := range found {
			if f.GetName() == "souk_connections_refused_total" {
				for _, m := range f.GetMetric() {
					counted = counted || strings.Contains(m.String(), listener) && m.GetCounter().GetValue() == 1
				}
			}
		}
		if !counted {
			t.Errorf("%s: the refused connection was not counted", listener)
		}
	}
}

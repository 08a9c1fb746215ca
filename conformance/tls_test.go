package conformance

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"souk/conformance/seller"
	"souk/conformance/souktest"
)

// trusting is a client that trusts the authority of a server's data folder.
func trusting(t *testing.T, server *souktest.Server) *http.Client {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(server.Dir, "tls-ca.crt"))
	must(t, err)
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		t.Fatalf("tls-ca.crt has no certificate:\n%s", text)
	}
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
	}}
}

// TestTLSOfItsOwn speaks to a server of --tls-auto with the real aws and skopeo.
func TestTLSOfItsOwn(t *testing.T) {
	t.Parallel()
	server := souktest.Start(t, souktest.Options{Flags: []string{"--tls-auto"}})
	account := server.Account(t, "TLS", "tls")
	client := trusting(t, server)
	s := seller.New(seller.Config{URL: server.URL, HTTP: client, AccessKeyID: account.Key.AccessKeyID, SecretAccessKey: account.Key.SecretAccessKey})
	answer, err := client.Get(server.URL + "/healthz")
	must(t, err)
	must(t, answer.Body.Close())
	if answer.ProtoMajor != 2 {
		t.Errorf("the answer came by %s, want HTTP/2", answer.Proto)
	}
	_, err = http.Get(server.URL + "/healthz")
	if err == nil {
		t.Error("a client that does not know the authority trusts the server")
	}
	logos := souktest.ServeLogos(t)
	p := testscript.Params{Dir: "testdata/tls"}
	p.Setup = func(e *testscript.Env) error {
		e.Setenv("DATA", server.Dir)
		e.Setenv("LOCALHOST", strings.Replace(server.URL, "127.0.0.1", "localhost", 1))
		return setupScript(e, s, account, logos)
	}
	p.Cmds = map[string]func(ts *testscript.TestScript, neg bool, args []string){
		"keep":  keepOutput,
		"await": func(ts *testscript.TestScript, neg bool, args []string) { awaitSet(ts, s, args) },
	}
	testscript.Run(t, p)
}

// TestConnectionsBeyondTheLimit: the real binary closes what is too many, and
// goes on to serve those that it has.
func TestConnectionsBeyondTheLimit(t *testing.T) {
	t.Parallel()
	server := souktest.Start(t, souktest.Options{Flags: []string{"--max-connections", "3"}})
	address := strings.TrimPrefix(server.URL, "http://")
	var open []net.Conn
	ask := func(c net.Conn) []byte {
		if _, err := io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			return nil
		}
		b := make([]byte, 4096)
		n, _ := c.Read(b) // nothing: it was closed
		return b[:n]
	}
	for i := range 4 {
		c, err := net.Dial("tcp", address)
		must(t, err)
		defer c.Close()
		open = append(open, c)
		if served := bytes.Contains(ask(c), []byte("200 OK")); served != (i < 3) {
			t.Errorf("connection %d: served %t", i+1, served)
		}
	}
	if !bytes.Contains(ask(open[0]), []byte("200 OK")) {
		t.Error("the first connection is served no more")
	}
}

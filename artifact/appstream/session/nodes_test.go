package session

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"souk/artifact/machine"
)

// elsewhere makes a node that has no machines: they are at another's.
func elsewhere(t *testing.T, at func() Place, change func(*Config)) *node {
	t.Helper()
	return newNode(t, func(c *Config) {
		c.Node = "n0"
		c.Locate = func(context.Context, string, string, string) (Place, error) { return at(), nil }
		c.Enter = func(context.Context, string, string, string) (Machine, error) {
			t.Error("a node entered a machine that it has not got")
			return nil, errors.New("no machine")
		}
		if change != nil {
			change(c)
		}
	})
}

func TestSessionOfAMachineThatAnotherNodeHas(t *testing.T) {
	t.Parallel()
	has := newNode(t, nil)
	asked := elsewhere(t, func() Place { return Place{"n1", has.Server.URL} }, nil)
	var out, problems bytes.Buffer
	e, err := Run(t.Context(), asked.dial(t, builderOne), sh("cat; echo no >&2; exit 5"), Streams{In: io.LimitReader(zeros{}, 5<<20), Out: &out, Err: &problems})
	if err != nil || e.Code != 5 || out.Len() != 5<<20 || problems.String() != "no\n" {
		t.Errorf("%+v, %v, %d bytes out, %q", e, err, out.Len(), problems.String())
	}
	// A program that ends without having read what is under way to it.
	e, err = Run(t.Context(), asked.dial(t, builderOne), sh("exit 6"), Streams{In: zeros{}})
	if err != nil || e.Code != 6 {
		t.Errorf("%+v, %v; want code 6", e, err)
	}
	// A ticket is good once, wherever it is shown.
	opened, err := asked.Open(t.Context(), builderOne)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := Dial(t.Context(), nil, has.Server.URL+Path, opened.Ticket)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), conn, sh(":"), Streams{}); err != nil {
		t.Error(err)
	}
	_, err = Dial(t.Context(), nil, opened.URL, opened.Ticket)
	wantFailure(t, err, CodeTicket)
}

func TestClientOfAnotherNodeThatGoesAwayEndsItsProgram(t *testing.T) {
	t.Parallel()
	has := newNode(t, nil)
	has.host.began, has.host.ended = make(chan machine.Cmd, 1), make(chan error, 1)
	asked := elsewhere(t, func() Place { return Place{"n1", has.Server.URL} }, nil)
	conn := asked.dial(t, builderOne)
	go func() {
		<-has.host.began
		conn.Close()
	}()
	_, err := Run(t.Context(), conn, sh("exec sleep 1000"), Streams{})
	if !errors.Is(err, ErrLost) {
		t.Error(err)
	}
	if err := <-has.host.ended; !errors.Is(err, errLeft) {
		t.Errorf("the program ended with %v", err)
	}
	asked.running.Wait()
}

func TestNodeThatPassesOnAndStops(t *testing.T) {
	t.Parallel()
	has := newNode(t, nil)
	has.host.began, has.host.ended = make(chan machine.Cmd, 1), make(chan error, 1)
	asked := elsewhere(t, func() Place { return Place{"n1", has.Server.URL} }, nil)
	go func() {
		<-has.host.began
		asked.run()
	}()
	_, err := Run(t.Context(), asked.dial(t, builderOne), sh("exec sleep 1000"), Streams{})
	if !errors.Is(err, ErrLost) {
		t.Error(err)
	}
	if err := <-has.host.ended; !errors.Is(err, errLeft) {
		t.Errorf("the program ended with %v", err)
	}
}

func TestNodesThatPassOnToEachOtherRefuse(t *testing.T) {
	t.Parallel()
	var first, second *node
	second = elsewhere(t, func() Place { return Place{"n9", first.Server.URL} }, func(c *Config) { c.Node = "n8" })
	first = elsewhere(t, func() Place { return Place{"n9", second.Server.URL} }, nil)
	opened, err := first.Open(t.Context(), builderOne)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Dial(t.Context(), nil, opened.URL, opened.Ticket)
	wantFailure(t, err, CodeNode)
	// And one that is its own neighbour.
	self := elsewhere(t, func() Place { return Place{"n9", first.Server.URL} }, nil)
	opened, err = self.Open(t.Context(), builderOne)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Dial(t.Context(), nil, opened.URL, opened.Ticket)
	wantFailure(t, err, CodeNode)
}

func TestNodeThatDoesNotAnswerOrHasNoAddress(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	for _, url := range []string{gone.URL, plain.URL, ""} {
		asked := elsewhere(t, func() Place { return Place{"n1", url} }, nil)
		opened, err := asked.Open(t.Context(), builderOne)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Dial(t.Context(), nil, opened.URL, opened.Ticket)
		wantFailure(t, err, CodeNode)
	}
}

func TestSessionsUnderTLSWhereTheServerOffersHTTP2(t *testing.T) {
	t.Parallel()
	has := newNode(t, nil)
	secure := httptest.NewUnstartedServer(has.Sessions)
	secure.EnableHTTP2 = true
	secure.StartTLS()
	defer secure.Close()
	pool := x509.NewCertPool()
	pool.AddCert(secure.Certificate())
	trusting := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, NextProtos: []string{"h2", "http/1.1"}}, ForceAttemptHTTP2: true}
	opened, err := has.Open(t.Context(), builderOne)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := Dial(t.Context(), trusting, secure.URL+Path, opened.Ticket)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	e, err := Run(t.Context(), conn, sh("echo safe"), Streams{Out: &out})
	if err != nil || e.Code != 0 || out.String() != "safe\n" {
		t.Errorf("%+v, %v, %q", e, err, out.String())
	}
	// A node passes on by TLS, too.
	asked := elsewhere(t, func() Place { return Place{"n1", secure.URL} }, func(c *Config) { c.Nodes = trusting })
	out.Reset()
	e, err = Run(t.Context(), asked.dial(t, builderOne), sh("echo further"), Streams{Out: &out})
	if err != nil || e.Code != 0 || out.String() != "further\n" {
		t.Errorf("%+v, %v, %q", e, err, out.String())
	}
	// HTTP/2 can't be upgraded.
	h2 := &http.Client{Transport: trusting.Clone()}
	response, err := h2.Get(secure.URL + Path)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(response.Body)
	response.Body.Close()
	if response.StatusCode != http.StatusUpgradeRequired || response.ProtoMajor != 2 || !strings.Contains(string(text), "HTTP/1.1") {
		t.Errorf("%s by %s: %s", response.Status, response.Proto, text)
	}
}

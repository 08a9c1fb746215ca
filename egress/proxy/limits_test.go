package proxy

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// pair is a dialer whose places are in the test's hand: what is dialled arrives
// in the channel.
func pair(t *testing.T) (Dialer, chan net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	arrived := make(chan net.Conn, 16)
	return dialer(func(ctx context.Context, _ string) (net.Conn, error) {
		here, err := (&net.Dialer{}).DialContext(ctx, "tcp", l.Addr().String())
		if err != nil {
			return nil, err
		}
		there, err := l.Accept()
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() { there.Close() })
		arrived <- there
		return here, nil
	}), arrived
}

// open opens a tunnel to a place.
func open(t *testing.T, proxy string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", proxy)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(2 * time.Minute))
	io.WriteString(c, "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n")
	const ok = "HTTP/1.1 200 Connection established\r\n\r\n"
	b := make([]byte, len(ok))
	if _, err := io.ReadFull(c, b); err != nil || string(b) != ok {
		t.Fatalf("CONNECT: %q, %v", b, err)
	}
	return c.(*net.TCPConn)
}

func TestEachSideOfATunnelMayEndFirst(t *testing.T) {
	t.Parallel()
	d, arrived := pair(t)
	_, at := machine(t, Config{Dialer: d}, "a.example")
	for name, machineFirst := range map[string]bool{"the machine": true, "the place": false} {
		var first, second net.Conn = open(t, at), <-arrived
		if !machineFirst {
			first, second = second, first
		}
		io.WriteString(first, "question")
		first.(*net.TCPConn).CloseWrite()
		if b, err := io.ReadAll(second); string(b) != "question" || err != nil {
			t.Errorf("%s ends first: the other reads %q, %v", name, b, err)
		}
		io.WriteString(second, "answer")
		second.Close()
		if b, err := io.ReadAll(first); string(b) != "answer" || err != nil {
			t.Errorf("%s ends first: it reads %q, %v after its end", name, b, err)
		}
	}
}

func TestWhatComesBehindAConnectIsTheTunnels(t *testing.T) {
	t.Parallel()
	d, arrived := pair(t)
	_, at := machine(t, Config{Dialer: d}, "a.example")
	c, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	// A second request in the same packet, and a length that CONNECT has not.
	io.WriteString(c, "CONNECT a.example:443 HTTP/1.1\r\nHost: b.example\r\nContent-Length: 5\r\n\r\nGET http://b.example/ HTTP/1.1\r\n\r\n")
	c.(*net.TCPConn).CloseWrite()
	if b, _ := io.ReadAll(<-arrived); string(b) != "GET http://b.example/ HTTP/1.1\r\n\r\n" {
		t.Errorf("through the tunnel: %q", b)
	}
}

func TestTunnelsOnWhichNothingMovesAreClosed(t *testing.T) {
	t.Parallel()
	d, arrived := pair(t)
	_, at := machine(t, Config{Dialer: d, Idle: 50 * time.Millisecond}, "a.example")
	here, there := open(t, at), <-arrived
	if _, err := io.ReadAll(here); err != nil {
		t.Errorf("the machine's end: %v", err)
	}
	there.SetDeadline(time.Now().Add(2 * time.Minute))
	if _, err := io.ReadAll(there); err != nil {
		t.Errorf("the place's end: %v", err)
	}
}

func TestAPlaceThatSaysNothingIsGivenUp(t *testing.T) {
	t.Parallel()
	d, _ := pair(t)
	_, at := machine(t, Config{Dialer: d, Idle: 50 * time.Millisecond}, "a.example")
	c := client(t, at, nil)
	if status, body := get(t, c, "http://a.example/"); status != http.StatusGatewayTimeout {
		t.Errorf("a place that does not answer: %d %q, want 504", status, body)
	}
}

func TestHeadsAreBounded(t *testing.T) {
	t.Parallel()
	d, _ := pair(t)
	_, at := machine(t, Config{Dialer: d, HeaderTimeout: 50 * time.Millisecond}, "a.example")
	c, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "GET http://a.example/ HTTP/1.1\r\nHost: ")
	c.SetReadDeadline(time.Now().Add(2 * time.Minute))
	if b, err := io.ReadAll(c); err != nil {
		t.Errorf("a head that never ends: %q, %v; want a closed connection", b, err)
	}
	reply := raw(t, at, "GET http://a.example/ HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("x", 2*maxHeader)+"\r\n\r\n")
	if reply != "" && !strings.HasPrefix(reply, "HTTP/1.1 431 ") { // "": it was closed while we still wrote
		t.Errorf("a head that is too large: %.80q, want 431", reply)
	}
}

func TestAMachineMayHaveSoManyConnections(t *testing.T) {
	t.Parallel()
	d, arrived := pair(t)
	_, at := machine(t, Config{Dialer: d, Connections: 2}, "a.example")
	one, two := open(t, at), open(t, at)
	places := []net.Conn{<-arrived, <-arrived}
	c, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusServiceUnavailable || string(b) != tooMany {
		t.Errorf("the third connection: %d %q, want 503", resp.StatusCode, b)
	}
	one.Close()
	two.Close()
	for _, p := range places {
		p.Close()
	}
	// Their slots are free once the proxy has seen it.
	for {
		c, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: http.MethodConnect})
		c.Close()
		if err == nil && resp.StatusCode == http.StatusOK {
			break
		}
		if err == nil && resp.StatusCode != http.StatusServiceUnavailable {
			t.Fatalf("a connection after two were closed: %s", resp.Status)
		}
	}
}

func TestAMachineMaySendAndReceiveSoManyBytes(t *testing.T) {
	t.Parallel()
	_, port := outside(t, false, func(w http.ResponseWriter, _ *http.Request) {
		io.Copy(w, io.LimitReader(zeros{}, 10<<20)) //nolint:errcheck // the proxy hangs up
	})
	h, at := machine(t, Config{Bytes: 1 << 20}, "example.com:"+port)
	resp, err := client(t, at, nil).Get("http://example.com:" + port + "/")
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if err == nil || n > 2<<20 {
		t.Errorf("%d bytes arrived, %v; want an end after 1 MiB", n, err)
	}
	if h.Bytes() > 2<<20 {
		t.Errorf("%d bytes were counted", h.Bytes())
	}
	if status, body := get(t, client(t, at, nil), "http://example.com:"+port+"/"); status != http.StatusForbidden || !strings.Contains(body, "all that it may") {
		t.Errorf("the next request: %d %q, want 403", status, body)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestNothingIsOpenAfterClose(t *testing.T) {
	t.Parallel()
	d, arrived := pair(t)
	h, at := machine(t, Config{Dialer: d}, "a.example")
	here, there := open(t, at), <-arrived
	idle, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	asking := make(chan struct{})
	go func() {
		defer close(asking)
		c := client(t, at, nil)
		if resp, err := c.Get("http://a.example/"); err == nil && resp.StatusCode < 500 {
			t.Errorf("a request when the proxy closed: %s", resp.Status)
		}
	}()
	second := <-arrived
	h.Close()
	<-asking
	for name, c := range map[string]net.Conn{"tunnel, the machine's end": here, "tunnel, the place's end": there, "an idle one": idle, "a request's place": second} {
		c.SetReadDeadline(time.Now().Add(2 * time.Minute))
		if _, err := io.Copy(io.Discard, c); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Errorf("%s is still open", name)
		}
	}
	a, b := net.Pipe()
	defer b.Close()
	h.ServeConn(t.Context(), a) // returns
	if _, err := b.Write([]byte("x")); err == nil {
		t.Error("a connection is served after Close")
	}
}

func TestTheEndOfAContextClosesItsConnectionAlone(t *testing.T) {
	t.Parallel()
	d, arrived := pair(t)
	h, at := machine(t, Config{Dialer: d}, "a.example")
	other, otherThere := open(t, at), <-arrived
	ctx, cancel := context.WithCancel(t.Context())
	a, b := net.Pipe()
	var served sync.WaitGroup
	served.Go(func() { h.ServeConn(ctx, a) })
	io.WriteString(b, "CONNECT a.example:443 HTTP/1.1\r\nHost: x\r\n\r\n")
	if _, err := http.ReadResponse(bufio.NewReader(b), &http.Request{Method: http.MethodConnect}); err != nil {
		t.Fatal(err)
	}
	there := <-arrived
	cancel()
	served.Wait()
	there.SetReadDeadline(time.Now().Add(2 * time.Minute))
	if _, err := io.ReadAll(there); err != nil {
		t.Errorf("the place's end after the context's: %v", err)
	}
	io.WriteString(other, "x")
	if _, err := io.ReadFull(otherThere, make([]byte, 1)); err != nil {
		t.Errorf("another connection: %v", err)
	}
}

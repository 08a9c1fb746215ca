package proxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"souk/egress/fetch"
)

// names is a name server: every name that it knows leads to its address, and it
// counts who asked.
type names struct {
	mu    sync.Mutex
	leads map[string][]string // the answers one after the other; the last one stays
	asked map[string]int
}

func (n *names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.asked == nil {
		n.asked = map[string]int{}
	}
	answers := n.leads[host]
	if len(answers) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	i := min(n.asked[host], len(answers)-1)
	n.asked[host]++
	return []netip.Addr{netip.MustParseAddr(answers[i])}, nil
}

// outsideNetwork is opened in tests as if it were outside; 127.0.0.1 stays inside.
var outsideNetwork = []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}

// outside is a server that seems to be outside. All names of example.com lead to it.
func outside(t *testing.T, secure bool, h http.HandlerFunc) (server *httptest.Server, port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	server = httptest.NewUnstartedServer(h)
	server.Listener.Close()
	server.Listener = l
	if secure {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return server, strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// machine is a proxy for a machine with a list: where it listens.
func machine(t *testing.T, c Config, places ...string) (h *Handler, address string) {
	t.Helper()
	if c.Dialer == nil {
		c.Dialer = fetch.New(fetch.Config{Allow: outsideNetwork, Resolver: &names{leads: map[string][]string{
			"example.com": {"127.0.0.2"}, "deb.example.com": {"127.0.0.2"}, "inside.example.com": {"127.0.0.1"}, "metadata.example.com": {"169.254.169.254"},
		}}})
	}
	h, err := New(c).Handler(places)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- h.Serve(context.Background(), l) }()
	t.Cleanup(func() {
		h.Close()
		if err := <-done; err != nil {
			t.Errorf("serving a machine: %v", err)
		}
	})
	return h, l.Addr().String()
}

// client is a program that uses a proxy.
func client(t *testing.T, proxy string, server *httptest.Server) *http.Client {
	t.Helper()
	tr := &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: proxy}), DisableCompression: true}
	if server != nil && server.TLS != nil {
		tr.TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func get(t *testing.T, c *http.Client, address string) (status int, body string) {
	t.Helper()
	resp, err := c.Get(address)
	if err != nil {
		t.Fatalf("getting %s: %v", address, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("reading %s: %v", address, err)
	}
	return resp.StatusCode, string(b)
}

func TestARequestGoesOnAsItIsWithoutWhatIsMeantForTheProxy(t *testing.T) {
	t.Parallel()
	got := make(chan *http.Request, 1)
	_, port := outside(t, false, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(b))
		got <- r
		w.Header().Set("Connection", "X-Hop")
		w.Header().Set("X-Hop", "1")
		w.Header().Set("X-End", "2")
		w.Header().Set("Proxy-Authenticate", "Basic")
		w.Header().Set("Content-Encoding", "gzip")
		w.WriteHeader(http.StatusTeapot)
		io.WriteString(w, "not gzip")
	})
	_, at := machine(t, Config{}, "example.com:"+port)
	req, _ := http.NewRequest(http.MethodPut, "http://Example.COM:"+port+"/a%2Fb?x=1;y=%zz&&", strings.NewReader("body"))
	req.Header = http.Header{
		"Connection": {"X-Mine"}, "X-Mine": {"1"}, "Proxy-Authorization": {"Basic secret"}, "Proxy-Connection": {"keep-alive"}, "Keep-Alive": {"1"},
		"Upgrade": {"websocket"}, "Authorization": {"Bearer mine"}, "X-Forwarded-For": {"10.0.0.1"}, "X-Kept": {"1"}, "User-Agent": {""},
	}
	resp, err := client(t, at, nil).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusTeapot || string(body) != "not gzip" || resp.Header.Get("X-End") != "2" || resp.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("the answer: %d %v %q", resp.StatusCode, resp.Header, body)
	}
	for _, name := range []string{"X-Hop", "Proxy-Authenticate"} {
		if resp.Header.Get(name) != "" {
			t.Errorf("the answer has %s, which is for one hop", name)
		}
	}
	r := <-got
	b, _ := io.ReadAll(r.Body)
	if r.Method != http.MethodPut || r.RequestURI != "/a%2Fb?x=1;y=%zz&&" || r.Host != "example.com:"+port || string(b) != "body" || r.ContentLength != 4 {
		t.Errorf("the request: %s %s, host %s, %q", r.Method, r.RequestURI, r.Host, b)
	}
	want := http.Header{"Authorization": {"Bearer mine"}, "X-Kept": {"1"}, "Content-Length": {"4"}}
	for name := range r.Header {
		if want[name] == nil {
			t.Errorf("the place is told %s: %q", name, r.Header[name])
		}
	}
	for name := range want {
		if r.Header.Get(name) != want.Get(name) {
			t.Errorf("the place gets %s %q, want %q", name, r.Header.Get(name), want.Get(name))
		}
	}
}

func TestHTTPSGoesThroughATunnel(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("0123456789abcdef", 64<<10)
	server, port := outside(t, true, func(w http.ResponseWriter, r *http.Request) {
		if b, _ := io.ReadAll(r.Body); string(b) != large {
			t.Errorf("%d bytes arrived", len(b))
		}
		io.WriteString(w, large)
	})
	h, at := machine(t, Config{}, "*.example.com:"+port, "example.com:"+port)
	c := client(t, at, server)
	for range 3 {
		resp, err := c.Post("https://example.com:"+port+"/", "text/plain", strings.NewReader(large))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(b) != large {
			t.Fatalf("%d bytes came back, %v", len(b), err)
		}
	}
	if h.Bytes() < 6*int64(len(large)) {
		t.Errorf("%d bytes were counted", h.Bytes())
	}
}

func TestWhatIsNotOnTheListIsRefusedAndNobodyIsAsked(t *testing.T) {
	t.Parallel()
	server, port := outside(t, true, func(http.ResponseWriter, *http.Request) { t.Error("the place was reached") })
	dialled := dialer(func(_ context.Context, address string) (net.Conn, error) {
		t.Errorf("%s was dialled", address)
		return nil, errors.New("no")
	})
	_, at := machine(t, Config{Dialer: dialled}, "deb.example.com", "*.example.net:"+port)
	c := client(t, at, server)
	for _, host := range []string{"example.com:" + port, "other.example:" + port, "example.net:" + port, "deb.example.com:" + port, "127.0.0.2:" + port, "a.example.net", "deb.example.com.evil.example"} {
		status, body := get(t, c, "http://"+host+"/")
		if status != http.StatusForbidden || !strings.Contains(body, strings.Split(host, ":")[0]) || !strings.Contains(body, "not among the places") {
			t.Errorf("http://%s: %d %q, want 403 and which host", host, status, body)
		}
		if !strings.Contains(host, ":") {
			host += ":8443"
		}
		if reply := connect(t, at, host); !strings.HasPrefix(reply, "HTTP/1.1 403 ") {
			t.Errorf("CONNECT %s: %q, want 403", host, reply)
		}
	}
}

type dialer func(ctx context.Context, address string) (net.Conn, error)

func (d dialer) Dial(ctx context.Context, address string) (net.Conn, error) { return d(ctx, address) }

// raw sends bytes to a proxy, and returns all that comes back until it closes the
// connection.
func raw(t *testing.T, proxy, request string) string {
	t.Helper()
	c, err := net.Dial("tcp", proxy)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	c.SetReadDeadline(time.Now().Add(2 * time.Minute))
	b, err := io.ReadAll(c)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%q: the connection is not closed", request)
	}
	return string(b)
}

// connect asks for a tunnel and returns the answer's head.
func connect(t *testing.T, proxy, authority string) string {
	t.Helper()
	c, err := net.Dial("tcp", proxy)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", authority, authority)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("CONNECT %s: %v", authority, err)
	}
	resp.Body.Close()
	return "HTTP/1.1 " + resp.Status
}

func TestANameOnTheListThatLeadsInsideIsRefused(t *testing.T) {
	t.Parallel()
	inner := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the server inside was reached") }))
	defer inner.Close()
	_, port, _ := net.SplitHostPort(inner.Listener.Addr().String())
	_, at := machine(t, Config{}, "*.example.com:"+port, "127.0.0.1:"+port, "[::1]:"+port, "[::ffff:127.0.0.1]:"+port, "169.254.169.254", "localhost:"+port, "metadata.example.com")
	for _, place := range []string{"inside.example.com:" + port, "127.0.0.1:" + port, "[::1]:" + port, "[::ffff:7f00:1]:" + port, "169.254.169.254:80", "metadata.example.com:80"} {
		status, body := get(t, client(t, at, nil), "http://"+place+"/")
		if status != http.StatusForbidden || !strings.Contains(body, "not public") {
			t.Errorf("http://%s: %d %q, want 403", place, status, body)
		}
		if reply := connect(t, at, place); reply != "HTTP/1.1 403 Forbidden" {
			t.Errorf("CONNECT %s: %q, want 403", place, reply)
		}
	}
}

// DNS rebinding: a name that led outside leads inside the next time.
func TestANameIsLookedUpOnceForAConnection(t *testing.T) {
	t.Parallel()
	inner := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the server inside was reached") }))
	defer inner.Close()
	_, port, _ := net.SplitHostPort(inner.Listener.Addr().String())
	l, err := net.Listen("tcp", "127.0.0.2:"+port) // the same port outside
	if err != nil {
		t.Fatal(err)
	}
	reached := make(chan bool, 8)
	go http.Serve(l, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached <- true })) //nolint:errcheck
	defer l.Close()
	ns := &names{leads: map[string][]string{"rebind.example": {"127.0.0.2", "127.0.0.1"}}}
	_, at := machine(t, Config{Dialer: fetch.New(fetch.Config{Allow: outsideNetwork, Resolver: ns})}, "rebind.example:"+port)
	if status, body := get(t, client(t, at, nil), "http://rebind.example:"+port+"/"); status != http.StatusOK || ns.asked["rebind.example"] != 1 {
		t.Fatalf("%d %q; the name was asked for %d times, want once", status, body, ns.asked["rebind.example"])
	}
	<-reached
	if reply := connect(t, at, "rebind.example:"+port); reply != "HTTP/1.1 403 Forbidden" || ns.asked["rebind.example"] != 2 {
		t.Errorf("the second connection: %q; the name was asked for %d times, want twice", reply, ns.asked["rebind.example"])
	}
}

func TestAPlaceThatCanNotBeReachedIsSaidWithoutOurNetwork(t *testing.T) {
	t.Parallel()
	answer := map[string]error{
		"gone.example:443":  &net.DNSError{Err: "no such host", Name: "gone.example", Server: "10.9.9.9:53", IsNotFound: true},
		"dns.example:443":   &net.DNSError{Err: "server misbehaving", Name: "dns.example", Server: "10.9.9.9:53"},
		"late.example:443":  context.DeadlineExceeded,
		"slow.example:443":  &net.OpError{Op: "dial", Addr: &net.TCPAddr{IP: net.IPv4(10, 9, 9, 9)}, Err: timeout{}},
		"other.example:443": errors.New("10.9.9.9 is ill"),
	}
	_, at := machine(t, Config{Dialer: dialer(func(_ context.Context, address string) (net.Conn, error) { return nil, answer[address] })}, "*.example")
	for place, want := range map[string]string{
		"gone.example:443":  "502 Bad Gateway gone.example:443: no host has that name",
		"dns.example:443":   "502 Bad Gateway dns.example:443: the name can't be looked up now",
		"late.example:443":  "504 Gateway Timeout late.example:443 does not answer in time",
		"slow.example:443":  "504 Gateway Timeout slow.example:443 does not answer in time",
		"other.example:443": "502 Bad Gateway other.example:443: the connection failed",
	} {
		for _, head := range []string{"CONNECT " + place + " HTTP/1.1\r\nHost: x\r\n", "GET http://" + place + "/ HTTP/1.1\r\nHost: x\r\n"} {
			reply := raw(t, at, head+"Connection: close\r\n\r\n")
			first, rest, _ := strings.Cut(reply, "\r\n")
			_, body, _ := strings.Cut(rest, "\r\n\r\n")
			if got := strings.TrimPrefix(first, "HTTP/1.1 ") + " " + strings.TrimSpace(body); got != want {
				t.Errorf("%s: %q, want %q", head, got, want)
			}
			if strings.Contains(reply, "10.9") {
				t.Errorf("%s: %q tells of our network", head, reply)
			}
		}
	}
}

type timeout struct{}

func (timeout) Error() string   { return "i/o timeout" }
func (timeout) Timeout() bool   { return true }
func (timeout) Temporary() bool { return true }

func TestAStarOpensNoNetworkThatIsOpenedForNamedPlaces(t *testing.T) {
	t.Parallel()
	server, port := outside(t, false, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "reached") })
	_, every := machine(t, Config{}, "*")
	if status, body := get(t, client(t, every, server), "http://127.0.0.2:"+port+"/"); status != http.StatusForbidden || !strings.Contains(body, "not public") {
		t.Errorf("by *: %d %q, want 403", status, body)
	}
	_, named := machine(t, Config{}, "*", "127.0.0.2:"+port)
	if status, body := get(t, client(t, named, server), "http://127.0.0.2:"+port+"/"); status != http.StatusOK || body != "reached" {
		t.Errorf("by * and its name: %d %q", status, body)
	}
}

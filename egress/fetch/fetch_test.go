package fetch

import (
	"compress/gzip"
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

func TestAddresses(t *testing.T) {
	t.Parallel()
	f := New(Config{Own: []netip.Addr{netip.MustParseAddr("93.184.216.34"), netip.MustParseAddr("2606:4700::7")}})
	for address, want := range map[string]bool{
		"8.8.8.8": true, "1.1.1.1": true, "52.95.110.1": true, "100.63.255.255": true, "100.128.0.1": true,
		"172.15.0.1": true, "172.32.0.1": true, "192.167.1.1": true, "192.169.1.1": true, "223.255.255.254": true,
		"169.253.0.1": true, "198.17.0.1": true, "198.20.0.1": true,
		"2606:4700:4700::1111": true, "2a00:1450:4001::1": true, "2001:4860:4860::8888": true,
		"::ffff:8.8.8.8": true, "64:ff9b::8.8.8.8": true, "2002:808:808::1": true,

		"0.0.0.0": false, "0.1.2.3": false, "127.0.0.1": false, "127.255.255.255": false,
		"10.0.0.1": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.0.1": false,
		"100.64.0.1": false, "100.127.255.255": false,
		"169.254.169.254": false, "169.254.170.2": false, "168.63.129.16": false,
		"192.0.0.1": false, "192.0.0.170": false, "192.0.2.1": false, "198.51.100.1": false, "203.0.113.1": false,
		"198.18.0.1": false, "198.19.255.255": false, "192.88.99.1": false,
		"224.0.0.1": false, "239.255.255.255": false, "240.0.0.1": false, "255.255.255.255": false,
		"::": false, "::1": false, "::7f00:1": false, "::ffff:0:127.0.0.1": false,
		"fe80::1": false, "fe80::1%eth0": false, "fec0::1": false, "fc00::1": false, "fd00:ec2::254": false,
		"ff02::1": false, "2001:db8::1": false, "3fff::1": false, "100::1": false, "5f00::1": false, "4000::1": false,
		"2001::1": false, "2001:10::1": false, "2001:20::1": false,
		"::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::ffff:169.254.169.254": false,
		"64:ff9b::127.0.0.1": false, "64:ff9b::a9fe:a9fe": false, "64:ff9b:1::8.8.8.8": false, "64:ff9b:1::1": false,
		"2002:7f00:1::1": false, "2002:a9fe:a9fe::1": false, "2002:c0a8:1::1": false,
		"93.184.216.34": false, "::ffff:93.184.216.34": false, "2606:4700::7": false, // our own
		"64:ff9b::93.184.216.34": false, "2002:5db8:d822::1": false, // our own, translated
	} {
		if got := f.allowed(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: allowed %t, want %t", address, got, want)
		}
	}
	if f.allowed(netip.Addr{}) {
		t.Error("no address at all is allowed")
	}
	opened := New(Config{Allow: loopback, Own: []netip.Addr{netip.MustParseAddr("127.0.0.1")}})
	if !opened.allowed(netip.MustParseAddr("::ffff:127.0.0.1")) || opened.allowed(netip.MustParseAddr("10.0.0.1")) {
		t.Error("Allow opens another network than it says")
	}
}

func TestURLsThatAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	f := New(Config{Allow: loopback, Resolver: resolver{}})
	for _, u := range []string{
		"", "x", "/logo.png", "//host/logo.png", "ftp://host/x", "file:///etc/passwd", "gopher://127.0.0.1:1/x", "data:image/png;base64,AA==",
		"http://", "http:///x", "http://user@host/x", "http://user:pw@127.0.0.1/x", "http:host", "http://[::1", "http://a b/", "http://host:99999999/",
		"http://127.0.0.1\r\nX: y/", "http://%31%32%37.0.0.1/", "http://host/" + strings.Repeat("x", 2048),
	} {
		_, err := f.Get(t.Context(), u)
		if !errors.Is(err, ErrRefused) {
			t.Errorf("%q: %v, want ErrRefused", u, err)
		}
	}
}

func TestInnerAddressesAreRefusedHoweverTheyAreSpelled(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the server was reached") }))
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	f := New(Config{Resolver: resolver{
		"inner.example":    {netip.MustParseAddr("127.0.0.1")},
		"mapped.example":   {netip.MustParseAddr("::ffff:127.0.0.1")},
		"metadata.example": {netip.MustParseAddr("169.254.169.254")},
		"localhost":        {netip.MustParseAddr("127.0.0.1")},
	}})
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]", "inner.example", "mapped.example", "metadata.example", "169.254.169.254", "2130706433", "0x7f.1", "127.1", "0177.0.0.1"} {
		_, err := f.Get(t.Context(), "http://"+host+":"+port+"/")
		if !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v, want ErrRefused", host, err)
		}
	}
}

// resolver is a name server with a few names.
type resolver map[string][]netip.Addr

func (r resolver) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if a, ok := r[host]; ok {
		return a, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

// A name that leads outside when it is checked and inside when it is used.
func TestNameThatChangesItsMind(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the server was reached") }))
	t.Cleanup(server.Close)
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	f := New(Config{Resolver: resolver{"two.example": {netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("8.8.8.8")}}})
	_, err := f.Get(t.Context(), "http://two.example:"+port+"/")
	if !errors.Is(err, ErrRefused) {
		t.Errorf("%v, want ErrRefused", err)
	}
}

func TestGet(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, h := range []string{"Cookie", "Authorization", "Referer"} {
			if v := r.Header.Get(h); v != "" {
				t.Errorf("%s: header %s is %q", r.URL, h, v)
			}
		}
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b", Path: "/"})
		switch p := r.URL.Path; {
		case p == "/logo":
			w.Header().Set("Content-Type", "Image/PNG; x=y")
			w.Write([]byte("logo"))
		case strings.HasPrefix(p, "/hop/"):
			n, _ := strconv.Atoi(strings.TrimPrefix(p, "/hop/"))
			if n == 0 {
				http.Redirect(w, r, "/logo", http.StatusFound)
				return
			}
			http.Redirect(w, r, "/hop/"+strconv.Itoa(n-1), http.StatusFound)
		case p == "/inside":
			http.Redirect(w, r, "http://10.0.0.1/", http.StatusFound)
		case p == "/metadata":
			http.Redirect(w, r, "http://169.254.169.254/latest/meta-data/", http.StatusMovedPermanently)
		case p == "/file":
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		case p == "/user":
			http.Redirect(w, r, "http://u:p@"+r.Host+"/logo", http.StatusFound)
		case p == "/large":
			w.Write(make([]byte, 2000))
		case p == "/endless":
			for r.Context().Err() == nil {
				w.Write(make([]byte, 4096))
				w.(http.Flusher).Flush()
			}
		case p == "/bomb":
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			z.Write(make([]byte, 1<<20))
			z.Close()
		case p == "/headers":
			w.Header().Set("X", strings.Repeat("x", 1<<20))
		case p == "/cut":
			w.Header().Set("Content-Length", "100")
			w.Write([]byte("short"))
		case p == "/500":
			w.WriteHeader(http.StatusInternalServerError)
		case p == "/204":
			w.WriteHeader(http.StatusNoContent)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	f := New(Config{Allow: loopback, MaxBytes: 1000})

	for _, p := range []string{"/logo", "/hop/0", "/hop/4"} {
		file, err := f.Get(t.Context(), server.URL+p, "image/png", "image/jpeg")
		if err != nil || string(file.Body) != "logo" || file.ContentType != "image/png" || file.URL != server.URL+"/logo" {
			t.Errorf("%s: %+v, %v", p, file, err)
		}
	}
	for _, p := range []string{"/hop/5", "/inside", "/metadata", "/file", "/user", "/large", "/endless", "/bomb", "/headers", "/404", "/204"} {
		_, err := f.Get(t.Context(), server.URL+p)
		if !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v, want ErrRefused", p, err)
		}
	}
	for _, p := range []string{"/500", "/cut"} {
		_, err := f.Get(t.Context(), server.URL+p+"?signature=secret")
		if err == nil || errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v, want an error that is no ErrRefused", p, err)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error has the URL's query: %v", p, err)
		}
	}
}

func TestProxyOfTheEnvironmentIsNotUsed(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the proxy was asked") }))
	t.Cleanup(proxy.Close)
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("http_proxy", proxy.URL)
	_, err := New(Config{Resolver: resolver{}}).Get(t.Context(), "http://logos.example/x.png")
	if !errors.Is(err, ErrRefused) {
		t.Errorf("%v, want ErrRefused: no host has that name", err)
	}
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/down" {
			http.Redirect(w, r, "http://"+r.Host, http.StatusFound)
			return
		}
		w.Write([]byte("secret"))
	}))
	server.Config.ErrorLog = nil
	t.Cleanup(server.Close)
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	trusting := New(Config{Allow: loopback, RootCAs: pool})
	if file, err := trusting.Get(t.Context(), server.URL); err != nil || string(file.Body) != "secret" {
		t.Errorf("with its CA: %q, %v", file.Body, err)
	}
	if _, err := trusting.Get(t.Context(), server.URL+"/down"); !errors.Is(err, ErrRefused) {
		t.Errorf("from https to http: %v, want ErrRefused", err)
	}
	if _, err := New(Config{Allow: loopback}).Get(t.Context(), server.URL); !errors.Is(err, ErrRefused) {
		t.Errorf("without its CA: %v, want ErrRefused", err)
	}
	if _, err := trusting.Get(t.Context(), strings.Replace(server.URL, "https", "http", 1)); !errors.Is(err, ErrRefused) {
		t.Errorf("http to a TLS port: %v, want ErrRefused", err)
	}
}

func TestServersThatDoNotAnswerAreOurFailure(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-done }))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(done) })
	_, err := New(Config{Allow: loopback, Timeout: 50 * time.Millisecond}).Get(t.Context(), server.URL)
	if err == nil || errors.Is(err, ErrRefused) {
		t.Errorf("silent server: %v, want an error that is no ErrRefused", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = New(Config{Allow: loopback}).Get(ctx, server.URL)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v, want context.Canceled", err)
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	_, err = New(Config{Allow: loopback}).Get(t.Context(), "http://"+address)
	if !errors.Is(err, ErrRefused) {
		t.Errorf("%v, want ErrRefused", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"http://example.com/x", "http://u@h/", "https://[::1]:80/", "http://127.0.0.1%2f@x/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, address string) {
		u, err := parse(address)
		if err == nil && (u.User != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https") {
			t.Errorf("%q was taken as %v", address, u)
		}
	})
}

func TestStatusIsThatOfTheLastAnswer(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/moved" {
			http.Redirect(w, r, "/410", http.StatusFound)
			return
		}
		status, _ := strconv.Atoi(r.URL.Path[1:])
		w.WriteHeader(status)
	}))
	defer server.Close()
	f := New(Config{Allow: loopback})
	for path, want := range map[string]int{"/200": 200, "/204": 204, "/404": 404, "/429": 429, "/503": 503, "/moved": 410} {
		if got, err := f.Status(t.Context(), server.URL+path); got != want || err != nil {
			t.Errorf("%s: got %d, %v, want %d", path, got, err, want)
		}
	}
	for name, err := range map[string]error{
		"a private address": second(New(Config{}).Status(t.Context(), server.URL+"/200")),
		"no URL":            second(f.Status(t.Context(), "ftp://example.com/")),
	} {
		if !errors.Is(err, ErrRefused) {
			t.Errorf("%s: got %v, want a refusal", name, err)
		}
	}
}

func second(_ int, err error) error { return err }

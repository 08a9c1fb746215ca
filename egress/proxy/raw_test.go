package proxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// recorder is a place that writes down every request that it gets, as bytes mean
// it, and the addresses that were dialled.
type recorder struct {
	mu       sync.Mutex
	dialled  []string
	requests []string
}

func (p *recorder) Dial(_ context.Context, address string) (net.Conn, error) {
	p.mu.Lock()
	p.dialled = append(p.dialled, address)
	p.mu.Unlock()
	here, there := net.Pipe()
	go func() {
		defer there.Close()
		in := bufio.NewReader(there)
		for {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			body, _ := io.ReadAll(r.Body)
			p.mu.Lock()
			p.requests = append(p.requests, r.Method+" "+r.Host+" "+r.RequestURI+" "+string(body))
			p.mu.Unlock()
			io.WriteString(there, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	}()
	return here, nil
}

func (p *recorder) seen() (requests, dialled string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.requests, "; "), strings.Join(p.dialled, " ")
}

// Requests that two readers could take for different ones: what goes on is what
// was checked, or nothing.
func TestRequestsOfTwoMeanings(t *testing.T) {
	t.Parallel()
	const end = "Connection: close\r\n\r\n"
	for name, c := range map[string]struct {
		request string
		status  string
		want    string // what the place saw
	}{
		"Host of another place":          {"GET http://a.example/x HTTP/1.1\r\nHost: evil.example\r\n" + end, "200", "GET a.example /x "},
		"another place in capitals":      {"GET http://A.EXAMPLE./x HTTP/1.1\r\nHost: evil.example\r\n" + end, "200", "GET a.example /x "},
		"two Hosts":                      {"GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\nHost: evil.example\r\n" + end, "400", ""},
		"no Host":                        {"GET http://a.example/ HTTP/1.1\r\n" + end, "400", ""},
		"scheme in capitals":             {"GET HTTP://a.example/ HTTP/1.1\r\nHost: x\r\n" + end, "200", "GET a.example / "},
		"https":                          {"GET https://a.example/ HTTP/1.1\r\nHost: x\r\n" + end, "400", ""},
		"ftp":                            {"GET ftp://a.example/ HTTP/1.1\r\nHost: x\r\n" + end, "400", ""},
		"credentials in the URL":         {"GET http://me:secret@a.example/ HTTP/1.1\r\nHost: x\r\n" + end, "400", ""},
		"a place before the at sign":     {"GET http://a.example@evil.example/ HTTP/1.1\r\nHost: x\r\n" + end, "400", ""},
		"a path":                         {"GET /etc HTTP/1.1\r\nHost: a.example\r\n" + end, "400", ""},
		"a star":                         {"OPTIONS * HTTP/1.1\r\nHost: a.example\r\n" + end, "400", ""},
		"no host in the URL":             {"GET http:///x HTTP/1.1\r\nHost: a.example\r\n" + end, "400", ""},
		"opaque URL":                     {"GET http:a.example/x HTTP/1.1\r\nHost: a.example\r\n" + end, "400", ""},
		"zero byte in the host":          {"GET http://a.example\x00.evil.example/ HTTP/1.1\r\nHost: x\r\n" + end, "400", ""},
		"encoded zero byte in the host":  {"GET http://evil.example%00.a.example/ HTTP/1.1\r\nHost: x\r\n" + end, "400", ""},
		"encoded slash in the host":      {"GET http://evil.example%2f.a.example/ HTTP/1.1\r\nHost: x\r\n" + end, "400", ""},
		"backslash in the host":          {"GET http://evil.example\\.a.example/ HTTP/1.1\r\nHost: x\r\n" + end, "400", ""},
		"length and chunks":              {"POST http://a.example/ HTTP/1.1\r\nHost: x\r\nContent-Length: 44\r\nTransfer-Encoding: chunked\r\n" + end + "0\r\n\r\nGET http://evil.example/ HTTP/1.1\r\n\r\n", "", "POST a.example / "},
		"two lengths":                    {"POST http://a.example/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 4\r\n" + end + "GET ", "400", ""},
		"negative length":                {"POST http://a.example/ HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n" + end, "400", ""},
		"length with a sign":             {"POST http://a.example/ HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n" + end + "x", "400", ""},
		"chunks spelt oddly":             {"POST http://a.example/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n" + end + "0\r\n\r\n", "501", ""},
		"chunked twice":                  {"POST http://a.example/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n" + end + "0\r\n\r\n", "501", ""},
		"space before the colon":         {"POST http://a.example/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n" + end + "0\r\n\r\n", "400", ""},
		"folded header":                  {"GET http://a.example/ HTTP/1.1\r\nHost: x\r\nX: a\r\n Content-Length: 9\r\n" + end, "200", "GET a.example / "},
		"Connection names Host":          {"GET http://a.example/ HTTP/1.1\r\nHost: x\r\nConnection: Host, close\r\n\r\n", "200", "GET a.example / "},
		"Connection names a length":      {"POST http://a.example/ HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: Content-Length, close\r\n\r\nabc", "200", "POST a.example / abc"},
		"the second of one connection":   {"GET http://a.example/1 HTTP/1.1\r\nHost: x\r\n\r\nGET http://evil.example/2 HTTP/1.1\r\nHost: a.example\r\n" + end, "200", "GET a.example /1 "},
		"the second hidden in a body":    {"POST http://a.example/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 13\r\n" + end + "GET /2 HTTP/1", "200", "POST a.example /1 GET /2 HTTP/1"},
		"HTTP/2 without asking":          {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "", ""},
		"HTTP/0.9":                       {"GET http://a.example/\r\n\r\n", "400", ""},
		"tunnel to a path":               {"CONNECT /a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n" + end, "400", ""},
		"tunnel to a URL":                {"CONNECT http://a.example:443/ HTTP/1.1\r\nHost: a.example:443\r\n" + end, "400", ""},
		"tunnel without a port":          {"CONNECT a.example HTTP/1.1\r\nHost: a.example:443\r\n" + end, "400", ""},
		"tunnel with Host of the list":   {"CONNECT evil.example:443 HTTP/1.1\r\nHost: a.example:443\r\n" + end, "403", ""},
		"tunnel with credentials":        {"CONNECT a.example:443@evil.example:443 HTTP/1.1\r\nHost: a.example:443\r\n" + end, "400", ""},
		"tunnel to a port with a sign":   {"CONNECT a.example:+443 HTTP/1.1\r\nHost: x\r\n" + end, "400", ""},
		"tunnel to two ports":            {"CONNECT a.example:443:22 HTTP/1.1\r\nHost: x\r\n" + end, "400", ""},
		"tunnel with a fragment":         {"CONNECT evil.example:443#a.example:443 HTTP/1.1\r\nHost: x\r\n" + end, "400", ""},
		"method in small letters":        {"connect evil.example:443 HTTP/1.1\r\nHost: a.example\r\n" + end, "400", ""},
		"method that is a request's end": {"GET\r\n http://a.example/ HTTP/1.1\r\nHost: x\r\n" + end, "400", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			place := &recorder{}
			_, at := machine(t, Config{Dialer: place}, "a.example")
			reply := raw(t, at, c.request)
			if c.status != "" && !strings.HasPrefix(reply, "HTTP/1.1 "+c.status+" ") {
				t.Errorf("%.100q, want %s", reply, c.status)
			}
			requests, dialled := place.seen()
			if requests != c.want {
				t.Errorf("the place saw %q, want %q", requests, c.want)
			}
			if strings.Contains(dialled, "evil") {
				t.Errorf("%s was dialled", dialled)
			}
		})
	}
}

// Whatever bytes a machine sends: nothing is dialled that is not on its list, and
// the connection ends.
func FuzzConnection(f *testing.F) {
	for _, s := range []string{
		"GET http://a.example/ HTTP/1.1\r\nHost: x\r\n\r\n", "CONNECT a.example:443 HTTP/1.1\r\nHost: x\r\n\r\nxyz",
		"CONNECT evil.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n", "POST http://a.example:81/?q HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
		"GET http://x@a.example/ HTTP/1.1\r\nHost: x\r\n\r\nGET http://[::1]/ HTTP/1.0\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, request []byte) {
		place := dialer(func(_ context.Context, address string) (net.Conn, error) {
			host, port, err := net.SplitHostPort(address)
			n, _ := strconv.Atoi(port)
			if err != nil || host != "a.example" && !strings.HasSuffix(host, ".b.example") || n != 80 && n != 443 {
				t.Errorf("%s was dialled", address)
			}
			return nil, errors.New("nobody is there")
		})
		h, err := New(Config{Dialer: place}).Handler([]string{"a.example", "*.b.example"})
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		h.ServeConn(t.Context(), &script{in: bytes.NewReader(request)})
	})
}

// script is a connection that says what is in it and then ends.
type script struct {
	net.Conn
	in *bytes.Reader
}

func (s *script) Read(b []byte) (int, error)  { return s.in.Read(b) }
func (s *script) Write(b []byte) (int, error) { return len(b), nil }
func (s *script) Close() error                { return nil }
func (s *script) RemoteAddr() net.Addr        { return &net.UnixAddr{} }
func (s *script) LocalAddr() net.Addr         { return &net.UnixAddr{} }

func (s *script) SetDeadline(time.Time) error      { return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

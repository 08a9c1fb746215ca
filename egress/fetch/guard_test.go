package fetch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// gullible is the worst name server that there may be: it takes every name, and
// every number in a form that C libraries take for an address, for 127.0.0.1.
type gullible struct{}

func (gullible) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
}

// inner is a server inside, which nobody may reach, and its port.
func inner(t *testing.T) (port string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the server inside was reached: %s %s", r.Method, r.URL)
	}))
	t.Cleanup(server.Close)
	return strconv.Itoa(server.Listener.Addr().(*net.TCPAddr).Port)
}

// spellings are ways to write an address inside, by what is odd about them.
// Every one has the place of a host in a URL.
var spellings = map[string]string{
	"plain":                            "127.0.0.1",
	"another of the network":           "127.255.0.7",
	"decimal":                          "2130706433",
	"octal":                            "017700000001",
	"octal parts":                      "0177.0.0.01",
	"octal with many zeroes":           "0000000177.0.0.1",
	"hexadecimal":                      "0x7f000001",
	"hexadecimal parts":                "0x7f.0x0.0x0.0x1",
	"hexadecimal, upper case":          "0X7F000001",
	"mixed bases":                      "0x7f.0.1",
	"one part left out":                "127.0.1",
	"two parts left out":               "127.1",
	"overflowing part":                 "127.0.0.257",
	"overflowing number":               "6425673729",
	"dot at the end":                   "127.0.0.1.",
	"wide digits":                      "１２７.0.0.1",
	"digits in circles":                "①②⑦.⓪.⓪.①",
	"ideographic full stops":           "127。0。0。1",
	"percent-encoded":                  "%31%32%37.0.0.1",
	"unspecified":                      "0.0.0.0",
	"unspecified, short":               "0",
	"private of class A":               "10.0.0.1",
	"private of class B":               "172.16.0.1",
	"private of class C":               "192.168.0.1",
	"shared of carriers":               "100.64.0.1",
	"metadata of clouds":               "169.254.169.254",
	"metadata of clouds, decimal":      "2852039166",
	"metadata of containers":           "169.254.170.2",
	"broadcast":                        "255.255.255.255",
	"IPv6 loopback":                    "[::1]",
	"IPv6 loopback, long":              "[0000:0000:0000:0000:0000:0000:0000:0001]",
	"IPv6 unspecified":                 "[::]",
	"IPv6 with a zone":                 "[::1%25lo]",
	"IPv6 link-local":                  "[fe80::1]",
	"IPv6 link-local with a zone":      "[fe80::1%25eth0]",
	"IPv6 link-local, zone of a URL":   "[fe80::1%25%65th0]",
	"IPv6 unique local":                "[fd00::1]",
	"IPv6 metadata":                    "[fd00:ec2::254]",
	"IPv6 site-local":                  "[fec0::1]",
	"IPv6 multicast":                   "[ff02::1]",
	"IPv4 in IPv6, dotted":             "[::ffff:127.0.0.1]",
	"IPv4 in IPv6, hexadecimal":        "[::ffff:7f00:1]",
	"IPv4 in IPv6, long":               "[0:0:0:0:0:ffff:7f00:0001]",
	"IPv4 in IPv6 with a zone":         "[::ffff:127.0.0.1%25lo]",
	"IPv4 in IPv6, metadata":           "[::ffff:a9fe:a9fe]",
	"IPv4-compatible":                  "[::127.0.0.1]",
	"IPv4-translated":                  "[::ffff:0:127.0.0.1]",
	"NAT64":                            "[64:ff9b::127.0.0.1]",
	"NAT64, metadata":                  "[64:ff9b::a9fe:a9fe]",
	"NAT64, local use":                 "[64:ff9b:1::127.0.0.1]",
	"6to4":                             "[2002:7f00:1::]",
	"Teredo":                           "[2001:0:7f00:1::]",
	"localhost":                        "localhost",
	"localhost in capitals":            "LOCALHOST",
	"below localhost":                  "x.localhost",
	"localhost with a dot":             "localhost.",
	"name with the address in it":      "127.0.0.1.rebind.example",
	"name in capitals":                 "INSIDE.example",
	"name of several scripts":          "ınside.example",
	"name that is empty up to its dot": ".",
}

// userTricks are URLs whose host seems to be another one. %s is the port.
var userTricks = map[string]string{
	"user that looks like a host":           "http://logos.example@127.0.0.1:%s/",
	"user and password":                     "http://logos.example:80@127.0.0.1:%s/",
	"empty user":                            "http://@127.0.0.1:%s/",
	"two at signs":                          "http://a@logos.example@127.0.0.1:%s/",
	"at sign encoded":                       "http://logos.example%%40127.0.0.1:%s/",
	"backslash before the at sign":          `http://logos.example\@127.0.0.1:%s/`,
	"backslash for a slash":                 `http:\\127.0.0.1:%s/`,
	"fragment before the at sign":           "http://127.0.0.1:%s#@logos.example/",
	"query before the at sign":              "http://127.0.0.1:%s?@logos.example/",
	"host after a semicolon":                "http://127.0.0.1:%s;logos.example/",
	"line end in the host":                  "http://logos.example\r\n@127.0.0.1:%s/",
	"tab in the host":                       "http://127.0.0.1\t:%s/",
	"zero byte in the host":                 "http://127.0.0.1\x00.logos.example:%s/",
	"three slashes":                         "http:///127.0.0.1:%s/",
	"no slashes":                            "http:127.0.0.1:%s/",
	"scheme in capitals":                    "HTTP://127.0.0.1:%s/",
	"IPv4 in the brackets of IPv6":          "http://[127.0.0.1]:%s/",
	"brackets that are not closed":          "http://[::1:%s/",
	"brackets around a name":                "http://[localhost]:%s/",
	"something behind the brackets":         "http://[::1]logos.example:%s/",
	"another scheme":                        "gopher://127.0.0.1:%s/",
	"scheme that hides one":                 "jar:http://127.0.0.1:%s/",
	"white space before the scheme":         " http://127.0.0.1:%s/",
	"address where the scheme is left away": "//127.0.0.1:%s/",
}

// ports are odd ports of an address inside.
var ports = map[string]string{
	"none": "127.0.0.1", "empty": "127.0.0.1:", "zero": "127.0.0.1:0", "with zeroes before": "127.0.0.1:00000%s",
	"too large": "127.0.0.1:65536", "that wraps around": "127.0.0.1:131072%s", "negative": "127.0.0.1:-%s", "with a sign": "127.0.0.1:+%s",
	"by name": "127.0.0.1:http", "two": "127.0.0.1:80:%s", "of ssh": "127.0.0.1:22", "of IPv6 without brackets": "::1:%s",
}

// everyForm are all of them as URLs, by name.
func everyForm(port string) map[string]string {
	all := map[string]string{}
	for name, host := range spellings {
		all["host: "+name] = "http://" + host + ":" + port + "/"
	}
	for name, u := range userTricks {
		all["user: "+name] = fmt.Sprintf(u, port)
	}
	for name, host := range ports {
		all["port: "+name] = "http://" + strings.ReplaceAll(host, "%s", port) + "/"
	}
	return all
}

func TestNothingInsideIsReachedByAnySpelling(t *testing.T) {
	t.Parallel()
	port := inner(t)
	f := New(Config{Resolver: gullible{}})
	for name, address := range everyForm(port) {
		if _, err := f.Get(t.Context(), address); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: getting %q: %v, want ErrRefused", name, address, err)
		}
		if _, err := f.Status(t.Context(), address); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: asking for the status of %q: %v, want ErrRefused", name, address, err)
		}
		if _, err := f.Post(t.Context(), address, nil, []byte("x"), time.Minute); err == nil {
			t.Errorf("%s: posting to %q: no error", name, address)
		}
	}
}

// outside is a server on 127.0.0.2, which a test may open as if it were outside,
// while 127.0.0.1 stays inside.
func outside(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(h)
	server.Listener.Close()
	server.Listener = l
	server.Start()
	t.Cleanup(server.Close)
	return server
}

var outsideNetwork = []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}

func TestNoRedirectLeadsInside(t *testing.T) {
	t.Parallel()
	port := inner(t)
	forms := everyForm(port)
	var reached atomic.Int64
	server := outside(t, func(w http.ResponseWriter, r *http.Request) {
		reached.Add(1)
		status, _ := strconv.Atoi(strings.Trim(r.URL.Path, "/"))
		// As it is: http.Redirect would mend what is to be odd.
		w.Header()["Location"] = []string{strings.NewReplacer("\r", "", "\n", "", "\x00", "").Replace(forms[r.URL.Query().Get("to")])}
		w.Header()["Refresh"] = []string{"0; url=http://127.0.0.1:" + port + "/"}
		w.WriteHeader(status)
	})
	f := New(Config{Resolver: gullible{}, Allow: outsideNetwork})
	asked := int64(0)
	for _, status := range []int{300, 301, 302, 303, 305, 307, 308} {
		for name := range forms {
			asked++
			address := fmt.Sprintf("%s/%d?to=%s", server.URL, status, url.QueryEscape(name))
			// A Location without a host leads back to the server outside: that is allowed, up to a number.
			if _, err := f.Get(t.Context(), address); !errors.Is(err, ErrRefused) {
				t.Errorf("%d to %q (%s): %v, want ErrRefused", status, forms[name], name, err)
			}
			if got, err := f.Post(t.Context(), address, nil, []byte("x"), time.Minute); err != nil || got != status {
				t.Errorf("posting, %d to %q (%s): %d, %v; want the status itself", status, forms[name], name, got, err)
			}
		}
	}
	if reached.Load() < 2*asked {
		t.Errorf("the server outside was asked %d times, want %d or more: the redirects were not tried", reached.Load(), 2*asked)
	}
}

// fickle is a name server whose owner changes the answer each time: the first
// addresses are outside, the last one stays.
type fickle struct {
	answers []string
	asked   atomic.Int64
}

func (f *fickle) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	n := min(int(f.asked.Add(1)), len(f.answers))
	var all []netip.Addr
	for a := range strings.SplitSeq(f.answers[n-1], " ") {
		all = append(all, netip.MustParseAddr(a))
	}
	return all, nil
}

// DNS rebinding: a name leads outside when it is looked at, and inside later.
func TestNamesThatAreReboundLeadNowhere(t *testing.T) {
	t.Parallel()
	port := inner(t)
	server := outside(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/again" {
			http.Redirect(w, r, "http://rebind.example:"+port+"/", http.StatusTemporaryRedirect)
			return
		}
		w.Write([]byte("outside"))
	})
	_, outsidePort, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		answers []string
		path    string
		port    string
		first   bool // the first Get ends well
	}{
		"outside first, inside at the next fetch":    {[]string{"127.0.0.2", "127.0.0.1"}, "/", outsidePort, true},
		"outside first, inside after a redirect":     {[]string{"127.0.0.2", "127.0.0.1"}, "/again", outsidePort, false},
		"outside first, inside as IPv4 in IPv6":      {[]string{"127.0.0.2", "::ffff:127.0.0.1"}, "/again", outsidePort, false},
		"outside first, inside by IPv6":              {[]string{"127.0.0.2", "::1"}, "/again", outsidePort, false},
		"inside at once":                             {[]string{"127.0.0.1"}, "/", port, false},
		"one address outside and one inside":         {[]string{"127.0.0.1 127.0.0.2"}, "/", port, false},
		"inside behind one outside that is not open": {[]string{"127.0.0.2 127.0.0.1"}, "/", port, false},
		"metadata behind one outside":                {[]string{"127.0.0.2 169.254.169.254"}, "/", port, false},
	} {
		names := &fickle{answers: c.answers}
		f := New(Config{Resolver: names, Allow: outsideNetwork})
		address := "http://rebind.example:" + c.port + c.path
		file, err := f.Get(t.Context(), address)
		if c.first != (err == nil && string(file.Body) == "outside") || err != nil && !errors.Is(err, ErrRefused) {
			t.Errorf("%s: the first fetch: %q, %v", name, file.Body, err)
		}
		asked := names.asked.Load()
		_, err = f.Get(t.Context(), "http://rebind.example:"+port+"/")
		if !errors.Is(err, ErrRefused) {
			t.Errorf("%s: the second fetch: %v, want ErrRefused", name, err)
		}
		if names.asked.Load() != asked+1 {
			t.Errorf("%s: the name was asked for %d times for one connection: what is checked is not what is used", name, names.asked.Load()-asked)
		}
	}
}

func TestNothingInsideIsDialled(t *testing.T) {
	t.Parallel()
	port := inner(t)
	f := New(Config{Resolver: gullible{}, Allow: outsideNetwork})
	for name, host := range spellings {
		conn, err := f.Dial(t.Context(), strings.Trim(host, "[]")+":"+port)
		if strings.HasPrefix(host, "[") {
			conn, err = f.Dial(t.Context(), host+":"+port)
		}
		if err == nil {
			conn.Close()
			t.Errorf("%s: dialling %q: no error", name, host)
		}
	}
	if _, err := f.Dial(t.Context(), "inside.example:"+port); !errors.Is(err, ErrAddress) {
		t.Errorf("dialling a name that leads inside: %v, want ErrAddress", err)
	}
	server := outside(t, func(http.ResponseWriter, *http.Request) {})
	conn, err := f.Dial(t.Context(), server.Listener.Addr().String())
	if err != nil {
		t.Fatal("dialling what is open:", err)
	}
	conn.Close()
}

package proxy

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
)

func TestPlacesThatAListHas(t *testing.T) {
	t.Parallel()
	l, err := Parse([]string{
		"deb.example.org", "one.example.net:8080", "*.below.example", "*.ports.example:8443",
		"192.0.2.1", "[2001:db8::1]:8080", "2001:db8::2", "BÜCHER.example", "my_bucket.example", "dot.example.:81",
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		host string
		port uint16
		want bool
	}{
		{"deb.example.org", 80, true},
		{"deb.example.org", 443, true},
		{"deb.example.org", 8080, false},
		{"deb.example.org", 0, false},
		{"DEB.Example.ORG", 443, true},
		{"deb.example.org.", 443, true},
		{"deb.example.org..", 443, false},
		{"ｄｅｂ.example。org", 443, true},
		{"x.deb.example.org", 443, false},
		{"example.org", 443, false},
		{"xdeb.example.org", 443, false},
		{"deb.example.org.evil.example", 443, false},
		{"one.example.net", 8080, true},
		{"one.example.net", 80, false},
		{"one.example.net", 443, false},
		{"a.below.example", 443, true},
		{"a.b.c.below.example", 80, true},
		{"a.below.example", 8443, false},
		{"below.example", 443, false},
		{".below.example", 443, false},
		{"abelow.example", 443, false},
		{"a.ports.example", 8443, true},
		{"a.ports.example", 443, false},
		{"192.0.2.1", 80, true},
		{"192.0.2.1.", 80, true},
		{"::ffff:192.0.2.1", 80, true}, // the same address, and dialled as it
		{"192.0.2.2", 80, false},
		{"192.0.513", 80, false},
		{"3221225985", 80, false},
		{"0xc0000201", 80, false},
		{"0300.0.2.1", 80, false},
		{"2001:db8::1", 8080, true},
		{"2001:DB8:0:0::1", 8080, true},
		{"2001:db8::1", 443, false},
		{"2001:db8::2", 443, true},
		{"2001:db8::2%eth0", 443, false},
		{"bücher.example", 443, true},
		{"xn--bcher-kva.example", 443, true},
		{"my_bucket.example", 443, true},
		{"dot.example", 81, true},
		{"", 443, false},
		{"*.below.example", 443, false},
		{"a b.below.example", 443, false},
		{"a\x00.below.example", 443, false},
		{"deb.example.org\x00.below.example", 443, false},
		{"-a.below.example", 443, false},
		{strings.Repeat("a", 64) + ".below.example", 443, false},
		{strings.Repeat("a.", 150) + "below.example", 443, false},
	} {
		if got := l.Allows(c.host, c.port); got != c.want {
			t.Errorf("port %d of %q: %t, want %t", c.port, c.host, got, c.want)
		}
	}
	if none, err := Parse(nil); err != nil || none.Allows("deb.example.org", 443) {
		t.Errorf("an empty list opens something, or is an error: %v", err)
	}
}

func TestTextsThatAreNoPlace(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"empty":                    "",
		"everything on a port":     "*:443",
		"star within a name":       "a.*.example",
		"star beside letters":      "*a.example",
		"two stars":                "*.*.example",
		"star before an address":   "*.192.0.2.1",
		"star before IPv6":         "*.2001:db8::1",
		"a URL":                    "https://deb.example.org",
		"a path":                   "deb.example.org/debian",
		"a network":                "192.0.2.0/24",
		"credentials":              "user@deb.example.org",
		"white space":              " deb.example.org",
		"two places":               "a.example,b.example",
		"line end":                 "a.example\n",
		"port zero":                "a.example:0",
		"port with zeroes":         "a.example:0443",
		"port too large":           "a.example:65536",
		"port by name":             "a.example:https",
		"port with a sign":         "a.example:+443",
		"port that is empty":       "a.example:",
		"port alone":               ":443",
		"empty label":              "a..example",
		"hyphen first":             "-a.example",
		"label too long":           strings.Repeat("a", 64) + ".example",
		"name too long":            strings.Repeat("a.", 130) + "example",
		"IPv4 short":               "127.1",
		"IPv4 as one number":       "2130706433",
		"IPv4 hexadecimal":         "0x7f000001",
		"IPv4 hexadecimal part":    "127.0.0.0x1",
		"IPv4 octal":               "0177.0.0.1",
		"IPv4 with five parts":     "1.2.3.4.5",
		"IPv4 in brackets":         "[127.0.0.1]",
		"name in brackets":         "[a.example]",
		"brackets not closed":      "[::1",
		"something after brackets": "[::1]a",
		"IPv6 with a zone":         "[fe80::1%eth0]",
		"only dots":                "...",
		"punycode that is none":    "xn--a.example",
	} {
		if _, err := Parse([]string{"deb.example.org", text}); !errors.Is(err, ErrBadPlace) {
			t.Errorf("%s: %q: %v, want ErrBadPlace", name, text, err)
		} else if !strings.Contains(err.Error(), fmt.Sprintf("%q", text)) {
			t.Errorf("%s: the error %q does not say which place", name, err)
		}
	}
	if _, err := Parse(make([]string, maxPlaces+1)); !errors.Is(err, ErrBadPlace) {
		t.Errorf("a list that is too long: %v, want ErrBadPlace", err)
	}
}

// Whatever is taken for a place has one spelling, which means the same, and opens
// nothing but itself.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"a.example", "*.a.example:81", "[::1]:80", "::ffff:1.2.3.4", "1.2.3.4:1", "BÜCHER.example.", "0x7f.1", "a_b.example", "*.x", "xn--bcher-kva.example", "①②⑦.⓪.⓪.①", "a.example:443:1", "0\xc30"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePlace(text)
		if err != nil {
			if !errors.Is(err, ErrBadPlace) {
				t.Fatalf("%q: %v is not ErrBadPlace", text, err)
			}
			return
		}
		again, err := normal(p.host)
		if err != nil || again != p.host {
			t.Fatalf("%q: the spelling %q is spelt %q (%v)", text, p.host, again, err)
		}
		if strings.ContainsAny(p.host, "*/@%[] \t\r\n\x00\\#?") {
			t.Fatalf("%q: the spelling %q has in it what no host has", text, p.host)
		}
		l, err := Parse([]string{text})
		if err != nil {
			t.Fatal(err)
		}
		port := p.port
		if port == 0 {
			port = 443
		}
		host := p.host
		if p.below {
			if l.allows(host, port) {
				t.Fatalf("%q opens %q itself", text, host)
			}
			host = "x." + host
			if len(host) > 253 {
				return
			}
		}
		if !l.Allows(host, port) {
			t.Fatalf("%q does not open %s", text, net.JoinHostPort(host, strconv.Itoa(int(port))))
		}
		for _, other := range []string{"other.example", "x" + host, host + ".evil.example", "127.0.0.1"} {
			if n, err := normal(other); err == nil && n != host && !(p.below && strings.HasSuffix(n, "."+p.host)) && l.allows(n, port) {
				t.Fatalf("%q opens %q", text, other)
			}
		}
		if l.allows(host, port+1) && (p.port != 0 || port+1 != 443 && port+1 != 80) {
			t.Fatalf("%q opens port %d", text, port+1)
		}
	})
}

func TestAStarIsEveryPublicPlace(t *testing.T) {
	t.Parallel()
	l, err := Parse([]string{"*"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		host string
		port uint16
		want bool
	}{{"deb.example.org", 443, true}, {"deb.example.org", 22, true}, {"192.0.2.1", 80, true}, {"deb.example.org", 0, false}, {"", 80, false}, {"a b", 80, false}} {
		if got := l.Allows(c.host, c.port); got != c.want {
			t.Errorf("%s:%d: %v, want %v", c.host, c.port, got, c.want)
		}
	}
}

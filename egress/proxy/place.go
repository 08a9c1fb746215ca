package proxy

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// ErrBadPlace: a text that should name a place a machine may reach does not.
var ErrBadPlace = errors.New("not HOST, HOST:PORT, *.DOMAIN or *.DOMAIN:PORT")

// maxPlaces bounds a list; who needs more wants another kind of list.
const maxPlaces = 1000

// place is an entry of a list. Its host is in the one spelling that hosts are
// compared in: see normal.
type place struct {
	host  string
	below bool   // the names below host, not host itself
	port  uint16 // 0: 80 and 443
}

// List is the places that a machine may reach.
type List struct {
	places map[place]bool
	all    bool // every port of every public address
}

// Parse reads a list of places:
//
//	deb.example.org          that host's ports 80 and 443
//	deb.example.org:8080     that port of it alone
//	*.example.org            all names below, however deep; not example.org itself
//	*.example.org:8080
//	192.0.2.1, [2001:db8::1]:8080
//	*                        every port of every public address, by name or number;
//	                         what of other networks is open must be named
//
// Names may be in any script and case, with a dot at the end or without. An
// address is reached by its number if it is in the list as such: a name that
// leads to it does not open it. ErrBadPlace with the place that is wrong.
func Parse(places []string) (*List, error) {
	if len(places) > maxPlaces {
		return nil, fmt.Errorf("%w: more than %d places", ErrBadPlace, maxPlaces)
	}
	l := &List{places: make(map[place]bool, len(places))}
	for _, text := range places {
		if text == "*" {
			l.all = true
			continue
		}
		p, err := parsePlace(text)
		if err != nil {
			return nil, fmt.Errorf("place %q: %w", text, err)
		}
		l.places[p] = true
	}
	return l, nil
}

// Allows says whether the list has a port of a host, however the host is spelt.
func (l *List) Allows(host string, port uint16) bool {
	host, err := normal(host)
	return err == nil && l.allows(host, port)
}

// allows is Allows for a host in its normal spelling.
func (l *List) allows(host string, port uint16) bool {
	return port != 0 && (l.all || l.names(host, port))
}

// names says whether an entry other than * has a port of a host.
func (l *List) names(host string, port uint16) bool {
	open := func(host string, below bool) bool {
		return l.places[place{host, below, port}] ||
			(port == 80 || port == 443) && l.places[place{host, below, 0}]
	}
	if open(host, false) {
		return true
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return false // an address is below nothing
	}
	for rest := host; ; {
		_, after, more := strings.Cut(rest, ".")
		if !more {
			return false
		}
		if open(after, true) {
			return true
		}
		rest = after
	}
}

func parsePlace(text string) (place, error) {
	host, port, err := splitPort(text)
	if err != nil {
		return place{}, err
	}
	host, below := strings.CutPrefix(host, "*.")
	p := place{below: below, port: port}
	if p.host, err = normal(host); err != nil {
		return place{}, err
	}
	if _, err := netip.ParseAddr(p.host); err == nil && below {
		return place{}, fmt.Errorf("%w: an address has nothing below it", ErrBadPlace)
	}
	return p, nil
}

// splitPort takes the port off HOST:PORT, and the brackets off an IPv6 address.
// The port is 0 where there is none. What is left of the host is not checked.
func splitPort(text string) (host string, port uint16, err error) {
	host, digits, has := text, "", false
	if rest, ok := strings.CutPrefix(text, "["); ok {
		inside, after, closed := strings.Cut(rest, "]")
		if !closed || !strings.Contains(inside, ":") || after != "" && after[0] != ':' {
			return "", 0, fmt.Errorf("%w: brackets are for IPv6 addresses", ErrBadPlace)
		}
		host = inside
		if after != "" {
			digits, has = after[1:], true
		}
	} else if strings.Count(text, ":") == 1 {
		host, digits, has = strings.Cut(text, ":")
	} // more colons: an IPv6 address without brackets has no port
	if !has {
		return host, 0, nil
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || n == 0 || digits[0] == '0' {
		return "", 0, fmt.Errorf("%w: the port is not a number from 1 to 65535", ErrBadPlace)
	}
	return host, uint16(n), nil
}

// spelling maps names to ASCII as browsers do; underscores are let through,
// since there are servers whose names have them.
var spelling = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.BidiRule(), idna.StrictDomainName(false))

// normal returns the one spelling in which hosts are compared and dialled: names
// in lower-case ASCII without a dot at the end, IPv6 addresses in their short
// form, and those that stand for an IPv4 address as that. Numbers that only some
// libraries take for an address, such as 0x7f.1, are no hosts.
func normal(host string) (string, error) {
	if strings.Contains(host, ":") {
		a, err := netip.ParseAddr(host)
		if err != nil || a.Zone() != "" {
			return "", fmt.Errorf("%w: not an IPv6 address", ErrBadPlace)
		}
		return a.Unmap().String(), nil
	}
	name, err := spelling.ToASCII(host)
	if err != nil || !utf8.ValidString(host) {
		return "", fmt.Errorf("%w: not the name of a host", ErrBadPlace)
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if !isName(name) {
		return "", fmt.Errorf("%w: not the name of a host", ErrBadPlace)
	}
	if numeric(name[strings.LastIndexByte(name, '.')+1:]) {
		a, err := netip.ParseAddr(name)
		if err != nil {
			return "", fmt.Errorf("%w: neither a name nor four decimal numbers", ErrBadPlace)
		}
		return a.String(), nil
	}
	return name, nil
}

// isName says whether a name in lower-case ASCII can be one of DNS.
func isName(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}

// numeric says whether a name's last label makes C libraries read the whole as
// an IPv4 address: digits, or 0x and hexadecimal ones.
func numeric(label string) bool {
	digits := "0123456789"
	if rest, ok := strings.CutPrefix(label, "0x"); ok {
		label, digits = rest, "0123456789abcdef"
	}
	return strings.Trim(label, digits) == ""
}

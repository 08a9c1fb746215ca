package fetch

import "net/netip"

// closed lists what is no place of the public internet: IANA's special-purpose
// registries for IPv4 (RFC 6890 and its updates) and IPv6, which include
// loopback, private and link-local networks (with the metadata addresses of
// clouds, 169.254.169.254 and fd00:ec2::254), shared address space,
// documentation, benchmarking, multicast and reserved ones.
var closed = prefixes(
	"0.0.0.0/8",        // this network
	"10.0.0.0/8",       // private
	"100.64.0.0/10",    // shared address space (CGNAT)
	"127.0.0.0/8",      // loopback
	"169.254.0.0/16",   // link-local
	"172.16.0.0/12",    // private
	"192.0.0.0/24",     // IETF protocol assignments
	"192.0.2.0/24",     // documentation
	"192.31.196.0/24",  // AS112
	"192.52.193.0/24",  // AMT
	"192.88.99.0/24",   // 6to4 relays
	"192.168.0.0/16",   // private
	"192.175.48.0/24",  // AS112
	"198.18.0.0/15",    // benchmarking
	"198.51.100.0/24",  // documentation
	"203.0.113.0/24",   // documentation
	"224.0.0.0/4",      // multicast
	"240.0.0.0/4",      // reserved, broadcast
	"168.63.129.16/32", // Azure's host, a public address that is none

	"::/128",            // unspecified
	"::1/128",           // loopback
	"::/96",             // IPv4-compatible, deprecated
	"::ffff:0:0:0/96",   // IPv4-translated (SIIT)
	"64:ff9b:1::/48",    // local-use NAT64: where the IPv4 address stands is not known
	"100::/64",          // discard
	"100:0:0:1::/64",    // dummy
	"2001::/23",         // IETF protocol assignments: Teredo, ORCHID, benchmarking
	"2001:db8::/32",     // documentation
	"2620:4f:8000::/48", // AS112
	"3fff::/20",         // documentation
	"5f00::/16",         // segment routing
	"fc00::/7",          // unique local
	"fe80::/10",         // link-local
	"fec0::/10",         // site-local, deprecated
	"ff00::/8",          // multicast
)

var (
	nat64  = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052
	sixTo4 = netip.MustParsePrefix("2002::/16")    // RFC 3056

	globalUnicast = netip.MustParsePrefix("2000::/3") // all of it so far
)

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		list[i] = netip.MustParsePrefix(t)
	}
	return list
}

// public says whether an address is one that anybody may be sent to. An IPv6
// address that stands for an IPv4 one is judged by that.
func public(a netip.Addr) bool {
	a = a.WithZone("").Unmap()
	for _, p := range closed {
		if p.Contains(a) {
			return false
		}
	}
	if b := embedded(a); b != a {
		return public(b)
	}
	return a.Is4() || globalUnicast.Contains(a)
}

// embedded is the IPv4 address that an IPv6 address stands for where a network
// translates it; else the address itself.
func embedded(a netip.Addr) netip.Addr {
	b := a.As16()
	switch {
	case nat64.Contains(a):
		return netip.AddrFrom4([4]byte(b[12:16]))
	case sixTo4.Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return a
}

// allowed says whether the fetcher may connect to an address.
func (f *Fetcher) allowed(a netip.Addr) bool {
	if !a.IsValid() {
		return false
	}
	plain := a.WithZone("").Unmap()
	for _, p := range f.config.Allow {
		if p.Contains(plain) {
			return true
		}
	}
	for _, own := range f.config.Own {
		if own = own.WithZone("").Unmap(); own == plain || own == embedded(plain) {
			return false
		}
	}
	return public(a)
}

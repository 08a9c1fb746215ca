package trail

import (
	"math/rand/v2"
	"net/http"
	"net/netip"
)

// Came fills in what a request tells of how the call came: from which address,
// by which program, to which name, under which TLS.
func (c *Call) Came(r *http.Request) {
	c.SourceIP, c.UserAgent, c.TLS, c.Host = SourceIP(r), r.UserAgent(), r.TLS, r.Host
}

// SourceIP is the address that a request came from; not valid if it has none.
func SourceIP(r *http.Request) netip.Addr {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap()
}

// NewRequestID makes a random UUID. Request ids tell requests apart; nobody's
// rights depend on their being hard to guess.
func NewRequestID() string {
	var b [idSize]byte
	hi, lo := rand.Uint64(), rand.Uint64()
	for i := range 8 {
		b[i], b[8+i] = byte(hi>>(8*i)), byte(lo>>(8*i))
	}
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return idString(b)
}

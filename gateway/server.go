package gateway

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// MaxHeaderBytes is how long a request's line and headers may be. A presigned
// URL with a session token has a few thousand bytes.
const MaxHeaderBytes = 32 << 10

// Limits bound what a listener's clients may take of the server. The zero value
// is right for the requests of AWS clients.
type Limits struct {
	// Connections is how many may be open at once; those beyond are closed at
	// once, which clients take for a reason to try again later. 0: 10,000.
	Connections int
	// Streams is how many requests one HTTP/2 connection may have under way. 0: 100.
	Streams int
	// Header is how long a client may take for a TLS handshake, and again for a
	// request's line and headers. 0: 10 s.
	Header time.Duration
	// Read and Write bound a whole request and the whole answer to it. A handler
	// that takes or gives more than fits into them (a registry's layers) moves
	// its own deadlines with http.ResponseController. 0: 60 s; below 0: no bound.
	Read, Write time.Duration
	// Idle is how long a connection stays open between two requests. 0: 2 minutes.
	Idle time.Duration
	// Refused, if set, is called for each connection that was closed for
	// Connections.
	Refused func()
}

func (l Limits) filled() Limits {
	for _, d := range []struct {
		at        *time.Duration
		otherwise time.Duration
	}{{&l.Header, 10 * time.Second}, {&l.Read, 60 * time.Second}, {&l.Write, 60 * time.Second}, {&l.Idle, 2 * time.Minute}} {
		if *d.at == 0 {
			*d.at = d.otherwise
		}
	}
	if l.Connections <= 0 {
		l.Connections = 10_000
	}
	if l.Streams <= 0 {
		l.Streams = 100
	}
	return l
}

// Server returns an http.Server that keeps limits. They hold for every handler
// of its port.
func Server(h http.Handler, l Limits) *http.Server {
	l = l.filled()
	c := &connections{most: l.Connections, refused: l.Refused, open: map[net.Conn]struct{}{}}
	return &http.Server{
		Handler:           h,
		MaxHeaderBytes:    MaxHeaderBytes,
		ReadHeaderTimeout: l.Header, // net/http bounds TLS handshakes by it, too
		ReadTimeout:       l.Read,
		WriteTimeout:      l.Write,
		IdleTimeout:       l.Idle,
		ConnState:         c.changed,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: l.Streams,
			MaxReadFrameSize:     64 << 10,
			// A client that has gone, or takes nothing any more, is found out.
			SendPingTimeout:  30 * time.Second,
			PingTimeout:      15 * time.Second,
			WriteByteTimeout: 30 * time.Second,
		},
	}
}

// connections counts what is open on a listener.
type connections struct {
	most    int
	refused func()

	mu   sync.Mutex
	open map[net.Conn]struct{} // guarded by mu
}

// changed is called by net/http: with StateNew before anything is read, and
// with StateClosed once for each.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		c.mu.Lock()
		full := len(c.open) >= c.most
		if !full {
			c.open[conn] = struct{}{}
		}
		c.mu.Unlock()
		if full {
			refuseConnection(conn)
			if c.refused != nil {
				c.refused()
			}
		}
	case http.StateClosed, http.StateHijacked:
		c.mu.Lock()
		delete(c.open, conn)
		c.mu.Unlock()
	}
}

// refuseConnection closes a connection without the farewell of TLS, which would
// wait for a client that reads nothing.
func refuseConnection(conn net.Conn) {
	if c, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = c.NetConn()
	}
	_ = conn.Close() // it is of no use any more, whatever closing says
}

// Listener makes net/http answer a malformed request with a status of the
// client's fault. Of its own it says 501 to an unknown transfer coding and 505
// to an unknown version of HTTP, which alarms count as failures of the server.
// It serves plain connections only: under TLS the bytes are no longer legible.
func Listener(l net.Listener) net.Listener { return listener{l} }

type listener struct{ net.Listener }

// Accept implements net.Listener.
func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		return conn{tcp}, nil
	}
	return c, err
}

// conn keeps all that net/http finds in a *net.TCPConn, sendfile among it.
type conn struct{ *net.TCPConn }

// The two answers, as net/http writes them in one piece, and what goes out instead.
const (
	ending         = "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
	unknownCoding  = "HTTP/1.1 501 Not Implemented" + ending + "Unsupported transfer encoding"
	unknownVersion = "HTTP/1.1 505 HTTP Version Not Supported: unsupported protocol version" + ending +
		"505 HTTP Version Not Supported: unsupported protocol version"
	badCoding  = "HTTP/1.1 400 Bad Request" + ending + "Unsupported transfer encoding"
	badVersion = "HTTP/1.1 400 Bad Request" + ending + "Unsupported protocol version"
)

// Write implements net.Conn.
func (c conn) Write(b []byte) (int, error) {
	var instead string
	switch {
	case len(b) == len(unknownCoding) && string(b) == unknownCoding:
		instead = badCoding
	case len(b) == len(unknownVersion) && string(b) == unknownVersion:
		instead = badVersion
	default:
		return c.TCPConn.Write(b)
	}
	if _, err := c.TCPConn.Write([]byte(instead)); err != nil {
		return 0, err
	}
	return len(b), nil
}

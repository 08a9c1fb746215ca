package gateway

import (
	"net"
	"net/http"
	"time"
)

// MaxHeaderBytes is how long a request's line and headers may be. A presigned
// URL with a session token has a few thousand bytes.
const MaxHeaderBytes = 32 << 10

// Server returns an http.Server with limits for the requests of AWS clients.
// They hold for every handler of its port: one that takes or gives more than
// fits into them (a registry's layers) moves its own deadlines with
// http.ResponseController.
func Server(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		MaxHeaderBytes:    MaxHeaderBytes,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       60 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
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

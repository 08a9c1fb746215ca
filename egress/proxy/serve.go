package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"strconv"
	"strings"
	"time"

	"souk/egress/fetch"
)

// errSpent: the machine has sent and received Config.Bytes.
var errSpent = errors.New("the machine has sent and received all that it may")

// serve answers a request of the machine. What it may not do is refused with a
// text that its log will show to people.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request) {
	connect := r.Method == http.MethodConnect
	authority, usual := r.URL.Host, uint16(80)
	switch {
	case connect:
		// As it stands in the request: r.Host may be what a header says.
		authority, usual = r.RequestURI, 0
	case !r.URL.IsAbs() || r.URL.Host == "":
		refuse(w, http.StatusBadRequest, "this is a proxy: the request must have a whole URL")
		return
	case r.URL.Scheme != "http":
		refuse(w, http.StatusBadRequest, "only http URLs are asked for here; for others use CONNECT")
		return
	case r.URL.User != nil:
		refuse(w, http.StatusBadRequest, "the URL has credentials in it")
		return
	}
	host, port, err := splitPort(authority)
	if err == nil {
		host, err = normal(host)
	}
	if port == 0 {
		port = usual
	}
	if err != nil || port == 0 {
		refuse(w, http.StatusBadRequest, fmt.Sprintf("%.300q is no host and port", authority))
		return
	}
	address := net.JoinHostPort(host, strconv.Itoa(int(port)))
	if !h.list.allows(host, port) {
		refuse(w, http.StatusForbidden, address+" is not among the places that this machine may reach")
		return
	}
	if connect {
		h.tunnel(w, r, address)
		return
	}
	r.URL.Host = address
	if port == 80 {
		r.URL.Host = strings.TrimSuffix(address, ":80") // as servers expect it
	}
	r.Header.Del("Upgrade") // to change the protocol there is CONNECT
	h.forward.ServeHTTP(w, r)
}

// newForward returns what passes requests on and answers back. Hop-by-hop headers
// go no further, and the place sees a request as the machine made it.
func (h *Handler) newForward() http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.Host = r.In.URL.Host             // whatever a Host header says
			r.Out.URL.RawQuery = r.In.URL.RawQuery // also what Go would not parse
		},
		Transport:     h.transport,
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			explain(w, r.URL.Host, err)
		},
	}
}

func (h *Handler) newTransport() *http.Transport {
	return &http.Transport{
		Proxy: nil, // a proxy would connect for us, and to anywhere
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			return h.dial(ctx, address)
		},
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeader,
		ResponseHeaderTimeout:  h.config.Idle,
		ExpectContinueTimeout:  time.Second,
		IdleConnTimeout:        10 * time.Second,
		MaxIdleConnsPerHost:    4,
		MaxIdleConns:           16,
	}
}

// tunnel connects the machine with an address and passes on what both say.
func (h *Handler) tunnel(w http.ResponseWriter, r *http.Request, address string) {
	there, err := h.dial(r.Context(), address)
	if err != nil {
		explain(w, address, err)
		return
	}
	defer there.Close()
	here, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		refuse(w, http.StatusInternalServerError, "the connection can't be taken over")
		return
	}
	defer here.Close()
	if _, err := io.WriteString(here, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	// What moves in one direction keeps the other open: a download is silent on
	// its way up.
	beat := func() {
		t := time.Now().Add(h.config.Idle)
		here.SetDeadline(t)
		there.SetDeadline(t)
	}
	beat()
	up := make(chan error, 1)
	go func() { up <- pass(there, buffered, beat) }()
	down := make(chan error, 1)
	go func() { down <- pass(here, there, beat) }()
	select {
	case err = <-up:
		up = nil
	case err = <-down:
		down = nil
	}
	if err != nil { // it is broken: what is left of the other direction is of no use
		here.Close()
		there.Close()
	}
	if up != nil {
		<-up
	} else {
		<-down
	}
}

// pass copies until the end and tells the other side of it. The error is nil at an
// end that both sides may go on after.
func pass(to net.Conn, from io.Reader, beat func()) error {
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if n > 0 {
			beat()
			if _, err := to.Write(b[:n]); err != nil {
				return err
			}
			beat()
		}
		if err == io.EOF {
			return closeWrite(to)
		}
		if err != nil {
			return err
		}
	}
}

// closeWrite says that nothing more comes, where a connection can say so.
func closeWrite(c net.Conn) error {
	for {
		switch half := c.(type) {
		case interface{ CloseWrite() error }:
			return half.CloseWrite()
		case *conn:
			c = half.Conn
		case *counted:
			c = half.Conn
		default:
			return errors.ErrUnsupported
		}
	}
}

// dial connects to a place of the list.
func (h *Handler) dial(ctx context.Context, address string) (net.Conn, error) {
	if h.spent() {
		return nil, errSpent
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	dialer := h.config.Public
	if h.named(address) {
		dialer = h.config.Dialer
	}
	c, err := dialer.Dial(ctx, address)
	if err != nil {
		return nil, err
	}
	return &counted{Conn: c, handler: h}, nil
}

// named says whether the list has HOST:PORT by another entry than *.
func (h *Handler) named(address string) bool {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return false
	}
	host, err = normal(host)
	return err == nil && h.list.names(host, uint16(port))
}

func (h *Handler) spent() bool { return h.config.Bytes > 0 && h.bytes.Load() >= h.config.Bytes }

// counted is a connection to a place. It counts what goes by, and gives up where
// nothing does.
type counted struct {
	net.Conn
	handler *Handler
}

func (c *counted) Read(b []byte) (int, error) {
	if c.handler.spent() {
		return 0, errSpent
	}
	c.SetDeadline(time.Now().Add(c.handler.config.Idle))
	n, err := c.Conn.Read(b)
	c.handler.bytes.Add(int64(n))
	return n, err
}

func (c *counted) Write(b []byte) (int, error) {
	if c.handler.spent() {
		return 0, errSpent
	}
	c.SetDeadline(time.Now().Add(c.handler.config.Idle))
	n, err := c.Conn.Write(b)
	c.handler.bytes.Add(int64(n))
	return n, err
}

// refuse answers with a reason for people to read.
func refuse(w http.ResponseWriter, status int, reason string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	io.WriteString(w, reason+"\n") //nolint:errcheck // whoever asked is gone
}

// explain answers for a place that can't be reached. It says nothing of our
// network: no address, no name server.
func explain(w http.ResponseWriter, address string, err error) {
	var refused *fetch.Refused
	var dns *net.DNSError
	var wait interface{ Timeout() bool }
	switch {
	case errors.Is(err, fetch.ErrAddress):
		refuse(w, http.StatusForbidden, address+" leads to an address that is not public (--fetch-allow opens networks)")
	case errors.Is(err, errSpent):
		refuse(w, http.StatusForbidden, err.Error())
	case errors.As(err, &refused):
		refuse(w, http.StatusBadGateway, address+": "+refused.Reason)
	case errors.As(err, &dns) && dns.IsNotFound:
		refuse(w, http.StatusBadGateway, address+": no host has that name")
	case errors.As(err, &dns):
		refuse(w, http.StatusBadGateway, address+": the name can't be looked up now")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &wait) && wait.Timeout():
		refuse(w, http.StatusGatewayTimeout, address+" does not answer in time")
	default:
		refuse(w, http.StatusBadGateway, address+": the connection failed")
	}
}

// Package proxy lets the programs of a machine reach the places on the machine's
// list and no others. It is an HTTP forward proxy, as HTTP_PROXY names one: it
// takes requests with a whole URL for http, and CONNECT for everything else, so
// apt, curl, pip and wget work through it.
//
// A name on the list is not enough: the address that it leads to must be one that
// egress/fetch may connect to, so no name leads to a private network, a cloud's
// metadata or Souk itself. A name is looked up once for a connection, and what was
// checked is what is dialled.
//
// It does not look into what CONNECT carries: who may reach a host may say
// anything to it. It adds no credentials and says nothing of who asks. How a
// machine's connections get here is the business of the machine's provider.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"souk/egress/fetch"
)

// What holds where Config says nothing.
const (
	DefaultConnections   = 128
	DefaultIdle          = 2 * time.Minute
	DefaultHeaderTimeout = 30 * time.Second
	maxHeader            = 64 << 10
	dialTimeout          = 30 * time.Second // the look-up of the name included
)

// Dialer connects to HOST:PORT and nowhere inside; *fetch.Fetcher. An error that
// is fetch.ErrAddress means that it may not.
type Dialer interface {
	Dial(ctx context.Context, address string) (net.Conn, error)
}

// Config says how a Proxy connects, and what one machine may take of it.
type Config struct {
	// Dialer connects to what a list names. nil: to public addresses alone.
	Dialer Dialer
	// Public connects to what a list has only by its *. nil: to public addresses alone.
	Public Dialer
	// Connections that a machine may have open at a time; 0: DefaultConnections.
	Connections int
	// Idle is after how long a connection on which nothing moves is closed; 0: DefaultIdle.
	Idle time.Duration
	// HeaderTimeout is how long the head of a request may take; 0: DefaultHeaderTimeout.
	HeaderTimeout time.Duration
	// Bytes that a machine may send and receive in all; 0: as many as it likes.
	Bytes int64
}

// Proxy makes the handlers of machines.
type Proxy struct{ config Config }

// New returns a Proxy.
func New(c Config) *Proxy {
	if c.Dialer == nil {
		c.Dialer = fetch.New(fetch.Config{})
	}
	if c.Public == nil {
		c.Public = fetch.New(fetch.Config{})
	}
	if c.Connections == 0 {
		c.Connections = DefaultConnections
	}
	if c.Idle == 0 {
		c.Idle = DefaultIdle
	}
	if c.HeaderTimeout == 0 {
		c.HeaderTimeout = DefaultHeaderTimeout
	}
	return &Proxy{config: c}
}

// Handler returns what serves one machine, which may reach the places of a list:
// see Parse, whose error this is. The caller closes it.
func (p *Proxy) Handler(places []string) (*Handler, error) {
	list, err := Parse(places)
	if err != nil {
		return nil, err
	}
	h := &Handler{config: p.config, list: list, slots: make(chan struct{}, p.config.Connections), open: map[*conn]bool{}}
	h.transport = h.newTransport()
	h.forward = h.newForward()
	quiet := log.New(io.Discard, "", 0) // what a machine sends wrong is told to it alone
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	h.server = &http.Server{
		Handler:           http.HandlerFunc(h.serve),
		ReadHeaderTimeout: p.config.HeaderTimeout,
		IdleTimeout:       p.config.Idle,
		MaxHeaderBytes:    maxHeader,

		DisableGeneralOptionsHandler: true, // OPTIONS * is no request to a place
		Protocols:                    &protocols,
		ErrorLog:                     quiet,
	}
	h.queue = &queue{conns: make(chan net.Conn), closed: make(chan struct{})}
	go h.server.Serve(h.queue) //nolint:errcheck // it ends when Close closes the queue
	return h, nil
}

// Handler serves one machine. Its methods may be called concurrently.
type Handler struct {
	config  Config
	list    *List
	server  *http.Server
	queue   *queue
	forward http.Handler
	slots   chan struct{} // one for each connection that is open
	bytes   atomic.Int64  // that went out and came in

	transport *http.Transport // of forward

	mu   sync.Mutex
	open map[*conn]bool // nil after Close
}

// tooMany is what a machine reads that has too many connections.
const tooMany = "the machine has too many connections through the proxy\n"

// ServeConn serves a connection of the machine, and returns when it is closed.
// When ctx ends it is closed, with what it opened.
func (h *Handler) ServeConn(ctx context.Context, c net.Conn) {
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	default:
		c.SetDeadline(time.Now().Add(time.Second))
		fmt.Fprintf(c, "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(tooMany), tooMany)
		c.Close()
		return
	}
	mine := &conn{Conn: c, idle: h.config.Idle, closed: make(chan struct{})}
	defer mine.Close()
	if !h.add(mine) {
		return
	}
	defer h.remove(mine)
	select {
	case h.queue.conns <- mine:
	case <-h.queue.closed:
		return
	case <-ctx.Done():
		return
	}
	select {
	case <-mine.closed:
	case <-ctx.Done():
	}
}

// Serve serves the connections of a listener until it is closed, ctx ends or the
// handler is closed. It closes the listener, and returns when all of its
// connections are closed.
func (h *Handler) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	go func() {
		select {
		case <-ctx.Done():
		case <-h.queue.closed:
		}
		l.Close()
	}()
	for {
		c, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil
			}
			return err
		}
		all.Go(func() { h.ServeConn(ctx, c) })
	}
}

// Bytes is how many bytes went to the places and came from them so far.
func (h *Handler) Bytes() int64 { return h.bytes.Load() }

// Close closes all connections, those to the places too.
func (h *Handler) Close() error {
	h.queue.Close()
	h.mu.Lock()
	open := h.open
	h.open = nil
	h.mu.Unlock()
	for c := range open {
		c.Close()
	}
	err := h.server.Close()
	h.transport.CloseIdleConnections()
	return err
}

func (h *Handler) add(c *conn) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open == nil {
		return false
	}
	h.open[c] = true
	return true
}

func (h *Handler) remove(c *conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.open, c)
}

// conn is a connection of the machine. It gives up on a machine that does not
// read; for one that does not write the server has its own time limits.
type conn struct {
	net.Conn
	idle   time.Duration
	once   sync.Once
	closed chan struct{}
}

func (c *conn) Write(b []byte) (int, error) {
	c.SetWriteDeadline(time.Now().Add(c.idle))
	return c.Conn.Write(b)
}

func (c *conn) Close() error {
	var err error
	c.once.Do(func() {
		err = c.Conn.Close()
		close(c.closed)
	})
	return err
}

// queue hands connections to the server as a listener does.
type queue struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (q *queue) Accept() (net.Conn, error) {
	select {
	case c := <-q.conns:
		return c, nil
	case <-q.closed:
		return nil, net.ErrClosed
	}
}

func (q *queue) Close() error {
	q.once.Do(func() { close(q.closed) })
	return nil
}

func (q *queue) Addr() net.Addr { return &net.UnixAddr{Name: "machine", Net: "unix"} }

// Package fetch gets what lies at addresses that users give: a logo's URL, or the
// status with which a seller's page answers. It goes nowhere inside: every
// address is checked when a connection is made, so neither a name that resolves
// elsewhere the second time nor a redirect leads to a private network, a cloud's
// metadata or Souk itself.
//
// It is for GET of small things. It sends no credentials, keeps no cookies and
// uses no proxy of the environment.
package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Limits that hold where Config says nothing.
const (
	DefaultMaxBytes = 10 << 20
	DefaultTimeout  = 20 * time.Second
	maxRedirects    = 5
	maxURL          = 2048
	maxHeaders      = 32 << 10
)

// ErrRefused: what the user asked for is wrong, or what lies there: the URL,
// the address it leads to, the answer. Trying again is of no use. Any other
// error of Get means that we or the network failed.
var ErrRefused = errors.New("address can't be fetched")

// Refused is an ErrRefused with its reason, which may be told to the user: it
// says nothing of our network.
type Refused struct {
	Reason string
	// Status is the HTTP status if the reason is that it is not 200.
	Status int
	// TooLarge: the reason is that the body is longer than Config.MaxBytes.
	TooLarge bool
}

func (e *Refused) Error() string { return ErrRefused.Error() + ": " + e.Reason }

// Is makes errors.Is(err, ErrRefused) true.
func (e *Refused) Is(target error) bool { return target == ErrRefused }

func refuse(format string, args ...any) error {
	return &Refused{Reason: fmt.Sprintf(format, args...)}
}

// ErrAddress: the place's address is not public, or Souk's own, and
// Config.Allow does not open it. Dial's error is it; Get says it as a Refused.
var ErrAddress = errors.New("address is not public")

// Resolver finds the addresses of a host; *net.Resolver.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Config says where a Fetcher may go and how far. The zero value goes to
// public addresses only.
type Config struct {
	// Allow opens networks that are closed else, for tests and inner networks.
	Allow []netip.Prefix
	// Own are public addresses that Souk itself listens on: closed, if Allow
	// does not open them.
	Own []netip.Addr
	// RootCAs are who may sign a server's certificate; nil: the system's.
	RootCAs *x509.CertPool
	// MaxBytes bounds a body; 0 means DefaultMaxBytes.
	MaxBytes int64
	// Timeout bounds all of a Get; 0 means DefaultTimeout.
	Timeout time.Duration
	// Resolver finds hosts; nil means the system's.
	Resolver Resolver
	// UserAgent is what servers see; "" means souk.
	UserAgent string
}

// Fetcher fetches. Its methods may be called concurrently.
type Fetcher struct {
	config Config
	client *http.Client
}

// New returns a Fetcher.
func New(c Config) *Fetcher {
	if c.MaxBytes == 0 {
		c.MaxBytes = DefaultMaxBytes
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Resolver == nil {
		c.Resolver = net.DefaultResolver
	}
	if c.UserAgent == "" {
		c.UserAgent = "souk"
	}
	f := &Fetcher{config: c}
	f.client = &http.Client{
		Transport: &http.Transport{
			Proxy:                  nil, // a proxy would connect for us, and to anywhere
			DialContext:            f.dial,
			TLSClientConfig:        &tls.Config{RootCAs: c.RootCAs, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    10 * time.Second,
			ResponseHeaderTimeout:  c.Timeout,
			MaxResponseHeaderBytes: maxHeaders,
			DisableKeepAlives:      true, // each Get is checked anew
			DisableCompression:     true, // we ask for none, so there is no bomb to unpack
			ForceAttemptHTTP2:      false,
		},
		CheckRedirect: f.redirect,
	}
	return f
}

// File is what was fetched.
type File struct {
	URL         string // after redirects
	ContentType string // as the server says it, without parameters, lower case; "" if it says none
	Body        []byte
}

// Get fetches a URL. accept lists the media types that the caller can use, for
// the request's header; the caller checks what came. ErrRefused if the user's
// request is wrong.
func (f *Fetcher) Get(ctx context.Context, address string, accept ...string) (File, error) {
	outer := ctx
	ctx, cancel := context.WithTimeout(ctx, f.config.Timeout)
	defer cancel()
	u, resp, err := f.ask(ctx, outer, address, accept)
	if err != nil {
		return File{}, err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusRequestTimeout:
		// The server there is in trouble: later it may answer.
		return File{}, fmt.Errorf("fetching %s: status %d", place(u), resp.StatusCode)
	case resp.StatusCode != http.StatusOK:
		return File{}, &Refused{Reason: fmt.Sprintf("the server answers with status %d", resp.StatusCode), Status: resp.StatusCode}
	case resp.Header.Get("Content-Encoding") != "" && !strings.EqualFold(resp.Header.Get("Content-Encoding"), "identity"):
		return File{}, refuse("the server sends it compressed, which was not asked for")
	case resp.ContentLength > f.config.MaxBytes:
		return File{}, f.tooLarge()
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, f.config.MaxBytes+1))
	if err != nil {
		return File{}, f.explain(outer, u, err)
	}
	if int64(len(body)) > f.config.MaxBytes {
		return File{}, f.tooLarge()
	}
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		kind = ""
	}
	return File{URL: resp.Request.URL.String(), ContentType: kind, Body: body}, nil
}

// Status asks for a URL as Get does and returns the HTTP status of the answer,
// whatever it is, after redirects. The body is not read. It is a GET, since many
// servers answer no HEAD. ErrRefused if the user's request is wrong.
func (f *Fetcher) Status(ctx context.Context, address string) (int, error) {
	outer := ctx
	ctx, cancel := context.WithTimeout(ctx, f.config.Timeout)
	defer cancel()
	_, resp, err := f.ask(ctx, outer, address, nil)
	if err != nil {
		return 0, err
	}
	resp.Body.Close()
	return resp.StatusCode, nil
}

// ask sends the request for a URL; the caller closes the answer's body. outer is
// the caller's own context, without our time limit.
func (f *Fetcher) ask(ctx, outer context.Context, address string, accept []string) (*url.URL, *http.Response, error) {
	u, err := parse(address)
	if err != nil {
		return nil, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, nil, refuse("the URL is malformed")
	}
	req.Header.Set("User-Agent", f.config.UserAgent)
	if len(accept) > 0 {
		req.Header.Set("Accept", strings.Join(accept, ", "))
	}
	req.Header.Set("Accept-Encoding", "identity")
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, nil, f.explain(outer, u, err)
	}
	return u, resp, nil
}

func (f *Fetcher) tooLarge() error {
	return &Refused{Reason: fmt.Sprintf("it has more than %d bytes", f.config.MaxBytes), TooLarge: true}
}

// parse checks a URL before anybody is asked.
func parse(address string) (*url.URL, error) {
	if len(address) > maxURL {
		return nil, refuse("the URL is longer than %d characters", maxURL)
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, refuse("the URL is malformed")
	}
	return u, checkURL(u)
}

func checkURL(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return refuse("only http and https URLs are fetched")
	case u.User != nil:
		return refuse("the URL has credentials in it")
	case u.Hostname() == "" || u.Opaque != "":
		return refuse("the URL has no host")
	case u.Port() != "" && !validPort(u.Port()):
		return refuse("the URL's port is not one from 1 to 65535")
	}
	return nil
}

func validPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}

func (f *Fetcher) redirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return refuse("it redirects more than %d times", maxRedirects)
	}
	if via[len(via)-1].URL.Scheme == "https" && req.URL.Scheme == "http" {
		return refuse("it redirects from https to http")
	}
	req.Header.Del("Referer")
	return checkURL(req.URL)
}

// dial connects to the first address of a host that answers. The check is in
// Control, which sees the address that the kernel is about to connect to.
func (f *Fetcher) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, refuse("the URL has no host")
	}
	d := net.Dialer{Timeout: 10 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil || !f.allowed(at.Addr()) {
			return ErrAddress
		}
		return nil
	}}
	addresses := []netip.Addr{}
	if a, err := netip.ParseAddr(host); err == nil {
		addresses = append(addresses, a)
	} else {
		addresses, err = f.config.Resolver.LookupNetIP(ctx, "ip", host)
		if err != nil {
			return nil, err
		}
	}
	err = refuse("the host has no address")
	for _, a := range addresses {
		var conn net.Conn
		conn, err = d.DialContext(ctx, network, net.JoinHostPort(a.String(), port))
		if err == nil {
			return conn, nil
		}
		if errors.Is(err, ErrAddress) {
			// A host with one address outside and one inside is a trap.
			return nil, err
		}
	}
	return nil, err
}

// Dial connects to HOST:PORT by TCP under the same guard as Get: the name is
// looked up once, and the address that is connected to is the one that was
// checked. ErrAddress if it is closed; other errors are those of the look-up and
// the network, and say more of them than a stranger should read.
func (f *Fetcher) Dial(ctx context.Context, address string) (net.Conn, error) {
	conn, err := f.dial(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", address, err)
	}
	return conn, nil
}

// explain tells a wrong request from a failure of ours or of the network.
func (f *Fetcher) explain(ctx context.Context, u *url.URL, err error) error {
	var refused *Refused
	var dns *net.DNSError
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var host x509.HostnameError
	var record tls.RecordHeaderError
	switch {
	case ctx.Err() != nil: // the caller gave up
		return fmt.Errorf("fetching %s: %w", place(u), ctx.Err())
	case errors.As(err, &refused):
		return refused
	case errors.Is(err, ErrAddress):
		return refuse("the host's address is not public (--fetch-allow opens networks)")
	case errors.As(err, &dns) && dns.IsNotFound:
		return refuse("no host has that name")
	case errors.As(err, &unknown), errors.As(err, &invalid), errors.As(err, &host):
		return refuse("the server's certificate is not valid for it")
	case strings.Contains(err.Error(), "failed to parse Location header"):
		return refuse("it redirects to a URL that is malformed")
	case errors.As(err, &record), strings.Contains(err.Error(), "malformed HTTP"), strings.Contains(err.Error(), "malformed MIME header"), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return refuse("the server does not speak HTTP")
	case errors.Is(err, syscall.ECONNREFUSED):
		return refuse("no server listens there")
	case strings.Contains(err.Error(), "server response headers exceeded"):
		return refuse("the server's headers are too long")
	}
	var outermost *url.Error // its text has the whole URL
	if errors.As(err, &outermost) {
		err = outermost.Err
	}
	return fmt.Errorf("fetching %s: %w", place(u), err)
}

// place is a URL for errors, which go to the log: without its query, which may
// hold what gives access.
func place(u *url.URL) string { return u.Scheme + "://" + u.Host + u.EscapedPath() }

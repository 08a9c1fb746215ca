package gateway_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"souk/gateway"
)

// limited serves with limits, by TLS if secure is set, and returns the address.
func limited(t *testing.T, l gateway.Limits, secure bool, h http.HandlerFunc) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := gateway.Listener(listener)
	if secure {
		made := httptest.NewUnstartedServer(nil) // for its certificate
		made.StartTLS()
		certificates := made.TLS.Certificates
		made.Close()
		served = tls.NewListener(listener, &tls.Config{Certificates: certificates, NextProtos: []string{"h2", "http/1.1"}})
	}
	server := gateway.Server(h, l)
	server.ErrorLog = log.New(io.Discard, "", 0)
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Serve(served) // ends with the test, by Close
	}()
	t.Cleanup(func() {
		server.Close()
		<-done
	})
	return listener.Addr().String()
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// closed waits until the server has closed the connection and returns what it said.
func closed(t *testing.T, c net.Conn) string {
	t.Helper()
	said, err := io.ReadAll(c) // ends when the server closes; an error is a reset, which is as good
	if err != nil && !strings.Contains(err.Error(), "reset") {
		t.Fatal(err)
	}
	return string(said)
}

func ok(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		w.WriteHeader(http.StatusRequestTimeout)
	}
}

// Clients that keep a connection and send little or nothing (slowloris) are
// shut out.
func TestSlowClientsAreClosed(t *testing.T) {
	t.Parallel()
	short := 20 * time.Millisecond
	for name, c := range map[string]struct {
		limits gateway.Limits
		secure bool
		send   string
	}{
		"sends nothing":               {gateway.Limits{Header: short}, false, ""},
		"sends half a request's line": {gateway.Limits{Header: short}, false, "GET /he"},
		"sends half of the headers":   {gateway.Limits{Header: short}, false, "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "},
		"sends no body":               {gateway.Limits{Read: short}, false, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"},
		"sends half a chunk":          {gateway.Limits{Read: short}, false, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"},
		"sends no second request":     {gateway.Limits{Idle: short}, false, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"},
		"begins no TLS":               {gateway.Limits{Header: short}, true, ""},
		"ends no TLS handshake":       {gateway.Limits{Header: short}, true, "\x16\x03\x01\x02\x00\x01"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := dial(t, limited(t, c.limits, c.secure, ok))
			if _, err := io.WriteString(conn, c.send); err != nil {
				t.Fatal(err)
			}
			closed(t, conn)
		})
	}
}

func TestLongHeadersAreRefused(t *testing.T) {
	t.Parallel()
	conn := dial(t, limited(t, gateway.Limits{}, false, func(http.ResponseWriter, *http.Request) { t.Error("the handler was called") }))
	go io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nX-Long: "+strings.Repeat("x", 2*gateway.MaxHeaderBytes)+"\r\n\r\n") // it may be cut off
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.Contains(line, " 431 ") {
		t.Errorf("%q, %v; want 431", line, err)
	}
}

func TestConnectionsBeyondTheLimitAreClosed(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		refused := make(chan struct{}, 10)
		address := limited(t, gateway.Limits{Connections: 2, Refused: func() { refused <- struct{}{} }}, secure, ok)
		open := func() net.Conn {
			conn := dial(t, address)
			if secure {
				conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
			}
			return conn
		}
		ask := func(conn net.Conn) error {
			_, err := fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			if err != nil {
				return err
			}
			r, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				return err
			}
			return r.Body.Close()
		}
		first, second := open(), open()
		for _, conn := range []net.Conn{first, second} {
			if err := ask(conn); err != nil {
				t.Fatal(err)
			}
		}
		if err := ask(open()); err == nil {
			t.Errorf("TLS %t: a third connection was served", secure)
		}
		<-refused
		if err := ask(first); err != nil {
			t.Errorf("TLS %t: the first connection suffered: %v", secure, err)
		}
		first.Close()
		// The server learns of it in its own time: until then it refuses.
		for ask(open()) != nil {
			<-refused
		}
	}
}

func TestStreamsOfHTTP2AreBounded(t *testing.T) {
	t.Parallel()
	for want, limits := range map[uint32]gateway.Limits{100: {}, 7: {Streams: 7}} {
		conn := tls.Client(dial(t, limited(t, limits, true, ok)), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
		if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
			t.Fatal(err)
		}
		framer := http2.NewFramer(conn, conn)
		if err := framer.WriteSettings(); err != nil {
			t.Fatal(err)
		}
		frame, err := framer.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		settings, is := frame.(*http2.SettingsFrame)
		if !is {
			t.Fatalf("the first frame is %v", frame)
		}
		if got, ok := settings.Value(http2.SettingMaxConcurrentStreams); !ok || got != want {
			t.Errorf("%d streams, want %d", got, want)
		}
		if got, ok := settings.Value(http2.SettingMaxHeaderListSize); !ok || got > 2*gateway.MaxHeaderBytes {
			t.Errorf("headers of %d bytes", got)
		}
	}
}

// The same over HTTP/2, where a connection outlives its requests.
func TestSlowClientsOfHTTP2AreClosed(t *testing.T) {
	t.Parallel()
	short := 20 * time.Millisecond
	fields := func(t *testing.T, method string) []byte {
		t.Helper()
		var block bytes.Buffer
		e := hpack.NewEncoder(&block)
		for _, f := range []hpack.HeaderField{{Name: ":method", Value: method}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: "x"}, {Name: ":path", Value: "/"}} {
			if err := e.WriteField(f); err != nil {
				t.Fatal(err)
			}
		}
		return block.Bytes()
	}
	for name, send := range map[string]func(*testing.T, *http2.Framer) error{
		"asks nothing": func(*testing.T, *http2.Framer) error { return nil },
		"never ends its headers": func(t *testing.T, f *http2.Framer) error {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: fields(t, "GET")})
		},
		"sends no body": func(t *testing.T, f *http2.Framer) error {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: fields(t, "POST"), EndHeaders: true})
		},
		"sends data of no request": func(t *testing.T, f *http2.Framer) error {
			return f.WriteRawFrame(http2.FrameData, 0, 1, nil)
		},
		"asks once": func(t *testing.T, f *http2.Framer) error {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: fields(t, "GET"), EndHeaders: true, EndStream: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := tls.Client(dial(t, limited(t, gateway.Limits{Read: short, Idle: short}, true, ok)), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
			_, err := io.WriteString(conn, http2.ClientPreface)
			framer := http2.NewFramer(conn, conn)
			if err == nil {
				err = framer.WriteSettings()
			}
			if err == nil {
				err = send(t, framer)
			}
			if err == nil {
				closed(t, conn)
			} // else it was closed already
		})
	}
}

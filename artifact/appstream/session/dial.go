package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// overHTTP1 is a transport that speaks HTTP/1.1 alone, for only that can be
// upgraded, and otherwise as another does.
func overHTTP1(t *http.Transport) *http.Transport {
	if t == nil {
		t, _ = http.DefaultTransport.(*http.Transport)
	}
	if t == nil {
		t = &http.Transport{Proxy: http.ProxyFromEnvironment}
	}
	t = t.Clone()
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	t.TLSNextProto = nil
	t.ForceAttemptHTTP2 = false
	if t.TLSClientConfig != nil {
		t.TLSClientConfig.NextProtos = nil
	}
	t.DisableKeepAlives = true
	t.ResponseHeaderTimeout = 30 * time.Second
	return t
}

// Dial begins a session at a market's address with a ticket, and returns its
// connection, for Run. transport says how the market is reached; nil: as
// http.DefaultTransport does. A market that refuses is a *Failure.
func Dial(ctx context.Context, transport *http.Transport, url, ticket string) (io.ReadWriteCloser, error) {
	transport = overHTTP1(transport)
	response, err := upgrade(ctx, transport, url, ticket, "")
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		defer response.Body.Close()
		return nil, refusal(response)
	}
	conn, ok := response.Body.(io.ReadWriteCloser)
	if !ok {
		return nil, errors.Join(errors.New("beginning a session: the connection can't be written to"), response.Body.Close())
	}
	return conn, nil
}

// upgrade asks for a session. node, if not "", is whose it is.
func upgrade(ctx context.Context, transport *http.Transport, url, ticket, node string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("beginning a session at %s: %w", url, err)
	}
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", Protocol)
	r.Header.Set(TicketHeader, ticket)
	if node != "" {
		r.Header.Set(nodeHeader, node)
	}
	response, err := transport.RoundTrip(r)
	if err != nil {
		return nil, fmt.Errorf("beginning a session at %s: %w", url, err)
	}
	return response, nil
}

// maxRefusal bounds what is read of a refusal, in bytes.
const maxRefusal = 64 << 10

// refusal is what a market says instead of beginning a session.
func refusal(response *http.Response) error {
	var f Failure
	b, err := io.ReadAll(io.LimitReader(response.Body, maxRefusal))
	if err != nil || json.Unmarshal(b, &f) != nil || f.Code == "" {
		return fmt.Errorf("the server answered %s instead of beginning a session: does a proxy stand before it that upgrades no connections?", response.Status)
	}
	f.Message = printable(f.Message)
	return &f
}

// passOn carries a session to the node that has the machine, byte for byte. That
// node lets it in or does not.
func (s *Sessions) passOn(w http.ResponseWriter, r *http.Request, t Ticket, text string, log *slog.Logger) {
	unreachable := &Failure{CodeNode, "the node that has the image builder does not answer: try again, or stop and start the image builder"}
	if t.URL == "" {
		log.Warn("the node that has the image builder has said no --node-url", "node", t.Node)
		refuse(w, http.StatusBadGateway, &Failure{CodeNode, "the node that has the image builder has no --node-url by which other nodes reach it"})
		return
	}
	response, err := upgrade(r.Context(), s.nodes, t.URL+Path, text, t.Node)
	if err != nil {
		log.Warn("a session could not be passed on to another node", "node", t.Node, "url", t.URL, "error", err)
		refuse(w, http.StatusBadGateway, unreachable)
		return
	}
	defer response.Body.Close()
	there, ok := response.Body.(io.ReadWriteCloser)
	if response.StatusCode != http.StatusSwitchingProtocols || !ok {
		var f *Failure
		if !errors.As(refusal(response), &f) {
			log.Warn("another node did not take a session", "node", t.Node, "url", t.URL, "status", response.Status)
			f = unreachable
		}
		refuse(w, response.StatusCode, f)
		return
	}
	here, reader, err := accept(w)
	if err != nil {
		log.Warn("a session's connection could not be taken over", "error", err)
		return
	}
	stop := context.AfterFunc(s.ctx, func() {
		there.Close()
		_ = here.SetWriteDeadline(time.Now().Add(parting)) // of the write under way
	})
	defer stop()
	defer s.bounded(here)()
	join(here, reader, there)
}

// patient is a connection to a client that is given up when it takes no bytes for
// long: this node hears nothing of what the two ends say to each other.
type patient struct {
	net.Conn
	most time.Duration
}

// Write implements io.Writer.
func (p patient) Write(b []byte) (int, error) {
	err := p.SetWriteDeadline(time.Now().Add(p.most))
	if err != nil {
		return 0, err
	}
	return p.Conn.Write(b)
}

// join carries bytes both ways until the node ends the session, or the client.
func join(here net.Conn, reader io.Reader, there io.ReadWriteCloser) {
	defer here.Close()
	left := make(chan struct{})
	go func() {
		defer close(left)
		_, err := io.Copy(there, reader)
		there.Close() // the client has gone, or the node
		if err != nil {
			_, _ = io.Copy(io.Discard, reader) // until the client has taken what is under way to it
		}
	}()
	_, _ = io.Copy(patient{here, silence}, there) // either end's end is the session's
	if half, ok := here.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // as above
	}
	bye := time.NewTimer(parting)
	defer bye.Stop()
	select {
	case <-left:
	case <-bye.C:
	}
}

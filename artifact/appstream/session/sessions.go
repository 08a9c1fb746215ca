package session

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"souk/artifact/machine"
)

// Machine is an image builder that was entered; builder.Session is one.
type Machine interface {
	Exec(ctx context.Context, c machine.Cmd) (machine.Exit, error)
	Close()
}

// Place says which node has a machine.
type Place struct {
	Node string // its id
	URL  string // how other nodes reach it, such as https://10.0.0.2:8470
}

// Config is what Sessions are made of.
type Config struct {
	Keys Sealer // required: it seals tickets
	Node string // required: the id of this node
	URL  string // required: how clients reach the market, without a slash at the end

	// Locate says which node has the machine of a running image builder. Its
	// errors are for the caller of the API as they are. Required.
	Locate func(ctx context.Context, account, region, builder string) (Place, error)
	// Enter enters the machine of a running image builder of this node. An error
	// that is a *Failure is told the client, others are logged. Required.
	Enter func(ctx context.Context, account, region, builder string) (Machine, error)
	// Nodes reaches other nodes. Nil: http.DefaultTransport's way.
	Nodes *http.Transport

	PerAccount int // sessions that may be open; 0: DefaultPerAccount
	PerBuilder int // 0: DefaultPerBuilder
	// Idle is how long nothing may pass through a terminal; 0: DefaultIdle; below
	// 0: for ever. A program without a terminal may be silent.
	Idle time.Duration
	// Drain is how long clients may take, once the server stops, to take what is under
	// way to them and leave; 0: DefaultDrain.
	Drain time.Duration
	Clock func() time.Time // nil: time.Now
	Log   *slog.Logger     // nil: nothing is logged
}

// What Config has where it says nothing.
const (
	DefaultPerAccount = 100
	DefaultPerBuilder = 20
	DefaultIdle       = time.Hour
	DefaultDrain      = 10 * time.Second
)

// Sessions lets clients into image builders. Its methods may be called
// concurrently. It is an http.Handler for Path.
type Sessions struct {
	config Config
	used   used
	nodes  *http.Transport
	ctx    context.Context // ends, with a *Failure, when the server stops
	stop   context.CancelCauseFunc

	mu      sync.Mutex
	stopped bool           // guarded by mu
	open    map[string]int // by account, and by account, region and builder; guarded by mu
	running sync.WaitGroup // added to under mu, while not stopped
}

// New makes Sessions. Its error says what is missing.
func New(c Config) (*Sessions, error) {
	if c.Keys == nil || c.Node == "" || c.URL == "" || c.Locate == nil || c.Enter == nil {
		return nil, errors.New("making sessions: they need keys, a node, an address, and to know where machines are")
	}
	if c.PerAccount == 0 {
		c.PerAccount = DefaultPerAccount
	}
	if c.PerBuilder == 0 {
		c.PerBuilder = DefaultPerBuilder
	}
	if c.Idle == 0 {
		c.Idle = DefaultIdle
	}
	if c.Drain == 0 {
		c.Drain = DefaultDrain
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Sessions{config: c, used: used{since: c.Clock(), ids: map[string]time.Time{}}, nodes: overHTTP1(c.Nodes), open: map[string]int{}}
	s.ctx, s.stop = context.WithCancelCause(context.Background())
	return s, nil
}

// Run waits for the end of ctx; then it tells all clients that the server stops,
// ends what they ran, and lets nobody in any more. A client that does not hear of
// that within Config.Drain is cut off.
func (s *Sessions) Run(ctx context.Context) error {
	<-ctx.Done()
	s.mu.Lock()
	s.stopped = true
	s.mu.Unlock()
	s.stop(errStopping)
	s.running.Wait()
	return nil
}

// bounded has a connection closed when the server has been stopping for as long as
// clients may take: one that reads nothing holds up nobody but itself. over is to be
// called at the session's end.
func (s *Sessions) bounded(conn io.Closer) (over func()) {
	done := make(chan struct{})
	stop := context.AfterFunc(s.ctx, func() {
		late := time.NewTimer(s.config.Drain)
		defer late.Stop()
		select {
		case <-late.C:
			_ = conn.Close() // whose end it was waiting for
		case <-done:
		}
	})
	return func() {
		stop()
		close(done)
	}
}

var errStopping = &Failure{CodeStopping, "the server is being stopped, and what ran in the image builder was ended: try again when it runs"}

// Opening is what a session is opened for.
type Opening struct {
	Account, Region, Builder string
	Kind                     Kind
	Program                  string // of a Command: its Args[0]
	User                     string // of the machine; "" is root
}

// Opened is how to begin a session: an upgrade to Protocol at URL, with the
// ticket in TicketHeader, before Expires.
type Opened struct {
	URL     string
	Ticket  string
	Expires time.Time
}

// Open gives a ticket. Whether the caller may have one was asked before. Errors
// are those of Config.Locate.
func (s *Sessions) Open(ctx context.Context, o Opening) (Opened, error) {
	at, err := s.config.Locate(ctx, o.Account, o.Region, o.Builder)
	if err != nil {
		return Opened{}, err
	}
	now := s.config.Clock()
	t := Ticket{
		ID: newTicketID(), Account: o.Account, Region: o.Region, Builder: o.Builder, Kind: o.Kind, Program: o.Program, User: o.User,
		Node: at.Node, URL: at.URL, Issued: now, Expires: now.Add(TicketTime),
	}
	text, err := t.seal(s.config.Keys)
	if err != nil {
		return Opened{}, err
	}
	return Opened{URL: s.config.URL + Path, Ticket: text, Expires: t.Expires}, nil
}

// acquire counts a session in. release is to be called at its end.
func (s *Sessions) acquire(t Ticket) (release func(), refused *Failure) {
	builder := t.Account + "/" + t.Region + "/" + t.Builder
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stopped:
		return nil, errStopping
	case s.open[t.Account] >= s.config.PerAccount:
		return nil, &Failure{CodeLimit, "the account has as many sessions open as it may have: end one of them"}
	case s.open[builder] >= s.config.PerBuilder:
		return nil, &Failure{CodeLimit, "image builder " + t.Builder + " has as many sessions open as it may have: end one of them"}
	}
	s.open[t.Account]++
	s.open[builder]++
	s.running.Add(1)
	return func() {
		s.mu.Lock()
		for _, of := range []string{t.Account, builder} {
			s.open[of]--
			if s.open[of] == 0 {
				delete(s.open, of)
			}
		}
		s.mu.Unlock()
		s.running.Done()
	}, nil
}

var errNoTicket = &Failure{CodeTicket, "the ticket is not valid any more, or was used: ask for another with OpenImageBuilderSession"}

// ServeHTTP implements http.Handler: it lets in who comes with a ticket.
func (s *Sessions) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != Path {
		refuse(w, http.StatusNotFound, &Failure{CodeRequest, "sessions are at " + Path})
		return
	}
	if r.Method != http.MethodGet || r.ProtoMajor != 1 || !strings.EqualFold(r.Header.Get("Upgrade"), Protocol) || !upgrades(r.Header) || r.ContentLength > 0 {
		w.Header().Set("Upgrade", Protocol)
		w.Header().Set("Connection", "Upgrade")
		refuse(w, http.StatusUpgradeRequired, &Failure{CodeRequest, "a session is a GET of HTTP/1.1 that is upgraded to " + Protocol})
		return
	}
	text := r.Header.Get(TicketHeader)
	t, err := openTicket(s.config.Keys, text)
	now := s.config.Clock()
	if err != nil || !now.Before(t.Expires) {
		refuse(w, http.StatusUnauthorized, errNoTicket)
		return
	}
	log := s.config.Log.With("account", t.Account, "region", t.Region, "builder", t.Builder, "kind", string(t.Kind), "program", t.Program)
	passed := r.Header.Get(nodeHeader)
	if t.Node != s.config.Node && passed != "" {
		log.Warn("a session was passed on to a node that it is not for", "node", t.Node)
		refuse(w, http.StatusMisdirectedRequest, &Failure{CodeNode, "the node that has the image builder is not where it is said to be: each node needs a --node-url of its own"})
		return
	}
	if t.Node == s.config.Node && !s.used.use(t, now) {
		refuse(w, http.StatusUnauthorized, errNoTicket)
		return
	}
	release, full := s.acquire(t)
	if full != nil {
		status := http.StatusTooManyRequests
		if full.Code == CodeStopping {
			status = http.StatusServiceUnavailable
		}
		refuse(w, status, full)
		return
	}
	defer release()
	if t.Node != s.config.Node {
		s.passOn(w, r, t, text, log)
		return
	}
	m, err := s.config.Enter(r.Context(), t.Account, t.Region, t.Builder)
	if err != nil {
		var f *Failure
		if errors.As(err, &f) {
			refuse(w, http.StatusConflict, f)
			return
		}
		log.Error("an image builder could not be entered", "error", err)
		refuse(w, http.StatusInternalServerError, &Failure{CodeInternal, "the server failed to enter the image builder"})
		return
	}
	defer m.Close()
	conn, reader, err := accept(w)
	if err != nil {
		log.Warn("a session's connection could not be taken over", "error", err)
		return
	}
	defer s.bounded(conn)()
	log.Info("a session began")
	begun := now
	idle := s.config.Idle
	if idle < 0 {
		idle = 0
	}
	err = serve(s.ctx, conn, reader, idle, func(wanted Start) (machine.Cmd, error) { return wanted.cmd(t) }, m.Exec)
	log.Info("a session ended", "took", s.config.Clock().Sub(begun).String(), "error", err)
}

// upgrades says whether the header Connection has the word.
func upgrades(h http.Header) bool {
	for _, v := range h.Values("Connection") {
		for word := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(word), "upgrade") {
				return true
			}
		}
	}
	return false
}

// accept takes the connection over from the HTTP server, with its time-outs
// lifted, and says so to the client.
func accept(w http.ResponseWriter) (net.Conn, *bufio.Reader, error) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, err
	}
	err = conn.SetDeadline(time.Time{})
	if err == nil {
		_, err = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: "+Protocol+"\r\nConnection: Upgrade\r\n\r\n")
	}
	if err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	return conn, buffered.Reader, nil
}

// refuse answers a request that begins no session.
func refuse(w http.ResponseWriter, status int, f *Failure) {
	b, err := json.Marshal(f)
	if err != nil {
		b = []byte("{}") // a failure is two strings
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // a client that has gone is no concern of ours
}

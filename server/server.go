// Package server joins Souk's parts into one program: it opens the data folder
// and the store, makes the organisation at the first start, hands each part
// what it needs of the others, and serves them on one port.
//
// It is the only room that names implementations. It holds no rule of the
// market itself.
package server

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"souk/access/organization"
	"souk/gateway"
	"souk/server/control"
)

// Server is a market that runs in this process. Make it with New, run it with
// Run, once. Several may live in one process, each with its own data folder.
type Server struct {
	config  Config // with its defaults
	log     *slog.Logger
	url     string // how clients reach it, without a slash at the end
	local   string // the same of this machine, whatever Config.PublicURL says
	node    string // names this run of this node among those that share the database
	started time.Time
	metrics *prometheus.Registry
	refused *prometheus.CounterVec // connections, by listener

	market *market // the open store and what stands on it
	front  *front

	public, admin   net.Listener // admin may be nil
	door            net.Listener // the control socket
	publicS, adminS *http.Server
	closing         sync.Once
	closed          error
}

// New opens a market and its port. The port takes connections from then on;
// they are answered when Run is called. If New fails nothing stays open.
//
// Its errors are a *SettingError, an *InUseError, or what could not be opened.
func New(ctx context.Context, config Config) (_ *Server, err error) {
	config, err = config.filled()
	if err != nil {
		return nil, err
	}
	s := &Server{
		config: config, log: config.Log, started: time.Now().UTC(), node: strings.ToLower(rand.Text()[:12]),
		metrics: newMetrics(),
	}
	s.refused = observeConnections(s.metrics)
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	err = config.forgotten()
	if err != nil {
		return nil, err
	}
	f, err := openFolder(config.Data)
	if err != nil {
		return nil, err
	}
	err = s.listen(f)
	if err != nil {
		return nil, errors.Join(err, f.close())
	}
	s.market, err = openMarket(ctx, f, config, true)
	if err != nil {
		return nil, err
	}
	_, err = s.market.organization.FirstStart(ctx, config.AccountID, f.path(credentialsFile))
	if err != nil {
		return nil, err
	}
	public, err := url.Parse(s.url)
	if err != nil {
		return nil, &SettingError{Setting: "public-url", Text: "it is needed, since --listen " + config.Listen + " makes no URL"}
	}
	s.market.built = observeBuilds(s.metrics)
	s.market.appChanged, s.market.builderChanged = observeAppImages(s.metrics), observeImageBuilders(s.metrics)
	if config.NodeURL == "" {
		config.NodeURL = s.local
	}
	err = s.market.join(ctx, config, public, s.node, observeChangeSets(s.metrics))
	if err != nil {
		return nil, err
	}
	measureBuilds(s.metrics, s.market.builds)
	measureAppImages(s.metrics, s.market.appImages)
	measureImageBuilders(s.metrics, s.market.builders)
	// Before there is the door: whoever waits for that may read these.
	err = writeWhole(f.path(endpointFile), []byte(s.url+"\n"), 0o600)
	if err != nil {
		return nil, fmt.Errorf("writing down our address: %w", err)
	}
	err = writeWhole(f.path(databaseFile), []byte(s.market.database+"\n"), 0o600)
	if err != nil {
		return nil, fmt.Errorf("writing down the engine of the database: %w", err)
	}
	s.door, err = control.Listen(f.dir)
	if err != nil {
		return nil, err
	}
	observeCompute(s.metrics, s.market.compute)
	s.front, err = s.assemble()
	if err != nil {
		return nil, err
	}
	err = s.market.applyScenario(ctx, config)
	if err != nil {
		return nil, err
	}
	// Handshakes that failed, clients that left.
	problems := slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)
	s.publicS = gateway.Server(s.front, s.limits("public", gateway.Limits{Connections: config.MaxConnections}))
	s.adminS = gateway.Server(s.adminHandler(), s.limits("admin", gateway.Limits{Connections: 64, Write: 5 * time.Minute})) // profiles take their time
	s.publicS.ErrorLog, s.adminS.ErrorLog = problems, problems
	return s, nil
}

// limits are those of a listener, which counts the connections that it refuses.
func (s *Server) limits(listener string, l gateway.Limits) gateway.Limits {
	l.Refused = s.refused.WithLabelValues(listener).Inc
	return l
}

// listen opens the ports and sets url and local.
func (s *Server) listen(f *folder) error {
	scheme := "http"
	certs, err := s.certificates(f)
	if err != nil {
		return err
	}
	if certs != nil {
		scheme = "https"
	}
	s.public, err = net.Listen("tcp", s.config.Listen)
	if err != nil {
		return fmt.Errorf("listening on %s: %w; give another --listen, or stop what uses it", s.config.Listen, err)
	}
	host, _, _ := net.SplitHostPort(s.config.Listen) // checked by Config
	_, port, _ := net.SplitHostPort(s.public.Addr().String())
	if a := net.ParseIP(host); host == "" || a != nil && a.IsUnspecified() {
		host = "127.0.0.1" // every address: this one is among them
	}
	s.local = scheme + "://" + net.JoinHostPort(host, port)
	s.url = strings.TrimSuffix(s.config.PublicURL, "/")
	if s.url == "" {
		s.url = s.local
	}
	if certs != nil {
		s.public = tls.NewListener(s.public, tlsConfig(certs))
	} else {
		s.public = gateway.Listener(s.public)
	}
	if s.config.AdminListen == "off" {
		return nil
	}
	s.admin, err = net.Listen("tcp", s.config.AdminListen)
	if err != nil {
		return fmt.Errorf("listening on %s for metrics: %w; give another --admin-listen, or off", s.config.AdminListen, err)
	}
	return nil
}

// certificates returns what the public port serves TLS with, nil for plain HTTP.
func (s *Server) certificates(f *folder) (certificates, error) {
	if s.config.TLSAuto {
		a, made, err := openAuthority(f, s.config.hosts(), time.Now())
		if err != nil {
			return nil, err
		}
		if made {
			s.log.Warn("a certificate authority of this market was made: clients must trust it", "file", f.path(caFile))
		}
		return a, nil
	}
	err := noAuthority(f)
	if err != nil || s.config.TLSCert == "" {
		return nil, err
	}
	return loadCertificate(s.config.TLSCert, s.config.TLSKey)
}

// URL is how clients reach the server, without a slash at the end.
func (s *Server) URL() string { return s.url }

// LocalURL is where the server listens, as this machine reaches it: URL, if no
// Config.PublicURL was given.
func (s *Server) LocalURL() string { return s.local }

// Organization has the accounts, users and keys of the market.
func (s *Server) Organization() *organization.Organization { return s.market.organization }

// Run serves until ctx ends; then it takes no more requests, lets those under
// way end within Config.Drain, hands back the work that is not done, and closes
// everything. It returns nil if all that went well.
func (s *Server) Run(ctx context.Context) error {
	err := errors.Join(s.market.installer.Clean(ctx), s.market.cleanTries(ctx)) // before anything is installed or tried again
	if err != nil {
		s.log.Error("what earlier installations have left is still there", "error", err)
	}
	g, running := errgroup.WithContext(ctx)
	// The engine works until the last request has ended, which may start a set.
	working, rest := context.WithCancel(context.WithoutCancel(ctx))
	defer rest()
	g.Go(func() error { return s.market.engine.Run(working) })
	g.Go(func() error { return s.market.fillListings(working, s.log) })
	g.Go(func() error { s.market.compute.run(running, s.log); return nil })
	g.Go(func() error { return s.market.images.Run(working) })
	g.Go(func() error { return s.market.organization.Run(working, s.node, s.log) })
	g.Go(func() error { return s.market.trail.Run(working) })
	g.Go(func() error { return s.market.quotas.Run(working) })
	g.Go(func() error { return s.market.topics.Run(working) })
	g.Go(func() error { return s.market.builds.Run(working) })
	g.Go(func() error { return s.market.appImages.Run(working) })
	g.Go(func() error { return s.market.builders.Run(working) })
	g.Go(func() error { return s.market.sessions.Run(running) })
	g.Go(func() error { return s.market.watchKeys(working, s.log) })
	serve := func(server *http.Server, l net.Listener) {
		g.Go(func() error {
			err := server.Serve(l)
			if errors.Is(err, http.ErrServerClosed) {
				return nil
			}
			return fmt.Errorf("serving %s: %w", l.Addr(), err)
		})
	}
	serve(s.publicS, s.public)
	if s.admin != nil {
		serve(s.adminS, s.admin)
	}
	s.log.Info("listening", "address", s.public.Addr().String(), "public_url", s.url, "node", s.node, "database", s.market.database, "took", time.Since(s.started).String())
	// Looking at a large market (souk doctor) takes as long as it takes.
	socket := gateway.Server(s.market.door(s.url), s.limits("socket", gateway.Limits{Connections: 64, Write: -1}))
	g.Go(func() error { return control.Serve(running, socket, s.door) })
	g.Go(func() error {
		<-running.Done()
		s.log.Info("draining", "patience", s.config.Drain.String())
		patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.Drain)
		defer cancel()
		err := s.publicS.Shutdown(patience)
		if err != nil {
			s.log.Warn("some requests did not end in time", "error", err)
			_ = s.publicS.Close() // what is left is cut off
		}
		_ = s.adminS.Close() // nobody's data hangs on it
		rest()
		return nil
	})
	err = g.Wait()
	if err != nil {
		s.log.Error("ending", "error", err)
	}
	return errors.Join(err, s.close())
}

// close closes everything in the order in which it depends on one another.
func (s *Server) close() error {
	s.closing.Do(func() {
		var all []error
		for _, l := range []net.Listener{s.public, s.admin, s.door} {
			if l == nil {
				continue
			}
			err := l.Close()
			if err != nil && !errors.Is(err, net.ErrClosed) {
				all = append(all, err)
			}
		}
		if s.market != nil {
			all = append(all, s.market.close())
		}
		s.closed = errors.Join(all...)
	})
	return s.closed
}

// ready says why the server can't answer, nil if it can: the database answers,
// and the key file has the key that seals there.
func (s *Server) ready(r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	_, err := s.market.organization.Guard(ctx)
	var key *organization.WrongKeyError
	if err != nil && !errors.As(err, &key) {
		return fmt.Errorf("the database does not answer: %w", err)
	}
	return err
}

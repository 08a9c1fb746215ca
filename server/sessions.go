package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"souk/artifact/appstream/builder"
	"souk/artifact/appstream/session"
	"souk/artifact/machine"
	"souk/artifact/machine/agent"
	"souk/gateway/apierror"
)

// This file joins sessions with the image builders that they lead into, here and
// on other nodes.

// Entering is what sessions in image builders may have.
type Entering struct {
	// Sessions is how many sessions in image builders an account may have open on
	// a node: terminals, programs, copies. BuilderSessions bounds those of one image
	// builder. Default: 100, and 20.
	Sessions        int `name:"sessions" placeholder:"N" help:"Sessions in image builders that an account may have open on this node (default 100)."`
	BuilderSessions int `name:"builder-sessions" placeholder:"N" help:"Sessions that one image builder may have open (default 20)."`

	// SessionIdle is how long nothing may pass through a terminal in an image builder
	// before it is closed. A program without a terminal may be silent. Default: 1h.
	SessionIdle time.Duration `name:"session-idle" placeholder:"DURATION" help:"How long a terminal in an image builder may be unused before it is closed (default 1h)."`
}

// filled returns the settings with their defaults.
func (e Entering) filled() Entering {
	e.Sessions = cmp.Or(e.Sessions, session.DefaultPerAccount)
	e.BuilderSessions = cmp.Or(e.BuilderSessions, session.DefaultPerBuilder)
	e.SessionIdle = cmp.Or(e.SessionIdle, session.DefaultIdle)
	return e
}

// numbers are the settings with what is allowed of them.
func (e Entering) numbers() []number {
	return []number{
		{"sessions", e.Sessions, e.Sessions < 1, "1 or more"},
		{"builder-sessions", e.BuilderSessions, e.BuilderSessions < 1, "1 or more"},
		{"session-idle", e.SessionIdle, e.SessionIdle < 0, "more than 0s"},
	}
}

// nodePatience is how long another node may take to be connected to.
const nodePatience = 10 * time.Second

// joinSessions makes the sessions. Image builders are asked, and may be made later.
// public is how clients reach the market.
func (m *market) joinSessions(config Config, node string, public *url.URL) error {
	id, err := m.folder.nodeID(node != "")
	if err != nil {
		return err
	}
	roots, err := config.authorities()
	if err != nil {
		return err
	}
	m.sessions, err = session.New(session.Config{
		Keys: m.ring, Node: id, URL: strings.TrimSuffix(public.String(), "/"),
		Locate: func(ctx context.Context, account, region, name string) (session.Place, error) {
			return locateBuilder(ctx, m.builders, id, account, region, name)
		},
		Enter: func(ctx context.Context, account, region, name string) (session.Machine, error) {
			return enterBuilder(ctx, m.builders, account, region, name)
		},
		// Nodes reach each other directly, whatever proxy leads out. One that has lost its
		// power answers nothing at all.
		Nodes: &http.Transport{
			DialContext: (&net.Dialer{Timeout: nodePatience}).DialContext, TLSHandshakeTimeout: nodePatience,
			TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		},
		PerAccount: config.Sessions, PerBuilder: config.BuilderSessions, Idle: config.SessionIdle, Drain: config.Drain, Log: config.Log,
	})
	return err
}

// locateBuilder says which node has the machine of an image builder: it is this
// one if the machine can be entered.
func locateBuilder(ctx context.Context, b *builder.Builders, node, account, region, name string) (session.Place, error) {
	s, err := b.Enter(ctx, account, region, name)
	var away *builder.Elsewhere
	if errors.As(err, &away) {
		return session.Place{Node: away.Node, URL: away.URL}, nil
	}
	if err != nil {
		return session.Place{}, err
	}
	s.Close()
	return session.Place{Node: node}, nil
}

// enterBuilder enters the machine of an image builder of this node. What the
// caller may know of its errors is a *session.Failure.
func enterBuilder(ctx context.Context, b *builder.Builders, account, region, name string) (session.Machine, error) {
	s, err := b.Enter(ctx, account, region, name)
	var away *builder.Elsewhere
	var told *apierror.Error
	switch {
	case errors.As(err, &away):
		return nil, &session.Failure{Code: session.CodeMachine, Message: "the image builder " + name + " was started on another node meanwhile: try again"}
	case errors.As(err, &told):
		return nil, &session.Failure{Code: session.CodeMachine, Message: told.Message}
	case err != nil:
		return nil, err
	}
	return entered{s, name}, nil
}

// entered is the machine of an image builder with somebody in it.
type entered struct {
	*builder.Session
	name string
}

// Exec implements session.Machine: a machine that ends under a program is no fault
// of ours.
func (e entered) Exec(ctx context.Context, c machine.Cmd) (machine.Exit, error) {
	exit, err := e.Session.Exec(ctx, c)
	if errors.Is(err, agent.ErrGone) || errors.Is(err, machine.ErrState) || errors.Is(err, machine.ErrNotFound) || errors.Is(err, machine.ErrNoAgent) {
		return exit, &session.Failure{Code: session.CodeMachine, Message: "the machine of image builder " + e.name + " has stopped, and with it what ran there"}
	}
	return exit, err
}

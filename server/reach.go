package server

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"souk/server/control"
	"souk/storage/store/postgres"
)

// Reach finds the market of a place for a command: through the socket of the
// server that runs on its data folder, or, where none runs, by opening the
// market in this process. Call close when done.
//
// The error is a *NoMarketError where there is none, and an *InUseError where
// the folder is in use by a process that has no socket (yet).
func Reach(ctx context.Context, place Place) (caller control.Caller, close func() error, err error) {
	config, err := Config{Place: place}.filled()
	if err != nil {
		return nil, nil, err
	}
	client, err := control.Dial(ctx, config.Data)
	if err == nil {
		return client, func() error { return nil }, nil
	}
	if !errors.Is(err, control.ErrNoServer) {
		return nil, nil, err
	}
	err = config.forgotten()
	if err == nil {
		err = config.exists()
	}
	if err != nil {
		return nil, nil, err
	}
	f, err := openFolder(config.Data)
	if err != nil {
		return nil, nil, err
	}
	m, err := openMarket(ctx, f, config, false)
	if err != nil {
		return nil, nil, err
	}
	url := lastURL(config)
	err = m.organization.Check(ctx)
	if err == nil {
		err = m.join(ctx, config, url, "", nil)
	}
	if err != nil {
		return nil, nil, errors.Join(postgres.Explained(err), m.close())
	}
	return m.door(url.String()), func() error {
		// Records of what was refused wait in memory; nothing else stores them here.
		return errors.Join(m.trail.Flush(context.WithoutCancel(ctx)), m.close())
	}, nil
}

// lastURL is how the market was reached when a server last ran on it.
func lastURL(config Config) *url.URL {
	text := config.PublicURL
	b, err := os.ReadFile(filepath.Join(config.Data, endpointFile))
	if err == nil {
		text = strings.TrimSpace(string(b))
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		u = &url.URL{Scheme: "http", Host: defaultListen}
	}
	return u
}

// door is what a market offers to the commands of its own machine. public is how
// clients reach it.
func (m *market) door(public string) *control.Door {
	d := control.NewDoor()
	d.Explain = postgres.Explained
	d.Record = m.record
	control.OfferDirectory(d, m.organization)
	control.OfferAdvisories(d, m.advisories)
	control.Offer(d, "doctor", m.verify)
	control.Offer(d, "gc", m.sweep)
	m.offerScenario(d)
	m.offerQuotas(d, public)
	m.offerTopics(d)
	m.offerKeyring(d)
	return d
}

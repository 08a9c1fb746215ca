package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"souk/conformance/seller"
	"souk/conformance/souktest"
)

// market is a souk serve under measurement.
type market struct {
	*souktest.Server
	folder   string
	database string // "" is SQLite in the folder
}

// newMarket prepares a market in a new folder of the bench. It is not started. If
// it runs when the bench ends it is stopped then.
func (b *bench) newMarket(name, database string) (*market, error) {
	folder := filepath.Join(b.folder, name)
	err := os.Mkdir(folder, 0o700)
	if err != nil {
		return nil, fmt.Errorf("making a folder: %w", err)
	}
	s, err := souktest.Prepare(souktest.Options{Dir: folder, Database: database, Flags: []string{"--log-level", "warn"}})
	if err != nil {
		return nil, err
	}
	m := &market{Server: s, folder: folder, database: database}
	b.made = append(b.made, m)
	return m, nil
}

// shut ends a market that has been measured; how it ends is no measurement.
func (m *market) shut() { _ = m.Stop() }

// start starts it and returns how long it took until it was ready.
func (m *market) start() (time.Duration, error) {
	started := time.Now()
	err := m.Run()
	took := time.Since(started)
	if err != nil {
		return 0, fmt.Errorf("starting souk: %w\n%s", err, m.Log())
	}
	return took, nil
}

// startUp starts and stops a market several times and returns the median time
// until it was ready. It is running afterwards.
func (m *market) startUp(times int) (time.Duration, error) {
	var all []time.Duration
	for i := range times {
		took, err := m.start()
		if err != nil {
			return 0, err
		}
		all = append(all, took)
		if i < times-1 {
			err = m.Stop()
			if err != nil {
				return 0, err
			}
		}
	}
	slices.Sort(all)
	return all[len(all)/2], nil
}

// root is the seller with the market's first key.
func (m *market) root() (*seller.Seller, error) {
	k, err := m.RootKey()
	if err != nil {
		return nil, fmt.Errorf("reading the first key: %w", err)
	}
	return k.Seller(m.Server), nil
}

// signed is a whole HTTP/1.1 request as bytes, signed now.
func signed(ctx context.Context, s *seller.Seller, method, target, body string) ([]byte, error) {
	r, err := s.Request(ctx, method, target, body)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, target, s.Host())
	for _, name := range []string{"Content-Type", "X-Amz-Date", "Authorization", "X-Amz-Content-Sha256"} {
		if v := r.Header.Get(name); v != "" {
			fmt.Fprintf(&b, "%s: %s\r\n", name, v)
		}
	}
	if method == "POST" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n" + body)
	return []byte(b.String()), nil
}

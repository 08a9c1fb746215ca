package server

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"time"

	"souk/artifact/logo"
	"souk/egress/fetch"
)

// newFetcher makes what goes where users' addresses lead, but not to the market
// itself.
func newFetcher(ctx context.Context, config Config, public *url.URL) (*fetch.Fetcher, error) {
	roots, err := config.authorities()
	if err != nil {
		return nil, err
	}
	return fetch.New(fetch.Config{
		Allow: config.FetchAllow, Own: ownAddresses(ctx, config, public), RootCAs: roots, MaxBytes: logo.MaxBytes,
	}), nil
}

// authorities are those of the system and of --fetch-ca; nil for the system's alone.
func (c Config) authorities() (*x509.CertPool, error) {
	if c.FetchCA == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(c.FetchCA)
	if err != nil {
		return nil, fmt.Errorf("reading certificate authorities: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("reading the system's certificate authorities: %w", err)
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, &SettingError{Setting: "fetch-ca", Text: c.FetchCA + " holds no certificate in PEM form"}
	}
	return roots, nil
}

// resolveTime is how long a start waits for the name system.
const resolveTime = 2 * time.Second

// ownAddresses are those that lead to the market: what it listens on (all
// addresses of the machine, where it listens on all) and what its public name
// means. A name that can't be resolved has none.
func ownAddresses(ctx context.Context, config Config, public *url.URL) []netip.Addr {
	ctx, cancel := context.WithTimeout(ctx, resolveTime)
	defer cancel()
	var own []netip.Addr
	for _, address := range []string{config.Listen, config.AdminListen} {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			continue // off
		}
		own = append(own, addressesOf(ctx, host)...)
	}
	found := addressesOf(ctx, public.Hostname())
	if len(found) == 0 {
		config.Log.Warn("our own public name has no address: logos are fetched from it as from any other", "name", public.Hostname())
	}
	return append(own, found...)
}

// addressesOf returns the addresses of a host that is listened on.
func addressesOf(ctx context.Context, host string) []netip.Addr {
	a, err := netip.ParseAddr(host)
	if host != "" && (err != nil || !a.IsUnspecified()) {
		if err == nil {
			return []netip.Addr{a}
		}
		found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		if err != nil {
			return nil // said by the caller where it matters
		}
		return found
	}
	interfaces, err := net.InterfaceAddrs()
	if err != nil {
		return nil // then no address of ours is known, and none is closed beside the private ones
	}
	var all []netip.Addr
	for _, i := range interfaces {
		if p, err := netip.ParsePrefix(i.String()); err == nil {
			all = append(all, p.Addr())
		}
	}
	return all
}

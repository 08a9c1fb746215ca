package server

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"testing"

	"souk/egress/fetch"
)

func TestOwnAddressesAreWhatLeadsToTheMarket(t *testing.T) {
	t.Parallel()
	var all []netip.Addr
	interfaces, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range interfaces {
		all = append(all, netip.MustParsePrefix(i.String()).Addr())
	}
	for _, c := range []struct {
		listen, admin, public string
		want                  []string
	}{
		{"93.184.216.34:443", "off", "https://93.184.216.35", []string{"93.184.216.34", "93.184.216.35"}},
		{"93.184.216.34:443", "93.184.216.36:8471", "https://[2606:4700::7]:8443", []string{"93.184.216.34", "93.184.216.36", "2606:4700::7"}},
		{"0.0.0.0:443", "off", "https://93.184.216.34", append(texts(all), "93.184.216.34")},
		{":443", "off", "https://93.184.216.34", append(texts(all), "93.184.216.34")},
	} {
		public, err := url.Parse(c.public)
		if err != nil {
			t.Fatal(err)
		}
		got := texts(ownAddresses(t.Context(), Config{Listen: c.listen, AdminListen: c.admin, Log: slog.New(slog.DiscardHandler)}, public))
		if !slices.Equal(got, c.want) {
			t.Errorf("%s, %s, %s: got %v, want %v", c.listen, c.admin, c.public, got, c.want)
		}
	}
}

func TestTheMarketItselfIsNotFetchedFrom(t *testing.T) {
	t.Parallel()
	public := &url.URL{Scheme: "http", Host: "93.184.216.34:8470"}
	config, err := Config{Listen: "93.184.216.35:8470", Insecure: true}.filled()
	if err != nil {
		t.Fatal(err)
	}
	fetcher, err := newFetcher(t.Context(), config, public)
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"http://93.184.216.34:8470/x", "http://93.184.216.35:8471/x"} {
		if _, err := fetcher.Get(t.Context(), address); !errors.Is(err, fetch.ErrRefused) {
			t.Errorf("%s: got %v, want a refusal", address, err)
		}
	}
}

func texts(addresses []netip.Addr) []string {
	var all []string
	for _, a := range addresses {
		all = append(all, a.String())
	}
	return all
}

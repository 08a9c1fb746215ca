package sandbox

import (
	"net/netip"
	"path/filepath"
	"testing"

	"souk/artifact/layer"
	"souk/artifact/machine"
	"souk/artifact/machine/machinetest"
	"souk/egress/fetch"
	"souk/egress/proxy"
)

func TestSandboxIsAProviderThatHolds(t *testing.T) {
	binary := machinetest.Build(t, "./testdata/agent")
	machinetest.Run(t, func(t *testing.T, dir string) machine.Provider {
		shift, rootless := Layers(0)
		cache, err := layer.New(layer.Config{Root: filepath.Join(dir, "layers"), Shift: shift, Rootless: rootless})
		if err != nil {
			t.Fatal(err)
		}
		p, err := New(Config{Root: filepath.Join(dir, "machines"), Binary: binary, Cache: cache, Proxy: proxy.New(proxy.Config{
			Dialer: fetch.New(fetch.Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}}),
		})})
		if err != nil {
			t.Fatal(err)
		}
		return closing{p, cache}
	})
}

// closing closes the cache with the provider.
type closing struct {
	*Sandbox
	cache *layer.Cache
}

func (c closing) Close() error {
	err := c.Sandbox.Close()
	if err2 := c.cache.Close(); err == nil {
		err = err2
	}
	return err
}

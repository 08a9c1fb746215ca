package sandbox

import (
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"souk/artifact/layer"
	"souk/artifact/machine"
	"souk/artifact/machine/machinetest"
	"souk/egress/fetch"
	"souk/egress/proxy"
)

// agentProgram is the package of a program that is nothing but a machine's first process.
const agentProgram = "souk/artifact/machine/sandbox/testdata/agent"

func TestSandboxIsAProviderThatHolds(t *testing.T) {
	holds(t)
}

func TestSandboxOfAnOrdinaryUserIsAProviderThatHolds(t *testing.T) {
	machinetest.AsOrdinary(t, func(t *testing.T) {
		reason := noNamespaces()
		if reason == nil {
			holds(t)
			return
		}
		_, err := provider(t, folder(t), machinetest.Build(t, agentProgram), nil).Probe(t.Context())
		if !errors.Is(err, machine.ErrUnsupported) || err.Error() == machine.ErrUnsupported.Error() {
			t.Errorf("this host lets ordinary users make no machines (%v), and Probe says %v; want ErrUnsupported and a reason", reason, err)
		}
		t.Log(err)
	}, agentProgram)
}

// noNamespaces is why this user can have no machines: a namespace of users in which
// one may mount.
func noNamespaces() error {
	c := exec.Command("busybox", "mount", "-t", "tmpfs", "none", "/proc")
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}},
	}
	return c.Run()
}

// holds runs the suite.
func holds(t *testing.T) {
	binary := machinetest.Build(t, agentProgram)
	machinetest.Run(t, func(t *testing.T, dir string, door machinetest.Door) machine.Provider {
		return provider(t, dir, binary, door)
	})
}

// provider makes a provider on a folder. It may connect to 127.0.0.2.
func provider(t *testing.T, dir, binary string, door machinetest.Door) machine.Provider {
	shift, rootless := Layers(0)
	cache, err := layer.New(layer.Config{Root: filepath.Join(dir, "layers"), Shift: shift, Rootless: rootless})
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(Config{Root: filepath.Join(dir, "machines"), Binary: binary, Door: door, Cache: cache, Proxy: proxy.New(proxy.Config{
		Dialer: fetch.New(fetch.Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}}),
	})})
	if err != nil {
		t.Fatal(err)
	}
	return closing{p, cache}
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

package main

import (
	"testing"

	"souk/artifact/images"
)

func TestAPathIsToldByItsLastPart(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ source, kind, want string }{
		{"/home/me/customers:secret/rootfs.tar", images.RootFS, "rootfs.tar"},
		{"build:7/layout/", images.OCI, "layout"},
		{"registry.example.com:5000/base/debian:13", images.Remote, "registry.example.com:5000/base/debian:13"},
	} {
		if got := told(c.source, c.kind); got != c.want {
			t.Errorf("%s: the market is told %q, want %q", c.source, got, c.want)
		}
	}
}

package images

import (
	"errors"
	"strings"
	"testing"

	"souk/artifact/archive/archivetest"
)

// bare is an image whose config says nothing of its platform.
func bare(t *testing.T) *local {
	return altered(t, "", func(c map[string]any) { delete(c, "architecture"); delete(c, "os") }, nil, archivetest.Good())
}

func TestTheArchitectureThatIsAskedForWinsWhereTheImageSaysNone(t *testing.T) {
	t.Parallel()
	h := newHouse(t, onSQLite(t))
	for kind, source := range map[string]string{
		OCI:    layoutOf(t, bare(t)).folder(t),
		Docker: write(t, "saved.tar", savedOf(t, bare(t), archivetest.Good()).tar()),
	} {
		s, err := Open(t.Context(), source, Options{Architecture: ARM64, Temp: t.TempDir()})
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		defer s.Close()
		repository, digest := h.push(seller, s.Image)
		r := Registration{Account: sellerAccount, Name: "of " + kind, Repository: repository, Digest: digest, Architecture: s.Architecture}
		a, err := h.Register(t.Context(), r)
		if err != nil || a.Architecture != ARM64 {
			t.Errorf("%s: registered for %q, %v", kind, a.Architecture, err)
		}
		r.Name, r.Architecture = "of nobody knows", ""
		if _, err := h.Register(t.Context(), r); !errors.Is(err, ErrBadImage) || !strings.Contains(err.Error(), "which architecture") {
			t.Errorf("%s: registered without an architecture: %v", kind, err)
		}
		if err := open(t, source, Options{}); !errors.Is(err, ErrBadImage) || !strings.Contains(err.Error(), "which architecture") {
			t.Errorf("%s: read without an architecture: %v", kind, err)
		}
	}
}

func TestWhatIsNoRootFileSystemIsRefused(t *testing.T) {
	t.Parallel()
	for name, tar := range map[string][]byte{
		"an empty archive":        archivetest.Tar(),
		"an empty archive in xz":  archivetest.XZ(archivetest.Tar()),
		"a folder of text":        archivetest.Tar(archivetest.Dir("notes"), archivetest.File("notes/todo", "milk")),
		"a system taken away":     archivetest.Tar(archivetest.Dir("etc"), archivetest.File("etc/.wh.os-release", "")),
		"a system below a folder": archivetest.Tar(archivetest.File("rootfs/etc/os-release", debianRelease)),
	} {
		for kind, source := range map[string]string{
			RootFS: write(t, "r.tar", tar),
			OCI:    layoutOf(t, imageOf(t, "amd64", tar)).folder(t),
			Docker: write(t, "saved.tar", savedOf(t, imageOf(t, "amd64", tar), tar).tar()),
		} {
			err := open(t, source, Options{Architecture: X8664})
			if kind != RootFS && strings.Contains(name, "xz") {
				continue // its digest is made of what gzip gives
			}
			if !errors.Is(err, ErrBadImage) || !strings.Contains(err.Error(), "etc/os-release") {
				t.Errorf("%s as %s: %v, want a refusal that names etc/os-release", name, kind, err)
			}
		}
	}
}

package images

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"souk/artifact/archive"
	"souk/artifact/archive/archivetest"
	"souk/artifact/registry"
	"souk/catalog/change"
	"souk/storage/store"
)

func TestAnAMIFromItsPushToItsEnd(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(*testing.T) store.Store{"sqlite": onSQLite, "postgres": onPostgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, open(t))
			ctx := t.Context()
			a := h.register(seller, "web 1.0", func(r *Registration) { r.Source, r.Description = "rootfs.tar", "a web server" })
			want := AMI{
				ID: a.ID, Owner: sellerAccount, Name: "web 1.0", Description: "a web server", Architecture: X8664, VirtualizationType: HVM,
				RootDeviceType: EBS, EnaSupport: true, Platform: "Debian GNU/Linux 13",
				OS:    OSRelease{ID: "debian", VersionID: "13", Name: "Debian GNU/Linux", Pretty: "Debian GNU/Linux 13 (trixie)"},
				State: StateAvailable, Created: theTime.Truncate(1e6), Source: "rootfs.tar", Repository: "acme/ami",
				Digest: a.Digest, Size: a.Size, Unpacked: 9 * 512,
			}
			if d := cmp.Diff(want, a); d != "" {
				t.Error("registered (-want +got):\n", d)
			}
			if !idPattern.MatchString(a.ID) {
				t.Errorf("id %q", a.ID)
			}
			if a.CreationDate() != "2026-03-01T12:00:00.123Z" {
				t.Errorf("created %s", a.CreationDate())
			}
			got, err := h.Find(ctx, sellerAccount, a.ID)
			if d := cmp.Diff(want, got); err != nil || d != "" {
				t.Error(err, d)
			}
			if _, err := h.Find(ctx, otherAccount, a.ID); !errors.Is(err, ErrNotFound) {
				t.Errorf("another account finds it: %v", err)
			}
			_, err = h.Register(ctx, Registration{Account: sellerAccount, Name: "web 1.0", Repository: a.Repository, Digest: a.Digest})
			if !errors.Is(err, ErrNameTaken) {
				t.Errorf("second of the name: %v", err)
			}

			// Shared, then public, then neither.
			a, err = h.Modify(ctx, Modification{Account: sellerAccount, ID: a.ID, Share: []string{otherAccount, otherAccount, sellerAccount}})
			if err != nil || !slices.Equal(a.SharedWith, []string{otherAccount}) {
				t.Errorf("shared with %v, %v", a.SharedWith, err)
			}
			for account, want := range map[string]int{sellerAccount: 1, otherAccount: 1, thirdAccount: 0} {
				p, err := h.List(ctx, Query{Account: account})
				if err != nil || len(p.Images) != want {
					t.Errorf("%s lists %d, %v, want %d", account, len(p.Images), err, want)
				}
			}
			if _, err := h.Modify(ctx, Modification{Account: otherAccount, ID: a.ID}); !errors.Is(err, ErrNotOwner) {
				t.Errorf("changed by another: %v", err)
			}
			public, text := true, "better"
			a, err = h.Modify(ctx, Modification{Account: sellerAccount, ID: a.ID, Public: &public, Description: &text, Unshare: []string{otherAccount}})
			if err != nil || !a.Public || a.Description != text || len(a.SharedWith) != 0 {
				t.Errorf("%+v, %v", a, err)
			}
			if p, err := h.List(ctx, Query{Account: thirdAccount, ExecutableUsers: []string{"all"}}); err != nil || len(p.Images) != 1 {
				t.Errorf("everybody lists %d, %v", len(p.Images), err)
			}

			used := "version 1.0 of prod-aaaaaaaaaaaaa"
			h.inUse.Store(&used)
			if err := h.Deregister(ctx, sellerAccount, a.ID); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), used) {
				t.Errorf("deregistered while in use: %v", err)
			}
			h.inUse.Store(new(string))
			if err := h.Deregister(ctx, otherAccount, a.ID); !errors.Is(err, ErrNotOwner) {
				t.Errorf("deregistered by another: %v", err)
			}
			if _, err := remote.Head(h.ref("acme/ami:"+a.ID), as(sellerAccount)); err != nil {
				t.Error("its tag is not there: ", err)
			}
			if err := h.Deregister(ctx, sellerAccount, a.ID); err != nil {
				t.Fatal(err)
			}
			if _, err := h.Find(ctx, sellerAccount, a.ID); !errors.Is(err, ErrNotFound) {
				t.Errorf("still there: %v", err)
			}
			if _, err := remote.Head(h.ref("acme/ami:"+a.ID), as(sellerAccount)); err == nil {
				t.Error("its tag is still there")
			}
			h.register(seller, "web 1.0") // the name is free again
		})
	}
}

func TestARegistrationIsRefusedForWhatItSays(t *testing.T) {
	t.Parallel()
	h := newHouse(t, onSQLite(t))
	repository, digest := h.push(seller, h.debian())
	other, _ := h.push(change.Seller{Account: otherAccount, Namespace: "other"}, h.debian())
	for _, test := range []struct {
		name  string
		edit  func(*Registration)
		field string // of Invalid
		err   error
	}{
		{"no account", func(r *Registration) { r.Account = "acme" }, "Account", nil},
		{"name too short", func(r *Registration) { r.Name = "ab" }, "Name", nil},
		{"name too long", func(r *Registration) { r.Name = strings.Repeat("n", 129) }, "Name", nil},
		{"name with a character that EC2 has not", func(r *Registration) { r.Name = "web:1.0" }, "Name", nil},
		{"another kind of repository", func(r *Registration) { r.Repository = "acme/web" }, "Repository", nil},
		{"no digest", func(r *Registration) { r.Digest = "latest" }, "Digest", nil},
		{"architecture of OCI", func(r *Registration) { r.Architecture = "amd64" }, "Architecture", nil},
		{"unknown virtualization", func(r *Registration) { r.VirtualizationType = "kvm" }, "VirtualizationType", nil},
		{"unknown root device", func(r *Registration) { r.RootDeviceType = "nvme" }, "RootDeviceType", nil},
		{"product code with a space", func(r *Registration) { r.ProductCodes = []string{"a b"} }, "ProductCodes", nil},
		{"too many product codes", func(r *Registration) { r.ProductCodes = slices.Repeat([]string{"a"}, 26) }, "ProductCodes", nil},
		{"description too long", func(r *Registration) { r.Description = strings.Repeat("ä", 256) }, "Description", nil},
		{"source too long", func(r *Registration) { r.Source = strings.Repeat("s", 1001) }, "Source", nil},
		{"digest that is not there", func(r *Registration) { r.Digest = "sha256:" + strings.Repeat("0", 64) }, "", ErrNoImage},
		{"repository that is not there", func(r *Registration) { r.Repository = "nobody/ami" }, "", ErrNoImage},
		{"repository of another account", func(r *Registration) { r.Repository = other }, "", ErrNoImage},
		{"another architecture than the image", func(r *Registration) { r.Architecture = ARM64 }, "", ErrBadImage},
	} {
		r := Registration{Account: sellerAccount, Name: "web", Repository: repository, Digest: digest}
		test.edit(&r)
		_, err := h.Register(t.Context(), r)
		var invalid *Invalid
		switch {
		case test.field != "" && (!errors.As(err, &invalid) || invalid.Field != test.field):
			t.Errorf("%s: got %v, want %s refused", test.name, err, test.field)
		case test.err != nil && !errors.Is(err, test.err):
			t.Errorf("%s: got %v, want %v", test.name, err, test.err)
		}
	}
	if p, err := h.List(t.Context(), Query{Account: sellerAccount}); err != nil || len(p.Images) != 0 {
		t.Errorf("%d AMIs, %v, want none", len(p.Images), err)
	}
}

// TestImagesWithHostileLayersBecomeNoAMIs pushes each hostile archive as a layer.
func TestImagesWithHostileLayersBecomeNoAMIs(t *testing.T) {
	t.Parallel()
	h := newHouse(t, onSQLite(t))
	n := 0
	for _, s := range archivetest.Samples() {
		if s.Limits != (archive.Limits{}) {
			continue // the house has its own
		}
		n++
		image := imageOf(t, "amd64", archivetest.Good(), s.Bytes)
		repository, digest := h.push(seller, v1Image(t, image))
		_, err := h.Register(t.Context(), Registration{Account: sellerAccount, Name: "sample " + s.Name, Repository: repository, Digest: digest})
		var r *archive.Refusal
		if !errors.Is(err, ErrBadImage) || !errors.As(err, &r) || r.Reason != s.Reason || r.Entry != s.Entry {
			t.Errorf("%s: got %v, want %q refused for %q", s.Name, err, s.Entry, s.Reason)
		} else if !strings.Contains(err.Error(), "layer 2") {
			t.Errorf("%s: %v does not say which layer", s.Name, err)
		}
	}
	if n < 40 {
		t.Errorf("%d samples, want 40 or more", n)
	}
}

func TestImagesThatAreNotWhatTheySayBecomeNoAMIs(t *testing.T) {
	t.Parallel()
	h := newHouse(t, onSQLite(t))
	h.config.Limits.Layers = 3
	good := archivetest.Gzip(archivetest.Good())
	for _, test := range []struct {
		name, want string
		image      *local
	}{
		{"other content than the config says", "the config says", altered(t, "amd64", func(c map[string]any) {
			c["rootfs"].(map[string]any)["diff_ids"] = []string{"sha256:" + strings.Repeat("0", 64)}
		}, nil, good)},
		{"fewer layers in the config", "the config names 0 layers, the manifest 1", altered(t, "amd64", func(c map[string]any) { delete(c, "rootfs") }, nil, good)},
		{"for windows", "windows/amd64", altered(t, "amd64", func(c map[string]any) { c["os"] = "windows" }, nil, good)},
		{"for riscv", "linux/riscv64", imageOf(t, "riscv64", good)},
		{"more layers than can be stacked", "at most 3", imageOf(t, "amd64", good, good, good, good)},
		{"a layer that is no archive", "media type", altered(t, "amd64", nil, func(m map[string]any) {
			m["layers"].([]any)[0].(map[string]any)["mediaType"] = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
		}, good)},
		{"no file system at all", "its config has the media type", altered(t, "amd64", nil, func(m map[string]any) {
			m["config"].(map[string]any)["mediaType"] = "application/vnd.cncf.helm.config.v1+json"
		}, good)},
	} {
		repository, digest := h.push(seller, v1Image(t, test.image))
		_, err := h.Register(t.Context(), Registration{Account: sellerAccount, Name: test.name, Repository: repository, Digest: digest})
		if !errors.Is(err, ErrBadImage) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
}

// TestAPublishedAMIStaysWhenItsSellerDeletesTheImage is the port of change types.
func TestAPublishedAMIStaysWhenItsSellerDeletesTheImage(t *testing.T) {
	t.Parallel()
	h := newHouse(t, onSQLite(t))
	ctx := t.Context()
	const product = "prod-aaaaaaaaaaaaa"
	a := h.register(seller, "web 1.0", func(r *Registration) { r.ProductCodes = []string{"abc"} })
	port := h.AMIs()
	got, err := port.Find(ctx, seller, a.ID)
	want := change.AMI{
		ID: a.ID, Name: "web 1.0", Owner: sellerAccount, Digest: a.Digest, Architecture: X8664, VirtualizationType: HVM,
		RootDeviceType: EBS, EnaSupport: true, Platform: "Debian GNU/Linux 13", ProductCodes: []string{"abc"},
	}
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Fatal(err, d)
	}
	for _, id := range []string{"ami-00000000000000000", "ami-12345678", "nothing", a.ID + "/../x"} {
		if _, err := port.Find(ctx, seller, id); !errors.Is(err, change.ErrAMINotFound) {
			t.Errorf("%s: %v", id, err)
		}
	}
	if _, err := port.Find(ctx, change.Seller{Account: otherAccount}, a.ID); !errors.Is(err, change.ErrAMINotFound) {
		t.Errorf("another account finds it: %v", err)
	}
	for range 2 {
		if err := port.Publish(ctx, product, got); err != nil {
			t.Fatal(err)
		}
	}
	for _, ref := range []string{"acme/ami@" + a.Digest} {
		if err := remote.Delete(h.ref(ref), as(sellerAccount)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := port.Find(ctx, seller, a.ID); !errors.Is(err, change.ErrAMIUnreadable) {
		t.Errorf("found without its image: %v", err)
	}
	if err := port.Publish(ctx, "prod-bbbbbbbbbbbbb", got); !errors.Is(err, change.ErrAMIUnreadable) {
		t.Errorf("published without its image: %v", err)
	}
	// As a redo does it.
	if err := port.Publish(ctx, product, got); err != nil {
		t.Error(err)
	}
	layers, err := h.Layers(ctx, PublishedRepository(product), a.Digest)
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers, %v", len(layers), err)
	}
	r, done, err := layers[0].Archive(ctx, archive.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	if first, err := r.Next(); err != nil || first.Name != "etc" {
		t.Errorf("%+v, %v", first, err)
	}
	// The seller can't reach what was published.
	_, err = remote.Head(h.ref(PublishedRepository(product)+"@"+a.Digest), as(sellerAccount))
	if err == nil {
		t.Error("the seller reads what was published")
	}
	if err := h.Deregister(ctx, sellerAccount, a.ID); err != nil {
		t.Fatal(err)
	}
	if err := port.Publish(ctx, product, got); err != nil {
		t.Error("a redo after its record went: ", err)
	}
	if err := port.Publish(ctx, "prod-bbbbbbbbbbbbb", got); !errors.Is(err, change.ErrAMINotFound) {
		t.Errorf("published without a record: %v", err)
	}
}

func TestTheTagOfAnAMICannotBePushedAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t, onSQLite(t))
	a := h.register(seller, "web 1.0")
	err := remote.Write(h.ref("acme/ami:"+a.ID), v1Image(t, imageOf(t, "amd64", archivetest.Good())), as(sellerAccount))
	if err == nil {
		t.Error("pushed over an AMI")
	}
}

func TestTheRepositoryOfAnotherAccountIsNotTaken(t *testing.T) {
	t.Parallel()
	h := newHouse(t, onSQLite(t))
	if _, err := h.Repository(t.Context(), seller); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Repository(t.Context(), change.Seller{Account: otherAccount, Namespace: "acme"}); !errors.Is(err, ErrNoImage) {
		t.Errorf("got %v", err)
	}
}

// brokenRegistry can tag nothing.
type brokenRegistry struct {
	*registry.Registry
	err error
}

func (b brokenRegistry) Tag(context.Context, string, string, string) error { return b.err }

func TestAFailureOfTheRegistryIsNoRefusal(t *testing.T) {
	t.Parallel()
	h := newHouse(t, onSQLite(t))
	repository, digest := h.push(seller, h.debian())
	broken := errors.New("disk is full")
	h.config.Registry = brokenRegistry{h.registry.Registry, broken}
	_, err := h.Register(t.Context(), Registration{Account: sellerAccount, Name: "web", Repository: repository, Digest: digest})
	if !errors.Is(err, broken) || errors.Is(err, ErrBadImage) || errors.Is(err, ErrNoImage) {
		t.Errorf("got %v", err)
	}
	if p, err := h.List(t.Context(), Query{Account: sellerAccount}); err != nil || len(p.Images) != 0 {
		t.Errorf("%d AMIs, %v", len(p.Images), err)
	}
}

func TestAnAMIWhoseTagItsOwnerDeletedIsDeregistered(t *testing.T) {
	t.Parallel()
	h := newHouse(t, onSQLite(t))
	a := h.register(seller, "web 1.0")
	if err := remote.Delete(h.ref("acme/ami:"+a.ID), as(sellerAccount)); err != nil {
		t.Fatal(err)
	}
	if err := h.Deregister(t.Context(), sellerAccount, a.ID); err != nil {
		t.Error(err)
	}
}

func TestACallThatIsGivenUpEnds(t *testing.T) {
	t.Parallel()
	h := newHouse(t, onSQLite(t))
	repository, digest := h.push(seller, h.debian())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := h.Register(ctx, Registration{Account: sellerAccount, Name: "web", Repository: repository, Digest: digest})
	if !errors.Is(err, context.Canceled) || errors.Is(err, ErrBadImage) {
		t.Errorf("registered: %v", err)
	}
	_, err = Open(ctx, write(t, "r.tar", rootFS(forX86)), Options{Temp: t.TempDir()})
	if !errors.Is(err, context.Canceled) || errors.Is(err, ErrBadImage) {
		t.Errorf("opened: %v", err)
	}
}

func TestOfAnIndexTheImageOfTheArchitectureIsRegistered(t *testing.T) {
	t.Parallel()
	h := newHouse(t, onSQLite(t))
	one, two := v1Image(t, imageOf(t, "amd64", rootFS(forX86))), v1Image(t, imageOf(t, "arm64", rootFS(forARM)))
	repository, digest := h.push(seller, mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: one}, mutate.IndexAddendum{Add: two}))
	r := Registration{Account: sellerAccount, Name: "web", Repository: repository, Digest: digest}
	var invalid *Invalid
	if _, err := h.Register(t.Context(), r); !errors.As(err, &invalid) || invalid.Field != "Architecture" {
		t.Errorf("without an architecture: %v", err)
	}
	r.Architecture = ARM64
	a, err := h.Register(t.Context(), r)
	want, _ := two.Digest()
	if err != nil || a.Architecture != ARM64 || a.Digest != want.String() {
		t.Errorf("%+v, %v, want %s", a, err, want)
	}
	all, err := h.Images.Images(t.Context(), repository, digest)
	if err != nil || len(all) != 2 || all[0].Architecture != "amd64" || len(all[1].Layers) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
	if _, err := h.Layers(t.Context(), repository, digest); !errors.Is(err, ErrBadImage) {
		t.Errorf("layers of an index: %v", err)
	}
	if _, err := h.Layers(t.Context(), repository, "sha256:"+strings.Repeat("0", 64)); !errors.Is(err, ErrNoImage) {
		t.Errorf("layers of nothing: %v", err)
	}
}

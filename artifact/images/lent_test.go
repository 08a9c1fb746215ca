package images

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"souk/artifact/archive/archivetest"
	"souk/artifact/registry"
)

func TestWhoMayUseAnAMIMayExportItAndNothingElse(t *testing.T) {
	t.Parallel()
	h := newHouse(t, onSQLite(t))
	a := h.register(seller, "lent")
	_, secretDigest := h.push(seller, v1Image(t, imageOf(t, "amd64", archivetest.Gzip(archivetest.Good()))))
	secretImage := h.ref(a.Repository + "@" + secretDigest)
	image := h.ref(a.Repository + "@" + a.Digest)
	pull := func(account string) error {
		got, err := remote.Image(image, as(account))
		if err == nil {
			err = validate.Image(got)
		}
		return err
	}
	if err := pull(otherAccount); err == nil {
		t.Error("read before it was shared")
	}
	yes, no := true, false
	for _, step := range []struct {
		name         string
		to           Modification
		other, third bool
	}{
		{"shared", Modification{Share: []string{otherAccount}}, true, false},
		{"public", Modification{Public: &yes, Unshare: []string{otherAccount}}, true, true},
		{"private again", Modification{Public: &no}, false, false},
	} {
		step.to.Account, step.to.ID = sellerAccount, a.ID
		if _, err := h.Modify(t.Context(), step.to); err != nil {
			t.Fatal(err)
		}
		for account, want := range map[string]bool{sellerAccount: true, otherAccount: step.other, thirdAccount: step.third} {
			if err := pull(account); (err == nil) != want {
				t.Errorf("%s: %s reads it: %v, want %v", step.name, account, err, want)
			}
			if _, err := remote.Image(h.ref(a.Repository+":"+a.ID), as(account)); (err == nil) != want {
				t.Errorf("%s: %s reads it by its tag: %v, want %v", step.name, account, err, want)
			}
			if account == sellerAccount {
				continue
			}
			if _, err := remote.Image(secretImage, as(account)); err == nil {
				t.Errorf("%s: %s reads another image of the repository", step.name, account)
			}
			if _, err := remote.List(image.Context(), as(account)); err == nil {
				t.Errorf("%s: %s lists the repository", step.name, account)
			}
			if err := remote.Write(h.ref(a.Repository+":mine"), h.debian(), as(account)); err == nil {
				t.Errorf("%s: %s writes to the repository", step.name, account)
			}
			if err := remote.Delete(image, as(account)); err == nil {
				t.Errorf("%s: %s deletes it", step.name, account)
			}
		}
	}
}

func TestATagWithoutARecordIsFoundAndRemovedAfterADay(t *testing.T) {
	t.Parallel()
	h := newHouse(t, onSQLite(t))
	kept := h.register(seller, "kept")
	const lost = "ami-0123456789abcdef0"
	repository, digest := h.push(seller, v1Image(t, imageOf(t, "amd64", archivetest.Gzip(archivetest.Good()))))
	if err := h.registry.Tag(t.Context(), repository, lost, digest); err != nil {
		t.Fatal(err)
	}
	if err := h.registry.Untag(t.Context(), repository, "latest"); err != nil {
		t.Fatal(err)
	}
	collect := func() {
		t.Helper()
		_, err := h.registry.Collect(t.Context(), registry.Sweep{Untagged: func(registry.Repository) bool { return true }, Stale: h.Lost})
		if err != nil {
			t.Fatal(err)
		}
	}
	wrong := func() string {
		t.Helper()
		findings, err := h.Doctor(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(findings, "\n")
	}
	there := func() bool {
		_, _, err := h.registry.Manifest(t.Context(), repository, digest)
		return err == nil
	}
	h.config.Now = time.Now
	// An import that is under way has written its tag a moment ago.
	collect()
	if got := wrong(); got != "" || !there() {
		t.Errorf("a fresh tag: %q, its image is there: %v", got, there())
	}
	old := time.Now().Add(-25 * time.Hour)
	err := filepath.WalkDir(h.root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return os.Chtimes(path, old, old)
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := wrong(); !strings.Contains(got, lost) || strings.Contains(got, kept.ID) {
		t.Errorf("an old tag: %q, want a finding with %s alone", got, lost)
	}
	collect()
	if got := wrong(); got != "" || there() {
		t.Errorf("after the sweep: %q, its image is there: %v", got, there())
	}
	if _, err := remote.Head(h.ref(repository+":"+kept.ID), as(sellerAccount)); err != nil {
		t.Errorf("the AMI's own tag is gone: %v", err)
	}
}

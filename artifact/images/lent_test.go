package images

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"souk/artifact/archive/archivetest"
	"souk/artifact/registry"
	"souk/catalog/change"
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
	err := filepath.WalkDir(h.registry.Root, func(path string, d os.DirEntry, err error) error {
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

// TestWhatAProductKeepsFromAnAccount shares two AMIs and makes one of them a
// product's that the account may not obtain.
func TestWhatAProductKeepsFromAnAccount(t *testing.T) {
	t.Parallel()
	h := newHouse(t, onSQLite(t))
	a, free := h.register(seller, "denied"), h.register(seller, "free", func(r *Registration) {
		_, r.Digest = h.push(seller, v1Image(t, imageOf(t, "amd64", archivetest.Gzip(archivetest.Good()))))
	})
	yes := true
	for _, id := range []string{a.ID, free.ID} {
		if _, err := h.Modify(t.Context(), Modification{Account: sellerAccount, ID: id, Public: &yes}); err != nil {
			t.Fatal(err)
		}
	}
	h.config.MayUse = func(_ context.Context, account string, ami AMI) (string, error) {
		if account == sellerAccount {
			t.Error("the owner is asked about")
		}
		if account == otherAccount && ami.ID == a.ID {
			return "the private marketplace denies product prod-x", nil
		}
		return "", nil
	}
	for account, want := range map[string]int{sellerAccount: 2, otherAccount: 1, thirdAccount: 2} {
		page, err := h.List(t.Context(), Query{Account: account})
		if err != nil || len(page.Images) != want {
			t.Errorf("account %s lists %d, %v, want %d", account, len(page.Images), err, want)
		}
		_, err = h.Find(t.Context(), account, a.ID)
		if denied := errors.Is(err, ErrDenied); denied != (want == 1) || denied && !strings.Contains(err.Error(), "denies product prod-x") {
			t.Errorf("account %s finds it: %v", account, err)
		}
		_, err = h.List(t.Context(), Query{Account: account, IDs: []string{a.ID}})
		if errors.Is(err, ErrDenied) != (want == 1) {
			t.Errorf("account %s lists it by its id: %v", account, err)
		}
		_, err = remote.Image(h.ref(a.Repository+"@"+a.Digest), as(account))
		if (err != nil) != (want == 1) || err != nil && !strings.Contains(err.Error(), "denies product prod-x") {
			t.Errorf("account %s reads it: %v", account, err)
		}
		if _, err := remote.Image(h.ref(free.Repository+"@"+free.Digest), as(account)); err != nil {
			t.Errorf("account %s reads the other one: %v", account, err)
		}
	}
	_, err := h.AMIs().Find(t.Context(), change.Seller{Account: otherAccount}, a.ID)
	if !errors.Is(err, change.ErrAMIUnreadable) || !strings.Contains(err.Error(), "denies product prod-x") {
		t.Errorf("as the source of a version: %v, want ErrAMIUnreadable with the reason", err)
	}
	// Another AMI of the same image that it may use lets it read the image.
	again := h.register(seller, "again", func(r *Registration) { r.Digest = a.Digest })
	if _, err := h.Modify(t.Context(), Modification{Account: sellerAccount, ID: again.ID, Public: &yes}); err != nil {
		t.Fatal(err)
	}
	if _, err := remote.Image(h.ref(a.Repository+"@"+a.Digest), as(otherAccount)); err != nil {
		t.Errorf("an image that another AMI lends: %v", err)
	}
}

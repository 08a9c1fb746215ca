package images

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"souk/artifact/archive/archivetest"
	"souk/catalog/change"
	"souk/storage/store"
	"souk/storage/worktest"
)

// later makes a house in which every image is read later.
func later(t *testing.T, s store.Store) *house {
	h := newHouse(t, s)
	h.config.AtOnce = 1
	return h
}

// settled waits until an AMI is no longer pending.
func (h *house) settled(id string) AMI {
	h.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		a, err := h.Find(h.t.Context(), sellerAccount, id)
		if err != nil {
			h.t.Fatal(err)
		}
		if a.State != StatePending {
			return a
		}
		select {
		case <-tick.C:
		case <-h.t.Context().Done():
			h.t.Fatal("it stays pending")
		}
	}
}

func TestALargeImageIsPendingUntilItIsRead(t *testing.T) {
	t.Parallel()
	for name, on := range map[string]func(*testing.T) store.Store{"sqlite": onSQLite, "postgres": onPostgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := later(t, on(t))
			ctx := t.Context()
			a := h.register(seller, "large")
			if a.State != StatePending || a.Size == 0 || a.Platform != "" {
				t.Errorf("registered as %+v, want pending", a)
			}
			// Nothing is made of it yet.
			text := "x"
			if _, err := h.Modify(ctx, Modification{Account: sellerAccount, ID: a.ID, Description: &text}); !errors.Is(err, ErrUnavailable) {
				t.Errorf("changed while pending: %v", err)
			}
			if _, err := h.AMIs().Find(ctx, seller, a.ID); !errors.Is(err, change.ErrAMIUnreadable) {
				t.Errorf("a product is made of it while pending: %v", err)
			}
			if p, err := h.List(ctx, Query{Account: sellerAccount, Filters: map[string][]string{"state": {"pending"}}}); err != nil || len(p.Images) != 1 {
				t.Errorf("listed as pending: %v, %v", p, err)
			}
			if wrong, err := h.Doctor(ctx); err != nil || len(wrong) > 0 {
				t.Errorf("doctor: %q, %v", wrong, err)
			}
			worktest.Run(t, h.Images.Run)
			got := h.settled(a.ID)
			if got.State != StateAvailable || got.Platform != "Debian GNU/Linux 13" || got.Unpacked != 9*512 || got.Tries != 0 || got.Read != 0 || got.StateReason != nil {
				t.Errorf("it became %+v", got)
			}
			if _, err := h.Modify(ctx, Modification{Account: sellerAccount, ID: a.ID, Description: &text}); err != nil {
				t.Error(err)
			}
			if wrong, err := h.Doctor(ctx); err != nil || len(wrong) > 0 {
				t.Errorf("doctor: %q, %v", wrong, err)
			}
		})
	}
}

func TestALargeImageThatIsRefusedFailsWithTheReason(t *testing.T) {
	t.Parallel()
	h := later(t, onSQLite(t))
	worktest.Run(t, h.Images.Run)
	for name, c := range map[string]struct {
		layer []byte
		want  string
	}{
		"hostile":             {archivetest.Tar(archivetest.File("/etc/passwd", "x")), `archive entry "/etc/passwd": absolute path`},
		"no root file system": {archivetest.Tar(archivetest.File("hello", "x")), "no root file system"},
	} {
		repository, digest := h.push(seller, v1Image(t, imageOf(t, "amd64", c.layer)))
		a, err := h.Register(t.Context(), Registration{Account: sellerAccount, Name: name, Repository: repository, Digest: digest})
		if err != nil {
			t.Fatal(err)
		}
		got := h.settled(a.ID)
		if got.State != StateFailed || got.StateReason == nil || got.StateReason.Code != "Client.InvalidManifest" || !strings.Contains(got.StateReason.Message, c.want) {
			t.Errorf("%s: it became %s for %+v, want failed for %q", name, got.State, got.StateReason, c.want)
		}
		if _, err := h.AMIs().Find(t.Context(), seller, a.ID); !errors.Is(err, change.ErrAMIUnreadable) {
			t.Errorf("%s: a product is made of it: %v", name, err)
		}
		if lent, err := h.Lent(t.Context(), sellerAccount, repository); err != nil || len(lent) > 0 {
			t.Errorf("%s: it is lent: %v, %v", name, lent, err)
		}
		if err := h.Deregister(t.Context(), sellerAccount, a.ID); err != nil {
			t.Errorf("%s: it can't be removed: %v", name, err)
		}
	}
}

// A node that dies while it reads leaves a lease; what another has done is kept.
func TestAnotherNodeReadsWhatADeadOneHasLeft(t *testing.T) {
	t.Parallel()
	s := onSQLite(t)
	h := later(t, s)
	a := h.register(seller, "orphan")
	claimed, err := s.Claim(t.Context(), KindAMI, 10, "node-dead", 300*time.Millisecond)
	if err != nil || len(claimed) != 1 {
		t.Fatalf("claimed %d, %v", len(claimed), err)
	}
	worktest.Run(t, h.Images.Run)
	if got := h.settled(a.ID); got.State != StateAvailable {
		t.Errorf("it became %+v", got)
	}
	// The dead node wakes up: it has lost the document.
	d := claimed[0]
	if err := s.Commit(t.Context(), store.Batch{Put: []store.Write{{Document: d, Was: d.Revision}}}); !errors.Is(err, store.ErrConflict) {
		t.Errorf("the dead node writes: %v", err)
	}
}

func TestAnAMIThatBringsEveryNodeDownIsGivenUp(t *testing.T) {
	t.Parallel()
	s := onSQLite(t)
	h := later(t, s)
	a := h.register(seller, "deadly")
	d, err := s.Get(t.Context(), store.Key{Kind: KindAMI, ID: a.ID})
	if err != nil {
		t.Fatal(err)
	}
	a.Tries = maxTries
	was := d.Revision
	due := d.Due
	d, err = a.document()
	if err != nil {
		t.Fatal(err)
	}
	d.Due = due
	if err := s.Commit(t.Context(), store.Batch{Put: []store.Write{{Document: d, Was: was}}}); err != nil {
		t.Fatal(err)
	}
	worktest.Run(t, h.Images.Run)
	if got := h.settled(a.ID); got.State != StateFailed || got.StateReason.Code != "Server.InternalError" {
		t.Errorf("it became %s for %+v", got.State, got.StateReason)
	}
}

func TestAPendingAMIThatIsRemovedIsGone(t *testing.T) {
	t.Parallel()
	h := later(t, onSQLite(t))
	a := h.register(seller, "unwanted")
	if err := h.Deregister(t.Context(), sellerAccount, a.ID); err != nil {
		t.Fatal(err)
	}
	worktest.Run(t, h.Images.Run)
	b := h.register(seller, "wanted")
	h.settled(b.ID)
	if _, err := h.Find(t.Context(), sellerAccount, a.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("it is back: %v", err)
	}
}

func TestPendingAMIsOfAnAccountAreBounded(t *testing.T) {
	t.Parallel()
	h := later(t, onSQLite(t))
	var last AMI
	for i := range maxPending {
		last = h.register(seller, fmt.Sprintf("large %d", i))
	}
	_, err := h.Register(t.Context(), Registration{Account: sellerAccount, Name: "one more", Repository: last.Repository, Digest: last.Digest})
	if !errors.Is(err, ErrTooManyPending) {
		t.Errorf("one more: %v", err)
	}
	tags, err := h.registry.Tags(t.Context(), last.Repository)
	if err != nil || len(tags) != maxPending+1 { // and latest
		t.Errorf("%d tags, %v: the one that was refused has left its own", len(tags), err)
	}
}

package procurement

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"souk/storage/store"
	"souk/storage/store/sqlite"
)

var errBroken = errors.New("broken")

// shop is a Procurement over a real store, with one product that tests change.
type shop struct {
	*Procurement
	store   counting
	product atomic.Pointer[Product]
	reads   atomic.Int64 // of the product
}

// counting counts what is asked of a store.
type counting struct {
	store.Store
	store.Walker
	gets, commits *atomic.Int64
}

func (c counting) Get(ctx context.Context, k store.Key) (store.Document, error) {
	c.gets.Add(1)
	return c.Store.Get(ctx, k)
}

func (c counting) Commit(ctx context.Context, b store.Batch) error {
	c.commits.Add(1)
	return c.Store.Commit(ctx, b)
}

func newShop(t *testing.T, path string) *shop {
	t.Helper()
	db, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	s := &shop{store: counting{db, db, new(atomic.Int64), new(atomic.Int64)}}
	s.Procurement = New(Config{
		Store: s.store,
		Now:   func() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 5e6, time.UTC) },
		Product: func(_ context.Context, id string) (Product, error) {
			s.reads.Add(1)
			switch id {
			case theProduct:
				return *s.product.Load(), nil
			case "broken":
				return Product{}, errBroken
			}
			return Product{}, ErrNoProduct
		},
	})
	s.sell(public, public)
	return s
}

// sell makes the product one of a visibility with two versions that deliver
// sha256:1 and sha256:2, both also sha256:both, by an option each.
func (s *shop) sell(visibility, option string) {
	s.product.Store(&Product{Owner: seller, Visibility: visibility, Versions: []Version{
		{ID: "v-1", Title: "1.0", Options: []Option{{Visibility: option, Digests: []string{"sha256:1", "sha256:both"}}}},
		{ID: "v-2", Title: "2.0", Options: []Option{{Visibility: public, Digests: []string{"sha256:2", "sha256:both"}}}},
	}})
}

func (s *shop) obtain(t *testing.T, account, digest string) {
	t.Helper()
	if err := s.Obtained(t.Context(), account, theProduct, digest); err != nil {
		t.Fatal(err)
	}
}

// may fails the test unless an account may obtain a version, or may not.
func (s *shop) may(t *testing.T, account, version string, want bool) {
	t.Helper()
	got, err := s.MayObtain(t.Context(), account, theProduct, version)
	if err != nil || got.OK != want || got.Reason == "" {
		t.Errorf("account %s, version %q: %+v, %v, want %t", account, version, got, err, want)
	}
}

func (s *shop) sound(t *testing.T) {
	t.Helper()
	if wrong, err := s.Verify(t.Context()); err != nil || len(wrong) > 0 {
		t.Errorf("verifying: %q, %v", wrong, err)
	}
}

func TestThoseWhoHaveAVersionKeepIt(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "souk.db")
	s := newShop(t, path)
	const late = "333333333333"
	s.obtain(t, buyer, "sha256:1")
	s.obtain(t, seller, "sha256:1") // no subscriber of its own
	s.obtain(t, late, "sha256:2")
	for _, restart := range []bool{false, true} {
		if restart {
			s.store.Close()
			s = newShop(t, path)
		}
		s.sell(public, restricted)
		s.may(t, buyer, "v-1", true)
		s.may(t, late, "v-1", false)
		s.may(t, late, "v-2", true)
		s.sell(restricted, restricted)
		s.may(t, buyer, "", true)
		s.may(t, buyer, "v-1", true)
		s.may(t, late, "v-1", false)
		s.may(t, late, "v-2", true)
		s.may(t, "444444444444", "", false)
		s.sound(t)
		if _, err := s.store.Get(t.Context(), store.Key{Kind: KindSubscription, ID: seller + "/" + theProduct}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the seller's subscription: %v, want none", err)
		}
	}
}

func TestARepeatedPullCostsNothing(t *testing.T) {
	t.Parallel()
	s := newShop(t, filepath.Join(t.TempDir(), "souk.db"))
	s.obtain(t, buyer, "sha256:both")
	gets, commits, reads := s.store.gets.Load(), s.store.commits.Load(), s.reads.Load()
	for range 100 {
		s.obtain(t, buyer, "sha256:both")
	}
	if g, c, r := s.store.gets.Load(), s.store.commits.Load(), s.reads.Load(); c != 1 || g != gets || c != commits || r != reads {
		t.Errorf("100 pulls more: %d commits, %d reads of the store, %d of the product; want 1, %d and %d", c, g, r, gets, reads)
	}
	// Another node, or this one after a restart, reads and does not write.
	again := New(s.config)
	if err := again.Obtained(t.Context(), buyer, theProduct, "sha256:both"); err != nil || s.store.commits.Load() != 1 {
		t.Errorf("after a restart: %d commits, %v, want 1", s.store.commits.Load(), err)
	}
	has, err := s.subscribed(t.Context(), buyer, theProduct)
	if want := time.Date(2026, 3, 1, 12, 0, 0, 5e6, time.UTC); err != nil || len(has) != 2 || !has[0].First.Equal(want) {
		t.Errorf("got %v, %v, want both versions since %v", has, err, want)
	}
}

func TestWhatIsRestrictedIsNotObtainedByTheWay(t *testing.T) {
	t.Parallel()
	s := newShop(t, filepath.Join(t.TempDir(), "souk.db"))
	s.sell(public, restricted)
	s.obtain(t, buyer, "sha256:both")
	s.may(t, buyer, "v-1", false)
	s.sell(public, public)
	s.obtain(t, buyer, "sha256:both")
	s.sell(public, restricted)
	s.may(t, buyer, "v-1", true)
}

func TestManyPullsAtOnceAreOneSubscription(t *testing.T) {
	t.Parallel()
	s := newShop(t, filepath.Join(t.TempDir(), "souk.db"))
	var all sync.WaitGroup
	for i := range 16 {
		digest := []string{"sha256:1", "sha256:2"}[i%2]
		all.Go(func() {
			if err := New(s.config).Obtained(t.Context(), buyer, theProduct, digest); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	has, err := s.subscribed(t.Context(), buyer, theProduct)
	if err != nil || len(has) != 2 {
		t.Errorf("got %v, %v, want each version once", has, err)
	}
	s.sound(t)
}

func TestDeliveredSaysOfEachArtifactWhy(t *testing.T) {
	t.Parallel()
	s := newShop(t, filepath.Join(t.TempDir(), "souk.db"))
	s.sell(public, restricted)
	of := func(account string) (open, told []string) {
		t.Helper()
		all, err := s.Delivered(t.Context(), account, theProduct)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range all {
			switch {
			case a.OK:
				open = append(open, a.Digest)
			case a.Told:
				told = append(told, a.Digest)
			}
		}
		return open, told
	}
	if open, _ := of(seller); !slices.Equal(open, []string{"sha256:1", "sha256:both", "sha256:2", "sha256:both"}) {
		t.Errorf("the seller has %q", open)
	}
	if open, told := of(buyer); !slices.Equal(open, []string{"sha256:2", "sha256:both"}) || !slices.Equal(told, []string{"sha256:1", "sha256:both"}) {
		t.Errorf("the buyer has %q and is told of %q", open, told)
	}
	if all, err := s.Delivered(t.Context(), buyer, "none"); err != nil || all != nil {
		t.Errorf("of no product: %v, %v", all, err)
	}
}

func TestFailuresAreNoAnswers(t *testing.T) {
	t.Parallel()
	s := newShop(t, filepath.Join(t.TempDir(), "souk.db"))
	if a, err := s.MayObtain(t.Context(), buyer, "broken", ""); a.OK || !errors.Is(err, errBroken) {
		t.Errorf("product broken: %+v, %v", a, err)
	}
	if _, err := s.Delivered(t.Context(), buyer, "broken"); !errors.Is(err, errBroken) {
		t.Errorf("product broken: %v", err)
	}
	if a, err := s.MayObtain(t.Context(), seller, "none", ""); a.OK || a.Told || err != nil {
		t.Errorf("no product: %+v, %v", a, err)
	}
	if _, err := s.Case(t.Context(), seller, "none"); !errors.Is(err, ErrNoProduct) {
		t.Errorf("no product: %v", err)
	}
	s.config.Private = func(context.Context, string, string) (bool, string, error) { return false, "", errBroken }
	if a, err := s.MayObtain(t.Context(), buyer, theProduct, "v-2"); a.OK || !errors.Is(err, errBroken) {
		t.Errorf("private marketplace broken: %+v, %v", a, err)
	}
	s.may(t, seller, "v-1", true) // who is not asked for
}

func TestVerifyFindsDamage(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"Versions":[]}`: "has no version",
		`{"Versions":[{"Version":"v-9","First":"2026-03-01T12:00:00Z"}]}`:                                                  "no version v-9",
		`{"Versions":[{"Version":"v-1"}]}`:                                                                                 "has no time",
		`{"Versions":[{"Version":"v-1","First":"2026-03-01T12:00:00Z"},{"Version":"v-1","First":"2026-03-01T12:00:00Z"}]}`: "twice",
		`{`: "can't be read",
		`{"Versions":[{"Version":"v-1","First":"2026-03-01T12:00:00Z"}]}`: "lacks it", // no index entries
	} {
		s := newShop(t, filepath.Join(t.TempDir(), "souk.db"))
		err := s.store.Commit(t.Context(), store.Batch{Put: []store.Write{{Document: store.Document{
			Key: store.Key{Kind: KindSubscription, ID: buyer + "/" + theProduct}, Body: []byte(body),
		}}}})
		if err != nil {
			t.Fatal(err)
		}
		wrong, err := s.Verify(t.Context())
		if err != nil || !strings.Contains(strings.Join(wrong, "\n"), want) {
			t.Errorf("%s: found %q, %v, want %q", body, wrong, err, want)
		}
	}
}

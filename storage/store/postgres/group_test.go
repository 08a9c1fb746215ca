package postgres

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"souk/storage/store"
	"souk/storage/store/postgres/pgtest"
)

// full is a store whose only lane is taken until release is called, so that
// commits wait and make a group.
func full(t *testing.T) (s *Store, release func()) {
	t.Helper()
	s, err := Open(t.Context(), Config{URL: pgtest.Start(t), Groups: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if group := s.queue.enter(&request{}); len(group) != 1 {
		t.Fatalf("the lane was not free")
	}
	return s, s.queue.exit
}

func doc(id, partition string) store.Document {
	d := store.Document{Key: store.Key{Kind: "k", ID: id}, Body: []byte(partition)}
	if partition != "" {
		d.Index = []store.Entry{{Index: "by", Partition: partition}}
	}
	return d
}

func write(was int64, d store.Document) store.Batch {
	return store.Batch{Put: []store.Write{{Document: d, Was: was}}}
}

// bounded adds the bound that a partition may have one entry.
func bounded(b store.Batch, partition string) store.Batch {
	b.Bounds = []store.Bound{{Kind: "k", Index: "by", Partition: partition, Most: 1}}
	return b
}

// wait commits batches that wait for the lane, one behind the other, frees it
// and returns what they gave.
func wait(t *testing.T, s *Store, release func(), contexts []context.Context, batches []store.Batch) []error {
	t.Helper()
	done := make([]chan error, len(batches))
	for i := range batches {
		done[i] = make(chan error, 1)
		go func() { done[i] <- s.Commit(contexts[i], batches[i]) }()
		waiting(t, s, i+1)
	}
	release()
	got := make([]error, len(batches))
	for i := range done {
		got[i] = <-done[i]
	}
	return got
}

// waiting returns when so many commits wait.
func waiting(t *testing.T, s *Store, n int) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		s.queue.mu.Lock()
		have := len(s.queue.waiting)
		s.queue.mu.Unlock()
		if have == n {
			return
		}
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatalf("%d commits wait, want %d", have, n)
		}
	}
}

func background(n int) []context.Context {
	all := make([]context.Context, n)
	for i := range all {
		all[i] = context.Background()
	}
	return all
}

func TestAGroupDoesNotPassByRoomThatOneMakesForTheOther(t *testing.T) {
	t.Parallel()
	s, release := full(t)
	first := store.Batch{Put: []store.Write{{Document: doc("a", "p")}, {Document: doc("b", "q")}}}
	if err := s.commitAlone(t.Context(), &first); err != nil {
		t.Fatal(err)
	}
	// Both partitions are full, and each would take the other's place.
	got := wait(t, s, release, background(2), []store.Batch{
		bounded(write(1, doc("a", "q")), "q"),
		bounded(write(1, doc("b", "p")), "p"),
	})
	for i, err := range got {
		if !errors.Is(err, store.ErrLimit) {
			t.Errorf("commit %d: got %v, want %v", i, err, store.ErrLimit)
		}
	}
}

func TestOneOfAGroupThatIsRefusedHurtsNoOther(t *testing.T) {
	t.Parallel()
	s, release := full(t)
	batches := []store.Batch{
		write(0, doc("a", "")), write(7, doc("b", "")), write(0, doc("c", "")), write(store.Any, doc("d", "")),
	}
	got := wait(t, s, release, background(len(batches)), batches)
	for i, err := range got {
		if refused := i == 1; errors.Is(err, store.ErrConflict) != refused || (err != nil) != refused {
			t.Errorf("commit %d: got %v", i, err)
		}
	}
}

func TestACallerThatLeavesAGroupTakesNoOtherAlong(t *testing.T) {
	t.Parallel()
	s, release := full(t)
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() { left <- s.Commit(ctx, write(0, doc("left", ""))) }()
	waiting(t, s, 1)
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("the commit that left: %v", err)
	}
	var batches []store.Batch
	for i := range 5 {
		batches = append(batches, write(0, doc(fmt.Sprint(i), "")))
	}
	for i, err := range wait(t, s, release, background(5), batches) {
		if err != nil {
			t.Errorf("commit %d: %v", i, err)
		}
	}
	if _, err := s.Get(t.Context(), store.Key{Kind: "k", ID: "left"}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the commit that left was done: %v", err)
	}
}

func TestBatchesThatMayShareATransaction(t *testing.T) {
	t.Parallel()
	relies := func(id string) store.Batch {
		return store.Batch{Expect: []store.Expectation{{Key: store.Key{Kind: "k", ID: id}}}}
	}
	removes := store.Batch{Delete: []store.Removal{{Key: store.Key{Kind: "k", ID: "a"}, Was: store.Any}}}
	for name, c := range map[string]struct {
		first, second store.Batch
		want          int // in the first group
	}{
		"of two documents":               {write(0, doc("a", "")), write(0, doc("b", "")), 2},
		"of one document":                {write(0, doc("a", "")), write(0, doc("a", "")), 1},
		"a write and its removal":        {write(0, doc("a", "")), removes, 1},
		"a removal and a write":          {removes, write(0, doc("a", "")), 1},
		"a write and who relies on it":   {write(0, doc("a", "")), relies("a"), 1},
		"who relies on it and a write":   {relies("a"), write(0, doc("a", "")), 1},
		"a removal and who relies on it": {removes, relies("a"), 1},
		"two that rely on the same":      {relies("a"), relies("a"), 2},
		"with and without a bound":       {bounded(write(0, doc("a", "p")), "p"), write(0, doc("b", "p")), 1},
		"with two bounds":                {bounded(write(0, doc("a", "p")), "p"), bounded(write(0, doc("b", "q")), "q"), 2},
	} {
		q := queue{waiting: []*request{{batch: &c.first}, {batch: &c.second}}}
		if group := q.next(); len(group) != c.want || len(q.waiting) != 2-c.want {
			t.Errorf("%s: got a group of %d, and %d wait", name, len(group), len(q.waiting))
		}
	}
}

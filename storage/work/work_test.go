package work

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"souk/storage/store"
	"souk/storage/store/sqlite/sqlitetest"
	"souk/storage/worktest"
)

func openStore(t *testing.T) store.Store {
	t.Helper()
	return sqlitetest.Open(t)
}

const kind = "job"

func job(id string, owner string, due time.Time, was int64) store.Write {
	return store.Write{Was: was, Document: store.Document{Key: store.Key{Kind: kind, ID: id}, Body: []byte(id), Owner: owner, Due: due}}
}

func put(t *testing.T, s store.Store, writes ...store.Write) {
	t.Helper()
	if err := s.Commit(context.Background(), store.Batch{Put: writes}); err != nil {
		t.Fatal(err)
	}
}

// run starts a runner; the returned function stops it and waits.
func run(t *testing.T, cfg Config) (*Runner, func()) {
	t.Helper()
	cfg.Kind = kind
	if cfg.Poll == 0 {
		cfg.Poll = 5 * time.Millisecond
	}
	r := New(cfg)
	return r, worktest.Run(t, r.Run)
}

// receive waits for a value.
func receive[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(2 * time.Minute):
		t.Fatalf("no %s within 20 s", what)
		panic("unreachable")
	}
}

// finish ends a job: it isn't due any more.
func finish(t *testing.T, s store.Store, task *Task) {
	t.Helper()
	put(t, s, job(task.ID, "", time.Time{}, task.Revision))
}

func TestDueDocumentsAreWorkedOnOnce(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	const n = 100
	for i := range n {
		put(t, s, job(fmt.Sprint(i), "", time.Now(), 0))
	}
	put(t, s, job("later", "", time.Now().Add(time.Hour), 0))
	done := make(chan string, 2*n)
	for node := range 3 {
		run(t, Config{Store: s, Owner: fmt.Sprint("node", node), Slots: 4, Do: func(_ context.Context, task *Task) {
			finish(t, s, task)
			done <- task.ID
		}})
	}
	seen := map[string]int{}
	for range n {
		seen[receive(t, done, "job")]++
	}
	for id, times := range seen {
		if times != 1 || id == "later" {
			t.Errorf("job %s was done %d times", id, times)
		}
	}
}

func TestHandedWorkNeedsNoClaim(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	carried := make(chan any, 1)
	r, _ := run(t, Config{Store: s, Owner: "node", Poll: time.Hour, Do: func(_ context.Context, task *Task) {
		finish(t, s, task)
		carried <- task.Carry
	}})
	for { // Run opens it
		owner, due := r.Lease()
		if owner == "" {
			runtime.Gosched()
			continue
		}
		w := job("a", owner, due, 0)
		put(t, s, w)
		w.Revision = 1
		r.Hand(w.Document, "carried")
		break
	}
	if got := receive(t, carried, "job"); got != "carried" {
		t.Errorf("the handler got %v", got)
	}
}

func TestWithoutRoomWorkIsDueForEverybody(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	r := New(Config{Store: s, Kind: kind, Owner: "node", Do: func(context.Context, *Task) {}})
	if owner, due := r.Lease(); owner != "" || due.After(time.Now()) {
		t.Errorf("a runner that isn't running leases to %q until %v", owner, due)
	}
	r.Hand(store.Document{Key: store.Key{Kind: kind, ID: "a"}}, nil) // nothing happens
}

func TestWorkOfADeadNodeIsTakenOver(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	put(t, s, job("a", "dead", time.Now().Add(50*time.Millisecond), 0))
	owners := make(chan int64, 1)
	run(t, Config{Store: s, Owner: "node", Do: func(_ context.Context, task *Task) {
		finish(t, s, task)
		owners <- task.Revision
	}})
	if revision := receive(t, owners, "job"); revision != 2 {
		t.Errorf("taken over at revision %d", revision)
	}
}

func TestHoldRenewsTheLeaseAndFreesTheSlot(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	put(t, s, job("slow", "", time.Now(), 0))
	release, done := make(chan struct{}), make(chan string, 2)
	var slow atomic.Int32
	cfg := Config{Store: s, Slots: 1, Lease: 2 * time.Second, Watch: 10 * time.Millisecond, Do: func(ctx context.Context, task *Task) {
		if task.ID == "slow" {
			slow.Add(1)
			err := task.Hold(ctx, func() (store.Write, error) { return job(task.ID, "", time.Time{}, 0), nil }, func(ctx context.Context) error {
				done <- "held"
				<-release
				return nil
			})
			if err != nil {
				t.Errorf("Hold: %v", err)
			}
		}
		finish(t, s, task)
		done <- task.ID
	}}
	cfg.Owner = "node one"
	run(t, cfg)
	receive(t, done, "hold")
	put(t, s, job("quick", "", time.Now(), 0)) // the only slot is free for it
	if got := receive(t, done, "quick job"); got != "quick" {
		t.Errorf("%s was done first", got)
	}
	cfg.Owner = "node two"
	run(t, cfg)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for revision := int64(0); revision < 5; <-tick.C { // the claim and three renewals
		d, err := s.Get(context.Background(), store.Key{Kind: kind, ID: "slow"})
		if err != nil {
			t.Fatal(err)
		}
		revision = d.Revision
	}
	close(release)
	receive(t, done, "end of the slow job")
	if n := slow.Load(); n != 1 {
		t.Errorf("the slow job was begun %d times", n)
	}
}

func TestHoldEndsWhenTheDocumentIsLost(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	put(t, s, job("a", "", time.Now(), 0), job("b", "", time.Now(), 0))
	held, ended := make(chan *Task, 2), make(chan error, 2)
	r, _ := run(t, Config{Store: s, Owner: "node", Watch: 10 * time.Millisecond, Do: func(ctx context.Context, task *Task) {
		ended <- task.Hold(ctx, func() (store.Write, error) { return job(task.ID, "", time.Time{}, 0), nil }, func(ctx context.Context) error {
			held <- task
			<-ctx.Done()
			return ctx.Err()
		})
	}})
	one, two := receive(t, held, "hold"), receive(t, held, "hold")
	put(t, s, job(one.ID, "", time.Time{}, store.Any)) // it finds out by looking
	if err := receive(t, ended, "end"); !errors.Is(err, ErrLost) {
		t.Errorf("Hold ended with %v", err)
	}
	r.Interrupt(two.ID) // it is told
	if err := receive(t, ended, "end"); !errors.Is(err, ErrLost) {
		t.Errorf("Hold ended with %v", err)
	}
	r.Interrupt("none")
}

func TestPanicsAreKeptIn(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	put(t, s, job("a", "", time.Now(), 0))
	caught, done := make(chan error, 1), make(chan struct{}, 1)
	run(t, Config{Store: s, Owner: "node", Slots: 1, Do: func(ctx context.Context, task *Task) {
		if task.ID == "b" {
			finish(t, s, task)
			done <- struct{}{}
			return
		}
		caught <- task.Hold(ctx, nil, func(context.Context) error { panic("in Hold") })
		finish(t, s, task)
		put(t, s, job("b", "", time.Now(), 0))
		panic("in Do")
	}})
	var p *Panic
	if err := receive(t, caught, "panic"); !errors.As(err, &p) || p.Value != "in Hold" || len(p.Stack) == 0 {
		t.Errorf("Hold ended with %v", err)
	}
	receive(t, done, "job after a panic")
}

func TestStoppingDrains(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	put(t, s, job("held", "", time.Now(), 0))
	begun, cause := make(chan struct{}), make(chan error, 1)
	_, stop := run(t, Config{Store: s, Owner: "node", Do: func(ctx context.Context, task *Task) {
		task.Hold(ctx, nil, func(ctx context.Context) error {
			close(begun)
			<-ctx.Done()
			return nil
		})
		cause <- ctx.Err()
		finish(t, s, task) // handlers may still write
	}})
	receive(t, begun, "hold")
	stop()
	if err := receive(t, cause, "end"); err == nil {
		t.Error("the handler's context goes on")
	}
	if d, err := s.Get(context.Background(), store.Key{Kind: kind, ID: "held"}); err != nil || d.Revision != 3 {
		t.Errorf("Run returned before its handlers: revision %d (%v)", d.Revision, err)
	}
}

func TestBusyLeavesOneSlot(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	for i := range 16 {
		put(t, s, job(fmt.Sprint(i), "", time.Now(), 0))
	}
	var running, most atomic.Int32
	done := make(chan struct{}, 16)
	run(t, Config{Store: s, Owner: "node", Slots: 8, Busy: func() bool { return true }, Do: func(_ context.Context, task *Task) {
		n := running.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		finish(t, s, task)
		running.Add(-1)
		done <- struct{}{}
	}})
	for range 16 {
		receive(t, done, "job")
	}
	if most.Load() > 1 {
		t.Errorf("%d handlers ran at once", most.Load())
	}
}

package storetest

import (
	"context"
	"errors"
	"sync"
	"time"

	"souk/storage/store"
)

// ErrFault is the error of a call that a Fault made fail.
var ErrFault = errors.New("fault on demand")

// Fault makes one write of a store fail. Each write has two ways to fail: it
// was not done, or it was done and the answer was lost. Whoever writes must
// get on after both.
type Fault struct {
	// Commit is the number of the Commit that fails, from 1; 0 is none.
	Commit int
	// Claim is the number of the Claim that fails, from 1; 0 is none. Claims
	// that hand out nothing are not counted, since workers make any number of them.
	Claim int
	// Kept is true if the write is done and its answer is lost.
	Kept bool
	// Final is true if nothing works afterwards, as in a process that has died.
	Final bool
}

// FaultyStore is a store with faults. Reads pass it unchanged.
type FaultyStore struct {
	store.Store

	mu      sync.Mutex // guards all below
	plan    []Fault
	commits int
	claims  int
	dead    bool
}

// Faulty returns a store that does what s does, but for the faults of the
// plan. Without a plan it only counts.
func Faulty(s store.Store, plan ...Fault) *FaultyStore {
	return &FaultyStore{Store: s, plan: plan}
}

// Commits returns the number of Commits that have been called.
func (f *FaultyStore) Commits() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.commits
}

// Claims returns the number of Claims that handed out something or failed by a fault.
func (f *FaultyStore) Claims() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.claims
}

// Commit does or loses the batch.
func (f *FaultyStore) Commit(ctx context.Context, b store.Batch) error {
	f.mu.Lock()
	if f.dead {
		f.mu.Unlock()
		return ErrFault
	}
	f.commits++
	fault := f.find(func(p Fault) bool { return p.Commit == f.commits })
	f.mu.Unlock()
	if fault == nil {
		return f.Store.Commit(ctx, b)
	}
	if fault.Kept {
		if err := f.Store.Commit(ctx, b); err != nil {
			return err // there was nothing to keep
		}
	}
	return ErrFault
}

// Claim hands out work or loses it.
func (f *FaultyStore) Claim(ctx context.Context, kind string, n int, owner string, lease time.Duration) ([]store.Document, error) {
	f.mu.Lock()
	defer f.mu.Unlock() // one at a time, so that the count is that of the plan
	if f.dead {
		return nil, ErrFault
	}
	next := f.claims + 1
	if f.find(func(p Fault) bool { return p.Claim == next && !p.Kept }) != nil {
		f.claims++
		return nil, ErrFault
	}
	docs, err := f.Store.Claim(ctx, kind, n, owner, lease)
	if err != nil || len(docs) == 0 {
		return docs, err
	}
	f.claims++
	if f.find(func(p Fault) bool { return p.Claim == next }) != nil {
		return nil, ErrFault
	}
	return docs, nil
}

// Get fails after a final fault.
func (f *FaultyStore) Get(ctx context.Context, key store.Key) (store.Document, error) {
	if f.isDead() {
		return store.Document{}, ErrFault
	}
	return f.Store.Get(ctx, key)
}

// GetAll fails after a final fault.
func (f *FaultyStore) GetAll(ctx context.Context, keys []store.Key) ([]store.Document, error) {
	if f.isDead() {
		return nil, ErrFault
	}
	return f.Store.GetAll(ctx, keys)
}

// List fails after a final fault.
func (f *FaultyStore) List(ctx context.Context, q store.Query) (store.Page, error) {
	if f.isDead() {
		return store.Page{}, ErrFault
	}
	return f.Store.List(ctx, q)
}

// Find fails after a final fault.
func (f *FaultyStore) Find(ctx context.Context, q store.Search) ([]store.Document, bool, error) {
	if f.isDead() {
		return nil, false, ErrFault
	}
	return f.Store.Find(ctx, q)
}

func (f *FaultyStore) isDead() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dead
}

// find returns the fault that stands in the plan. mu is held.
func (f *FaultyStore) find(is func(Fault) bool) *Fault {
	for i := range f.plan {
		if is(f.plan[i]) {
			f.dead = f.dead || f.plan[i].Final
			return &f.plan[i]
		}
	}
	return nil
}

package postgres

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"souk/storage/store"
)

// Commits that arrive while others are under way wait, and then go to the
// database as one transaction: they share its round trip, its sync of the disk
// and the lock of a bound. This is safe where the batches touch different
// documents and have the same bounds: then the one transaction is the same as
// all of them one after the other. If it is refused, each goes alone.
//
// maxGroup bounds the batches of a group.
const maxGroup = 64

// request is a Commit that waits. The first of a group leads: its goroutine
// does the work for all.
type request struct {
	ctx   context.Context
	batch *store.Batch
	order chan order // takes one
}

// order is what a waiting request is told: lead this group, or go alone, or
// the answer.
type order struct {
	lead  []*request
	alone bool
	err   error
}

// queue is the requests that wait for a lane.
type queue struct {
	lanes int // groups that may be under way

	mu      sync.Mutex // guards all below
	busy    int        // lanes in use
	waiting []*request
}

// enter returns a group to lead at once, or nil if the request must wait.
func (q *queue) enter(r *request) []*request {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.busy < q.lanes {
		q.busy++
		return []*request{r}
	}
	q.waiting = append(q.waiting, r)
	return nil
}

// exit gives a lane to the next group, if there is one.
func (q *queue) exit() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.busy--
		return
	}
	group := q.next()
	group[0].order <- order{lead: group}
}

// leave takes a request from the queue. It is false if it has been taken already.
func (q *queue) leave(r *request) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.waiting, r)
	if i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
	}
	return i >= 0
}

// next takes the first request and those that may go with it. mu is held.
func (q *queue) next() []*request {
	first := q.waiting[0]
	group := []*request{first}
	touched := map[store.Key]bool{} // whether it is written
	touch(touched, first.batch)
	left := q.waiting[:0]
	for _, r := range q.waiting[1:] {
		// Those without a bound are kept apart: they are the ones that make room.
		bounded := len(r.batch.Bounds) > 0
		if len(group) < maxGroup && bounded == (len(first.batch.Bounds) > 0) && apart(touched, r.batch) {
			group = append(group, r)
			touch(touched, r.batch)
		} else {
			left = append(left, r)
		}
	}
	clear(q.waiting[len(left):])
	q.waiting = left
	return group
}

func touch(touched map[store.Key]bool, b *store.Batch) {
	for i := range b.Put {
		touched[b.Put[i].Key] = true
	}
	for i := range b.Delete {
		touched[b.Delete[i].Key] = true
	}
	for i := range b.Expect {
		if key := b.Expect[i].Key; !touched[key] {
			touched[key] = false
		}
	}
}

// apart says whether a batch neither writes what others touch nor relies on
// what they write.
func apart(touched map[store.Key]bool, b *store.Batch) bool {
	for i := range b.Put {
		if _, ok := touched[b.Put[i].Key]; ok {
			return false
		}
	}
	for i := range b.Delete {
		if _, ok := touched[b.Delete[i].Key]; ok {
			return false
		}
	}
	for i := range b.Expect {
		if touched[b.Expect[i].Key] {
			return false
		}
	}
	return true
}

// commit does a batch, together with others if that saves something.
func (s *Store) commit(ctx context.Context, b *store.Batch) error {
	r := &request{ctx: ctx, batch: b, order: make(chan order, 1)}
	group := s.queue.enter(r)
	if group == nil {
		o, err := s.await(r)
		switch {
		case err != nil:
			return err
		case o.alone:
			return s.commitAlone(ctx, b)
		case o.lead == nil:
			return o.err
		}
		group = o.lead
	}
	if len(group) == 1 {
		defer s.queue.exit()
		return s.commitAlone(ctx, b)
	}
	err := s.commitTogether(group)
	s.queue.exit()
	answer := order{err: err, alone: errors.Is(err, errGuard) || errors.Is(err, store.ErrLimit) || transient(err)}
	for _, other := range group[1:] {
		other.order <- answer
	}
	if answer.alone {
		return s.commitAlone(ctx, b)
	}
	return err
}

// await waits for an order. An error means that the request has left and that
// nothing was done for it. Once it is taken it stays to the end, since others
// are reading its batch.
func (s *Store) await(r *request) (order, error) {
	select {
	case o := <-r.order:
		return o, nil
	case <-r.ctx.Done():
		if s.queue.leave(r) {
			return order{}, r.ctx.Err()
		}
		return <-r.order, nil
	}
}

// commitTogether does the batches of a group as one. It goes on while one of
// their callers waits.
func (s *Store) commitTogether(group []*request) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var left atomic.Int64
	left.Store(int64(len(group)))
	var all store.Batch
	for _, r := range group {
		stop := context.AfterFunc(r.ctx, func() {
			if left.Add(-1) == 0 {
				cancel()
			}
		})
		defer stop()
		all.Expect = append(all.Expect, r.batch.Expect...)
		all.Put = append(all.Put, r.batch.Put...)
		all.Delete = append(all.Delete, r.batch.Delete...)
		all.Bounds = append(all.Bounds, r.batch.Bounds...)
	}
	p := newPlan(&all)
	p.together = true
	return s.try(ctx, p, &all)
}

package trail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"souk/storage/store"
)

const (
	// packsTogether is how many packs of reads one commit stores.
	packsTogether = 16
	// singlesTogether is how many single records one commit packs.
	singlesTogether = packRecords
	// settled is how old a single record is before it is packed: no call takes as
	// long, so nobody writes it again. Until then a busy store is left alone, too.
	settled = 90 * time.Second
)

// Flush stores the records that wait in memory. Run does so by itself: it is for
// a process in which Run does not run.
func (t *Trail) Flush(ctx context.Context) error { return t.flush(ctx, true) }

// flush stores what is in the buffer: full packs, all if whole is true. What
// can't be stored now is kept for the next time.
func (t *Trail) flush(ctx context.Context, whole bool) error {
	t.flushing.Lock()
	defer t.flushing.Unlock()
	for _, g := range t.buffer.take(whole) {
		p, err := t.pack(g)
		if err != nil {
			return err
		}
		t.ready = append(t.ready, p)
		t.buffer.reuse(g)
	}
	for len(t.ready) > 0 {
		n := min(packsTogether, len(t.ready))
		if err := t.storePacks(ctx, t.ready[:n], nil); err != nil {
			return err
		}
		size := 0
		for i, p := range t.ready[:n] {
			size += p.size
			t.ready[i] = nil
		}
		t.ready = t.ready[n:]
		t.buffer.free(size)
	}
	t.ready = nil
	return nil
}

// storePacks commits packs in the place of single records. If it fails and it
// isn't known whether it was done, the same packs may be stored again.
func (t *Trail) storePacks(ctx context.Context, packs []*pack, singles []store.Removal) error {
	delivered := t.cfg.Delivery.Dir != ""
	b := store.Batch{Delete: singles}
	size := int64(0)
	for _, p := range packs {
		b.Put = append(b.Put, p.writes(t.cfg.Keep, delivered)...)
		size += int64(p.size)
	}
	err := t.store.Commit(ctx, b)
	if err != nil {
		return fmt.Errorf("storing %d packs of records: %w", len(packs), err)
	}
	if delivered {
		t.awaits(size)
	}
	return nil
}

// settledBefore is when the calls came whose records have settled.
func (t *Trail) settledBefore() time.Time { return t.cfg.Clock().Add(-settled) }

// packSingles packs the single records of calls that came before a time, of
// every account that this node knows to have some.
func (t *Trail) packSingles(ctx context.Context, before time.Time) error {
	t.mu.Lock()
	var accounts []string
	for a := range t.accounts {
		accounts = append(accounts, a)
	}
	clear(t.accounts)
	t.mu.Unlock()
	var all []error
	for _, a := range accounts {
		left, err := t.packAccount(ctx, a, idAt(before))
		if err != nil || left {
			t.wrote(a)
		}
		all = append(all, err)
	}
	return errors.Join(all...)
}

// packAccount packs the records of one account whose ids are before one. left
// says that it has others.
func (t *Trail) packAccount(ctx context.Context, account, before string) (left bool, err error) {
	q := store.Query{Kind: kindSingle, Index: indexTime, Partition: account, Limit: singlesTogether}
	for {
		page, err := t.store.List(ctx, q)
		if err != nil {
			return true, fmt.Errorf("listing records of account %s: %w", account, err)
		}
		var keys []store.Key
		for i := range page.Documents {
			if page.Documents[i].ID >= before {
				left = true
				break
			}
			keys = append(keys, page.Documents[i].Key)
		}
		if len(keys) > 0 {
			begun := time.Now()
			err = t.move(ctx, account, keys)
			pause(ctx, time.Since(begun)) // half of the time is others'
			if errors.Is(err, store.ErrConflict) {
				return true, nil // another node packs them, too
			}
			if err != nil {
				return true, err
			}
		}
		if left || !page.More {
			return left, nil
		}
		q.After = page.Next
	}
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// move puts single records into packs, in one commit.
func (t *Trail) move(ctx context.Context, account string, keys []store.Key) error {
	t.packing.Lock()
	defer t.packing.Unlock()
	documents, err := t.store.GetAll(ctx, keys)
	if err != nil {
		return fmt.Errorf("reading records of account %s: %w", account, err)
	}
	groups := map[int64]*group{}
	var full []*group
	singles := make([]store.Removal, 0, len(documents))
	for i := range documents {
		d := &documents[i]
		singles = append(singles, store.Removal{Key: d.Key, Was: d.Revision})
		if _, err := decode(d.Body); err != nil {
			return fmt.Errorf("reading record %s: %w", d.ID, err)
		}
		minute := minuteOf(d.Body)
		g := groups[minute]
		if g == nil {
			g = &group{account: account}
			groups[minute] = g
		}
		g.add(bytes.Clone(d.Body))
		if g.isFull() {
			full = append(full, g)
			delete(groups, minute)
		}
	}
	for _, g := range groups {
		full = append(full, g)
	}
	packs := make([]*pack, 0, len(full))
	for _, g := range full {
		p, err := t.pack(g)
		if err != nil {
			return err
		}
		packs = append(packs, p)
	}
	return t.storePacks(ctx, packs, singles)
}

// sweep deletes packs whose time is over.
func (t *Trail) sweep(ctx context.Context) error {
	const together = 64
	for ctx.Err() == nil {
		old, err := t.store.Claim(ctx, kindPack, together, t.cfg.Owner, time.Minute)
		if err != nil {
			return fmt.Errorf("claiming old records: %w", err)
		}
		b := store.Batch{}
		for i := range old {
			b.Delete = append(b.Delete,
				store.Removal{Key: old[i].Key, Was: old[i].Revision},
				store.Removal{Key: store.Key{Kind: kindDelivery, ID: old[i].ID}, Was: store.Any})
		}
		if len(old) > 0 {
			err = t.store.Commit(ctx, b)
		}
		if err != nil && !errors.Is(err, store.ErrConflict) {
			return fmt.Errorf("deleting old records: %w", err)
		}
		if len(old) < together {
			return nil
		}
	}
	return nil
}

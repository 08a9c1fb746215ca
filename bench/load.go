package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"souk/catalog/changeset"
	"souk/catalog/listing"
	"souk/storage/store"
)

// fill puts n products into a store, straight through its Commit. They go in by
// their ids, with titles and times in the same order, so that every index grows
// at its end: a million random places would take the disk an hour.
func (t *templates) fill(ctx context.Context, s store.Store, n int) error {
	const (
		together = 500 // documents in a commit
		writers  = 2   // batches: one is made while another is written
	)
	started := time.Now()
	ids := make([]string, n)
	for i := range ids {
		ids[i] = productID(i)
	}
	slices.Sort(ids)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(writers)
	for first := 0; first < n && ctx.Err() == nil; first += together {
		g.Go(func() error {
			last := min(first+together, n)
			b := store.Batch{Put: make([]store.Write, 0, last-first)}
			for i := first; i < last; i++ {
				b.Put = append(b.Put, t.product(ids[i], i))
			}
			err := s.Commit(ctx, b)
			if err != nil {
				return fmt.Errorf("loading products %d to %d: %w", first, last-1, err)
			}
			return nil
		})
	}
	err := g.Wait()
	if err == nil { // the products have their terms: nobody needs to find them while others are measured
		err = s.Commit(context.WithoutCancel(ctx), store.Batch{Put: []store.Write{changeset.Searchable(), listing.Whole()}})
	}
	if err != nil {
		return err
	}
	if n > 10_000 {
		fmt.Fprintf(os.Stderr, "bench: loaded %d products in %v\n", n, time.Since(started).Round(time.Millisecond))
	}
	return nil
}

// floor3 is what the bare store did.
type floor3 struct {
	rate float64       // batches of StartChangeSet per second
	used time.Duration // processor time of one, in this process
	next int           // the first number that was not used
}

// commits is floor 3: how many batches of StartChangeSet the bare store commits,
// from so many writers at once.
func (t *templates) commits(ctx context.Context, s store.Store, writers int, d time.Duration, from int) (floor3, error) {
	ready := make([]store.Batch, 0, 20_000)
	for n := range cap(ready) {
		ready = append(ready, t.another(from+n))
	}
	work := make(chan store.Batch, len(ready))
	for _, b := range ready {
		work <- b
	}
	close(work)
	before, err := cpu(os.Getpid())
	if err != nil {
		return floor3{}, err
	}
	counts := make([]int, writers)
	started := time.Now()
	end := started.Add(d)
	g, ctx := errgroup.WithContext(ctx)
	for i := range writers {
		g.Go(func() error {
			for b := range work {
				err := s.Commit(ctx, b)
				if err != nil {
					return fmt.Errorf("committing to the bare store: %w", err)
				}
				counts[i]++
				if time.Now().After(end) {
					return nil
				}
			}
			return nil
		})
	}
	err = g.Wait()
	if err != nil {
		return floor3{}, err
	}
	elapsed := time.Since(started)
	after, err := cpu(os.Getpid())
	if err != nil {
		return floor3{}, err
	}
	total := 0
	for _, c := range counts {
		total += c
	}
	return floor3{
		rate: float64(total) / elapsed.Seconds(), used: (after - before) / time.Duration(total), next: from + cap(ready),
	}, nil
}

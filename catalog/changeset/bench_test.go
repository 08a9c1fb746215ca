package changeset

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"souk/storage/store"
)

// batches is a store that keeps the first batch that passed through it.
type batches struct {
	store.Store
	once  sync.Once
	first store.Batch
}

func (b *batches) Commit(ctx context.Context, x store.Batch) error {
	err := b.Store.Commit(ctx, x)
	if err == nil {
		b.once.Do(func() { b.first = x })
	}
	return err
}

const writers = 64

// BenchmarkStartBatch is the floor: what Start commits, on the bare store.
func BenchmarkStartBatch(b *testing.B) {
	for name, open := range stores {
		b.Run(name, func(b *testing.B) {
			kept := &batches{Store: open(b)}
			m := idle(b, kept, nil)
			id, err := m.Start(context.Background(), &Request{Account: alice, Token: "token", Changes: []Change{doc("CreateThing", "", `{"Title":"a title"}`)}})
			if err != nil {
				b.Fatal(err)
			}
			var n atomic.Int64
			each(b, func() error {
				x := store.Batch{Bounds: kept.first.Bounds}
				x.Bounds[0].Most = 1 << 30
				i := n.Add(1)
				for _, w := range kept.first.Put {
					if w.Kind == kindSet {
						w.ID = fmt.Sprintf("%s%013d", id[:12], i)
					} else {
						w.ID = fmt.Sprintf("%s/%064x", alice, i*0x9e3779b97f4a7c1)
					}
					x.Put = append(x.Put, w)
				}
				return kept.Store.Commit(context.Background(), x)
			})
		})
	}
}

// BenchmarkStart is Start with workers running.
func BenchmarkStart(b *testing.B) {
	for name, open := range stores {
		b.Run(name, func(b *testing.B) { benchmarkStart(b, open(b), false) })
	}
}

// BenchmarkSucceeded is Start until SUCCEEDED, of sets that create.
func BenchmarkSucceeded(b *testing.B) {
	for name, open := range stores {
		b.Run(name, func(b *testing.B) { benchmarkStart(b, open(b), true) })
	}
}

func benchmarkStart(b *testing.B, s store.Store, wait bool) {
	var ended atomic.Int64
	all := make(chan struct{})
	m := idle(b, s, func(c *Config) {
		c.OpenSets, c.Lease = func(string) int { return 1 << 30 }, 0
		c.Observe = func(e Event) {
			if e.Step == Ended && ended.Add(1) == int64(b.N) {
				close(all)
			}
		}
	})
	m.start()
	var n atomic.Int64
	each(b, func() error {
		_, err := m.Start(context.Background(), &Request{
			Account: alice, Token: fmt.Sprint(n.Add(1)),
			Changes: []Change{doc("CreateThing", "", `{"Title":"a title"}`)},
		})
		return err
	})
	if wait {
		<-all
	} else {
		b.StopTimer()
		b.ReportMetric(float64(ended.Load())/b.Elapsed().Seconds(), "succeeded/s")
	}
}

// each calls f b.N times from many goroutines.
func each(b *testing.B, f func() error) {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ResetTimer()
	before := cpu()
	b.Cleanup(func() { b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "cpu-µs/op") })
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := f(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

// cpu is the time that this process has worked. On a machine that others use
// it says more than the clock.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

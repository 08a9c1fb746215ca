// Package worktest runs for tests what a node runs in the background: runners
// of package work, and rooms that have one. And it waits for what comes of that.
package worktest

import (
	"context"
	"sync"
	"testing"
	"time"
)

// Run runs something until stop is called or the test ends, and waits then for
// its end. An error that it returns fails the test.
func Run(tb testing.TB, run func(context.Context) error) (stop func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Errorf("what ran in the background: %v", err)
		}
	})
	tb.Cleanup(stop)
	return stop
}

// Until waits for something to be so, and fails the test if that does not come.
func Until(tb testing.TB, what string, so func() bool) {
	tb.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(2 * time.Minute); !so(); {
		select {
		case <-tick.C:
		case <-late:
			tb.Fatalf("it is not so within two minutes: %s", what)
		}
	}
}

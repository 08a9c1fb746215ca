// Package worktest runs for tests what a node runs in the background: runners
// of package work, and rooms that have one.
package worktest

import (
	"context"
	"sync"
	"testing"
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

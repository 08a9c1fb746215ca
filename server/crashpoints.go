//go:build crashpoints

package server

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"souk/artifact/appstream/builder"
	"souk/artifact/appstream/image"
	"souk/artifact/images"
	"souk/storage/store"
)

// crashing ends the process, as kill -9 does, before or after the n-th write to
// the store: "the write failed" and "the write was kept, but its answer was
// lost". Only binaries of the crash tests, built with the tag crashpoints, have
// it; they read n and the side from SOUK_CRASH_AT, such as 7:before.
type crashing struct {
	store.Store
	at     int64
	before bool
	writes atomic.Int64
}

// crashpoints puts the faults that the environment asks for before a store.
func crashpoints(s store.Store) store.Store {
	number, side, _ := strings.Cut(os.Getenv("SOUK_CRASH_AT"), ":")
	if number == "" {
		return s
	}
	at, err := strconv.ParseInt(number, 10, 64)
	if err != nil || side != "before" && side != "after" {
		panic(fmt.Sprintf("server: SOUK_CRASH_AT=%q is not of the form N:before or N:after", os.Getenv("SOUK_CRASH_AT")))
	}
	return &crashing{Store: s, at: at, before: side == "before"}
}

// Commit implements store.Store. Heartbeats come when they like, and don't count.
func (c *crashing) Commit(ctx context.Context, b store.Batch) error {
	if len(b.Put) == 1 && b.Put[0].Kind == builder.KindNode && len(b.Delete) == 0 {
		return c.Store.Commit(ctx, b)
	}
	crash := c.writes.Add(1) == c.at
	if crash && c.before {
		die()
	}
	err := c.Store.Commit(ctx, b)
	if crash {
		die()
	}
	return err
}

// Claim implements store.Store. A claim that hands out nothing writes nothing
// and doesn't count.
func (c *crashing) Claim(ctx context.Context, kind string, n int, owner string, lease time.Duration) ([]store.Document, error) {
	claimed, err := c.Store.Claim(ctx, kind, n, owner, lease)
	if len(claimed) > 0 && c.writes.Add(1) == c.at {
		die()
	}
	return claimed, err
}

// die ends the process at once; nothing is closed, flushed or said.
func die() {
	_ = syscall.Kill(syscall.Getpid(), syscall.SIGKILL) // can't fail for ourselves
	select {}
}

// crashImages with SOUK_CRASH_IMAGES=pending has the smallest image pending first, as
// large ones are with others, and waits less for what a dead node had.
func crashImages(c images.Config) images.Config {
	if os.Getenv("SOUK_CRASH_IMAGES") == "pending" {
		c.AtOnce, c.Lease = 1, time.Second
	}
	return c
}

// crashAppImages with SOUK_CRASH_IMAGES=pending waits less for AppStream images that a
// dead node had.
func crashAppImages(c image.Config) image.Config {
	if os.Getenv("SOUK_CRASH_IMAGES") == "pending" {
		c.Lease = time.Second
	}
	return c
}

// crashVersion is SOUK_CRASH_VERSION: the version of the agent in machines, for tests
// of an upgrade.
func crashVersion() string { return os.Getenv("SOUK_CRASH_VERSION") }

// Package trail keeps a record of every call of an account: who asked for what,
// from where, and what came of it, in the form of AWS CloudTrail.
//
// The record of a write stands in the same commit as the write (Entry, Store),
// so that no write that was answered lacks one. Records of reads and of refused
// calls wait in memory for less than a second. Both end in packs: many records
// of one account and minute in one document. Packs are looked up, delivered as
// files, and swept after 90 days.
//
// It decides nothing about calls, and knows no service: the gateway tells it
// what was asked and answered. Calls of nobody who is known are not recorded,
// since there is no account that they belong to.
//
// AWS CloudTrail User Guide, "CloudTrail record contents" and "CloudTrail
// userIdentity element".
package trail

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"

	"souk/storage/store"
)

// Keep is how long records are kept unless the Config says otherwise:
// CloudTrail's event history has the last 90 days.
const Keep = 90 * 24 * time.Hour

// Config is what a Trail is made of.
type Config struct {
	Store store.Store // required
	// Owner names this node in claims. It must be new at each start.
	Owner string
	// Accounts lists all accounts, so that records which a node left behind are
	// found. Nil: only accounts that this node has written for.
	Accounts func(context.Context) ([]string, error)
	// Seal and Open make the tokens of Lookup unreadable and bind them to what
	// they are for. Nil: Lookup gives no tokens and a page has all there is.
	Tokens Sealer

	Keep     time.Duration    // how long records are kept; 0: 90 days
	Memory   int              // bytes of records that wait in memory; 0: 8 MiB
	Delivery Delivery         // files; the zero value delivers none
	Clock    func() time.Time // nil: time.Now
	Log      *slog.Logger     // nil: nothing is logged
}

// Sealer encrypts page tokens; keyring.Ring is one.
type Sealer interface {
	Seal(purpose string, plain, bound []byte) []byte
	Open(purpose string, sealed, bound []byte) ([]byte, error)
}

// Trail records calls. Its methods may be called concurrently. Records of reads
// reach the store while Run runs.
type Trail struct {
	cfg    Config
	store  store.Store
	buffer *buffer
	floods floods

	// packing keeps a Lookup from seeing records neither alone nor in the pack
	// that they are being moved to: whoever moves has it whole.
	packing sync.RWMutex
	// ready are packs of the buffer that are not stored yet, oldest first.
	flushing sync.Mutex // guards ready and the order of their commits
	ready    []*pack

	mu       sync.Mutex
	accounts map[string]struct{} // that have single records, as far as this node knows; guarded by mu
	packed   int64               // bytes of records that await delivery, as far as this node knows; guarded by mu

	encoder *zstd.Encoder
	decoder *zstd.Decoder
	deliver chan struct{} // asks for a delivery now
}

// New makes a Trail. Its error says what is missing.
func New(c Config) (*Trail, error) {
	if c.Store == nil {
		return nil, errors.New("making the trail: it needs a store")
	}
	if c.Keep <= 0 {
		c.Keep = Keep
	}
	if c.Memory <= 0 {
		c.Memory = 8 << 20
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Delivery = c.Delivery.filled()
	t := &Trail{cfg: c, store: c.Store, buffer: newBuffer(c.Memory), accounts: map[string]struct{}{}, deliver: make(chan struct{}, 1)}
	var err error
	// A pack is read and written in one piece of a megabyte at most: small
	// windows, and one piece at a time, keep an idle market small.
	t.encoder, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(128<<10))
	if err != nil {
		return nil, fmt.Errorf("making the trail: %w", err)
	}
	t.decoder, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(2*packBytes+2*mostRecord))
	if err != nil {
		return nil, fmt.Errorf("making the trail: %w", err)
	}
	return t, nil
}

// How often Run looks at what there is to do.
const (
	flushEvery  = 700 * time.Millisecond // records of reads are stored within a second
	packEvery   = 15 * time.Second
	searchEvery = 5 * time.Minute // for records that a node left behind
	sweepEvery  = time.Minute
)

// Run stores records of reads, packs, delivers and sweeps, until ctx ends. Then
// it stores what is still in memory, delivers all that there is, and returns: no
// call may be under way any more.
func (t *Trail) Run(ctx context.Context) error {
	var g errgroup.Group
	g.Go(func() error { return t.keepFlushing(ctx) })
	g.Go(func() error {
		searched := time.Time{}
		every(ctx, packEvery, func() {
			if time.Since(searched) >= searchEvery {
				t.search(ctx)
				searched = time.Now()
			}
			t.complain(ctx, "packing records", t.packSingles(ctx, t.settledBefore()))
		})
		return nil
	})
	g.Go(func() error {
		every(ctx, sweepEvery, func() { t.complain(ctx, "sweeping records", t.sweep(ctx)) })
		return nil
	})
	if t.cfg.Delivery.Dir != "" {
		g.Go(func() error {
			t.delivering(ctx)
			return nil
		})
	}
	err := g.Wait()
	if err == nil && t.cfg.Delivery.Dir != "" {
		err = t.deliverRest(ctx)
	}
	return err
}

// keepFlushing empties the buffer again and again, and at the end once more.
func (t *Trail) keepFlushing(ctx context.Context) error {
	timer := time.NewTicker(flushEvery)
	defer timer.Stop()
	for ctx.Err() == nil {
		whole := true
		select {
		case <-timer.C:
		case <-t.buffer.full:
			whole = false
		case <-ctx.Done():
		}
		if ctx.Err() == nil {
			t.complain(ctx, "storing records", t.flush(ctx, whole))
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := t.flush(last, true); err != nil {
		return fmt.Errorf("storing the last records of the trail: %w", err)
	}
	return nil
}

// every calls do at once and then in intervals, until ctx ends.
func every(ctx context.Context, interval time.Duration, do func()) {
	timer := time.NewTicker(interval)
	defer timer.Stop()
	for {
		do()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

// complain logs what failed and will be tried again.
func (t *Trail) complain(ctx context.Context, doing string, err error) {
	if err != nil && ctx.Err() == nil {
		t.cfg.Log.ErrorContext(ctx, "the trail failed and tries again", "doing", doing, "error", err)
	}
}

// wrote remembers that an account has a single record.
func (t *Trail) wrote(account string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.accounts[account]; !known {
		t.accounts[account] = struct{}{}
	}
}

// search marks every account as one that may have single records: a node that
// died left some behind, perhaps.
func (t *Trail) search(ctx context.Context) {
	if t.cfg.Accounts == nil {
		return
	}
	all, err := t.cfg.Accounts(ctx)
	t.complain(ctx, "listing accounts", err)
	for _, a := range all {
		t.wrote(a)
	}
}

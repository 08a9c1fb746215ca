package quota

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"souk/storage/store"
)

// kindBucket is the kind of the documents that hold the buckets of all servers:
// one for each account and operation, "ACCOUNT/service.Operation".
const kindBucket = "bucket"

// shared are buckets in a store. Who has used up what it drew draws again: a
// tenth of a second's rate, so that servers that share a rate come to the store
// ten times a second each, and what is left over with one of them is little.
type shared struct {
	store store.Store
	now   func(context.Context) (time.Time, error) // the database's

	mu      sync.Mutex
	skew    time.Duration // of the database's clock against ours; guarded by mu
	checked time.Time     // when that was found out, by our clock; guarded by mu
}

func newShared(s store.Store) *shared { return &shared{store: s, now: s.Now} }

// share is the body of a bucket's document.
type share struct {
	Tokens float64
	Filled time.Time
}

const (
	// skewKept is how long the difference of the clocks is believed.
	skewKept = 10 * time.Second
	// wrongBy is how far ahead the time of a bucket can be before it is taken
	// for a mistake.
	wrongBy = 2 * time.Second
	// drawTries bounds how often a draw begins again because another server came first.
	drawTries = 8
)

// time returns the database's time.
func (s *shared) time(ctx context.Context, ours time.Time) (time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.checked.IsZero() || ours.Sub(s.checked) > skewKept {
		now, err := s.now(ctx)
		if err != nil {
			return time.Time{}, err
		}
		s.skew, s.checked = now.Sub(ours), ours
	}
	return ours.Add(s.skew), nil
}

// draw takes tokens out of the store. It returns how many, and if none, how
// long there will be none.
func (s *shared) draw(ctx context.Context, k key, rate float64, ours time.Time) (tokens float64, wait time.Duration, err error) {
	id := store.Key{Kind: kindBucket, ID: k.account + "/" + k.operation.String()}
	for range drawTries {
		now, err := s.time(ctx, ours)
		if err != nil {
			return 0, 0, err
		}
		have, wait := share{Tokens: most(rate), Filled: now}, time.Duration(0)
		doc, err := s.store.Get(ctx, id)
		if err == nil {
			err = json.Unmarshal(doc.Body, &have)
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return 0, 0, fmt.Errorf("reading the bucket %s: %w", id.ID, err)
		}
		wrong := have.Filled.Sub(now) > wrongBy
		if wrong {
			have.Filled = now
		}
		if passed := now.Sub(have.Filled); passed > 0 {
			have.Tokens, have.Filled = have.Tokens+passed.Seconds()*rate, now
		}
		have.Tokens = min(most(rate), have.Tokens)
		if have.Tokens < 1 {
			wait = time.Duration((1 - have.Tokens) / rate * float64(time.Second))
			if !wrong {
				return 0, wait, nil
			}
		}
		drawn := min(math.Floor(have.Tokens), max(1, math.Floor(rate/10)))
		have.Tokens -= drawn
		body, err := json.Marshal(have)
		if err != nil {
			return 0, 0, fmt.Errorf("encoding the bucket %s: %w", id.ID, err)
		}
		err = s.store.Commit(ctx, store.Batch{Put: []store.Write{{Was: doc.Revision, Document: store.Document{Key: id, Body: body}}}})
		if err == nil {
			return drawn, wait, nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return 0, 0, fmt.Errorf("drawing from the bucket %s: %w", id.ID, err)
		}
	}
	return 0, 0, nil // others were quicker each time: the rate is used
}

// draw draws for a bucket, and takes one of what was drawn. Where the store
// doesn't answer the request goes on: what it does will meet the same store.
func (l *Limiter) draw(ctx context.Context, k key, b *bucket, rate float64) bool {
	b.drawing.Lock()
	defer b.drawing.Unlock()
	now := l.clock()
	l.mu.Lock()
	allowed, closed := b.take(), now.Before(b.closed) // another has drawn while we waited
	l.mu.Unlock()
	if allowed || closed {
		return allowed
	}
	tokens, wait, err := l.shared.draw(ctx, k, rate, now)
	if err != nil {
		l.log.WarnContext(ctx, "a request's rate could not be looked at", "account", k.account, "operation", k.operation.String(), "error", err)
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b.tokens, b.filled = tokens, now
	if wait > 0 {
		b.closed = now.Add(wait)
	}
	return b.take()
}

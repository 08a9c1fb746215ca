// Package quota keeps the request rates of accounts: a token bucket for each
// account and operation, in the memory of one server, or in the store where
// several servers share it. Operators change rates and limits while they run.
//
// It does not count what an account has (open change sets): that is done by
// what the limit is about, which asks here how much it may be.
package quota

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"souk/storage/store"
)

// Defaults are the rates of the AWS Marketplace Catalog API Reference,
// "Service quotas", in requests per second.
func Defaults() map[string]float64 {
	return map[string]float64{
		"marketplacecatalog.ListEntities":      10,
		"marketplacecatalog.DescribeEntity":    10,
		"marketplacecatalog.StartChangeSet":    5,
		"marketplacecatalog.ListChangeSets":    5,
		"marketplacecatalog.DescribeChangeSet": 10,
		"marketplacecatalog.CancelChangeSet":   5,
		"cloudtrail.LookupEvents":              2, // CloudTrail API Reference, "LookupEvents"

		// AWS Marketplace, "Service quotas for AWS Marketplace Discovery API".
		"marketplacediscovery.GetListing":             5,
		"marketplacediscovery.GetProduct":             5,
		"marketplacediscovery.ListFulfillmentOptions": 5,
		"marketplacediscovery.SearchListings":         10,

		// Amazon SNS API Reference, at each action.
		"sns.ListSubscriptions":        30,
		"sns.ListSubscriptionsByTopic": 30,
		"sns.ListTopics":               30,
		"sns.Subscribe":                100,
		"sns.Unsubscribe":              100,
	}
}

// OpenChangeSets is the limit of an account's change sets that are open at once.
const OpenChangeSets = "marketplacecatalog.OpenChangeSets"

// OpenBuilds is the limit of an account's builds that are in progress at once.
const OpenBuilds = "marketplaceimagebuild.OpenBuilds"

// ImageBuilders is the limit of an account's image builders in a region.
const ImageBuilders = "appstream.ImageBuilders"

// AppStreamImages is the limit of an account's AppStream images in a region.
const AppStreamImages = "appstream.Images"

// IsLimit says whether a quota is how many there may be, not a rate.
func IsLimit(name string) bool {
	return name == OpenChangeSets || name == OpenBuilds || name == ImageBuilders || name == AppStreamImages
}

// Config is what a Limiter is made of. The zero value has AWS's rates.
type Config struct {
	// Rates are the requests per second of an account, by "service.Operation";
	// nil takes Defaults. What has no rate, or 0, is not limited.
	Rates map[string]float64
	Off   bool // nothing is limited
	// Settings are what operators have changed; nil: nothing.
	Settings *Settings
	// Shared holds the buckets where several servers have one store, so that the
	// sum of all is within the rate; nil: this server is alone.
	Shared store.Store

	Clock func() time.Time // nil: time.Now
	Log   *slog.Logger     // nil: slog.Default()
}

// Limiter says whether an account may do an operation now. It is safe for
// concurrent use.
type Limiter struct {
	rates    map[operation]float64
	off      bool
	settings *Settings
	shared   *shared // nil: buckets are this server's own
	clock    func() time.Time
	log      *slog.Logger

	mu      sync.Mutex
	buckets map[key]*bucket // guarded by mu
	sweepAt int             // how many buckets make the next sweep; guarded by mu
}

type operation struct{ service, name string }

func (o operation) String() string { return o.service + "." + o.name }

func readOperation(name string) (operation, bool) {
	service, op, ok := strings.Cut(name, ".")
	return operation{service, op}, ok && service != "" && op != ""
}

type key struct {
	account string
	operation
}

// bucket holds the requests that are left. Where it is this server's own: up to
// one second's rate. Else what was drawn from the store.
type bucket struct {
	rate   float64 // when it was filled last
	tokens float64
	filled time.Time

	drawing sync.Mutex // held by who draws from the store
	closed  time.Time  // until then the store has nothing; guarded by Limiter.mu
}

// New makes a Limiter. Its error names the rate that can't be read.
func New(c Config) (*Limiter, error) {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	l := &Limiter{
		rates: map[operation]float64{}, off: c.Off, settings: c.Settings, clock: c.Clock, log: c.Log,
		buckets: map[key]*bucket{}, sweepAt: leastSweep,
	}
	if c.Off {
		return l, nil
	}
	if c.Shared != nil {
		l.shared = newShared(c.Shared)
	}
	if c.Rates == nil {
		c.Rates = Defaults()
	}
	for name, rate := range c.Rates {
		op, ok := readOperation(name)
		if !ok || rate < 0 {
			return nil, fmt.Errorf("reading rate %q: want service.Operation and a number of requests per second, got %v", name, rate)
		}
		if rate > 0 {
			l.rates[op] = rate
		}
	}
	return l, nil
}

// rate returns an account's rate of an operation; 0 is none.
func (l *Limiter) rate(account string, op operation) float64 {
	if l.off {
		return 0
	}
	if l.settings != nil {
		if v, ok := l.settings.of(account, op); ok {
			return v
		}
	}
	return l.rates[op]
}

// Allow takes one request from the account's bucket for an operation. It is
// false where the bucket is empty.
func (l *Limiter) Allow(ctx context.Context, account, service, name string) bool {
	op := operation{service, name}
	rate := l.rate(account, op)
	if rate == 0 {
		return true
	}
	k, now := key{account, op}, l.clock()
	l.mu.Lock()
	b := l.bucket(k, rate, now)
	if l.shared == nil {
		defer l.mu.Unlock()
		return b.fill(rate, now).take()
	}
	// What was drawn is used within a second, so that what one server doesn't
	// need is soon there for the others.
	if now.Sub(b.filled) > time.Second {
		b.tokens = 0
	}
	allowed, closed := b.take(), now.Before(b.closed)
	l.mu.Unlock()
	if allowed || closed {
		return allowed
	}
	return l.draw(ctx, k, b, rate)
}

// bucket returns the bucket of a key, a full one where there is none. l.mu is held.
func (l *Limiter) bucket(k key, rate float64, now time.Time) *bucket {
	b := l.buckets[k]
	if b == nil {
		if len(l.buckets) >= l.sweepAt {
			l.sweep(now)
		}
		b = &bucket{rate: rate, filled: now}
		if l.shared == nil {
			b.tokens = most(rate)
		}
		l.buckets[k] = b
	}
	return b
}

// most is what a bucket holds: one second's rate. A rate below one a second
// still lets a request through from time to time.
func most(rate float64) float64 { return max(rate, 1) }

// fill adds what has come since the last time.
func (b *bucket) fill(rate float64, now time.Time) *bucket {
	if passed := now.Sub(b.filled); passed > 0 {
		b.tokens += passed.Seconds() * rate
		b.filled = now
	}
	b.rate, b.tokens = rate, min(most(rate), b.tokens)
	return b
}

func (b *bucket) take() bool {
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// leastSweep is how many buckets are kept without a look at them.
const leastSweep = 1024

// sweep forgets the buckets that are full again, or that hold nothing of the
// store's: a new one would be no different. What is left was used within the
// last moments, so that memory is bounded by the accounts that are active at
// once. l.mu is held.
func (l *Limiter) sweep(now time.Time) {
	for k, b := range l.buckets {
		passed := now.Sub(b.filled)
		if l.shared != nil && passed > time.Second && !now.Before(b.closed) ||
			l.shared == nil && b.tokens+passed.Seconds()*b.rate >= most(b.rate) {
			delete(l.buckets, k)
		}
	}
	l.sweepAt = max(leastSweep, 2*len(l.buckets))
}

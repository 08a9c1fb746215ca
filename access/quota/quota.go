// Package quota keeps the request rates of accounts: a token bucket for each
// account and operation, in the memory of one server.
//
// It does not count what an account has (open change sets, repositories): those
// limits belong to what they limit.
package quota

import (
	"fmt"
	"strings"
	"sync"
	"time"
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
	}
}

// Config is what a Limiter is made of. The zero value has AWS's rates.
type Config struct {
	// Rates are the requests per second of an account, by "service.Operation";
	// nil takes Defaults. What has no rate, or 0, is not limited.
	Rates map[string]float64
	Off   bool             // nothing is limited
	Clock func() time.Time // nil: time.Now
}

// Limiter says whether an account may do an operation now. It is safe for
// concurrent use.
type Limiter struct {
	rates map[operation]float64
	clock func() time.Time

	mu      sync.Mutex
	buckets map[key]*bucket // guarded by mu
	sweepAt int             // how many buckets make the next sweep; guarded by mu
}

type operation struct{ service, name string }

type key struct {
	account string
	operation
}

// bucket holds the requests that are left, up to one second's rate.
type bucket struct {
	tokens float64
	filled time.Time
}

// New makes a Limiter. Its error names the rate that can't be read.
func New(c Config) (*Limiter, error) {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	l := &Limiter{clock: c.Clock, rates: map[operation]float64{}, buckets: map[key]*bucket{}, sweepAt: leastSweep}
	if c.Off {
		return l, nil
	}
	if c.Rates == nil {
		c.Rates = Defaults()
	}
	for name, rate := range c.Rates {
		service, op, ok := strings.Cut(name, ".")
		if !ok || service == "" || op == "" || rate < 0 {
			return nil, fmt.Errorf("reading rate %q: want service.Operation and a number of requests per second, got %v", name, rate)
		}
		if rate > 0 {
			l.rates[operation{service, op}] = rate
		}
	}
	return l, nil
}

// Allow takes one request from the account's bucket for an operation. It is
// false where the bucket is empty.
func (l *Limiter) Allow(account, service, name string) bool {
	rate := l.rates[operation{service, name}]
	if rate == 0 {
		return true
	}
	k := key{account, operation{service, name}}
	now := l.clock()
	// A rate below one a second still lets a request through from time to time.
	most := max(rate, 1)

	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.buckets[k]
	if b == nil {
		if len(l.buckets) >= l.sweepAt {
			l.sweep(now)
		}
		b = &bucket{tokens: most, filled: now}
		l.buckets[k] = b
	} else if passed := now.Sub(b.filled); passed > 0 {
		b.tokens = min(most, b.tokens+passed.Seconds()*rate)
		b.filled = now
	}
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// leastSweep is how many buckets are kept without a look at them.
const leastSweep = 1024

// sweep forgets the buckets that are full again: a new one would be no
// different. What is left was used within the last moments, so that memory is
// bounded by the accounts that are active at once. l.mu is held.
func (l *Limiter) sweep(now time.Time) {
	for k, b := range l.buckets {
		rate := l.rates[k.operation]
		if b.tokens+now.Sub(b.filled).Seconds()*rate >= max(rate, 1) {
			delete(l.buckets, k)
		}
	}
	l.sweepAt = max(leastSweep, 2*len(l.buckets))
}

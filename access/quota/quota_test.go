package quota

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// clock is a time that tests move.
type clock struct{ now time.Time }

func newClock() *clock { return &clock{time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time { return c.now }

func limiter(t testing.TB, c Config) *Limiter {
	t.Helper()
	l, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestSixthStartChangeSetWithinASecondIsRefused(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := limiter(t, Config{Clock: c.Now})
	allow := func() bool { return l.Allow(t.Context(), "123456789012", "marketplacecatalog", "StartChangeSet") }
	for i := range 5 {
		if !allow() {
			t.Fatalf("request %d of the first second was refused", i+1)
		}
	}
	if allow() {
		t.Fatal("the sixth request was allowed")
	}
	if !l.Allow(t.Context(), "210987654321", "marketplacecatalog", "StartChangeSet") {
		t.Error("another account was refused")
	}
	if !l.Allow(t.Context(), "123456789012", "marketplacecatalog", "ListChangeSets") {
		t.Error("another operation was refused")
	}
	c.now = c.now.Add(200 * time.Millisecond)
	if !allow() {
		t.Error("a fifth of a second later no request was allowed")
	}
	if allow() {
		t.Error("a fifth of a second gave two requests")
	}
	c.now = c.now.Add(time.Hour)
	for i := range 5 {
		if !allow() {
			t.Errorf("an hour later request %d was refused", i+1)
		}
	}
	if allow() {
		t.Error("an hour saved more than one second's rate")
	}
}

func TestNoRateNoLimit(t *testing.T) {
	t.Parallel()
	for name, l := range map[string]*Limiter{
		"off":               limiter(t, Config{Off: true}),
		"unknown operation": limiter(t, Config{Rates: map[string]float64{"a.B": 1}}),
		"rate of zero":      limiter(t, Config{Rates: map[string]float64{"marketplacecatalog.StartChangeSet": 0}}),
	} {
		for range 1000 {
			if !l.Allow(t.Context(), "1", "marketplacecatalog", "StartChangeSet") {
				t.Errorf("%s: refused", name)
				break
			}
		}
	}
}

func TestUnreadableRates(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"StartChangeSet", ".StartChangeSet", "marketplacecatalog.", ""} {
		if _, err := New(Config{Rates: map[string]float64{name: 1}}); err == nil {
			t.Errorf("the rate %q was accepted", name)
		}
	}
	if _, err := New(Config{Rates: map[string]float64{"a.B": -1}}); err == nil {
		t.Error("a negative rate was accepted")
	}
}

func TestBucketsOfIdleAccountsAreForgotten(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := limiter(t, Config{Clock: c.Now, Rates: map[string]float64{"a.B": 1}})
	for i := range 100_000 {
		c.now = c.now.Add(time.Millisecond) // a thousand accounts a second
		l.Allow(t.Context(), fmt.Sprint(i), "a", "B")
		if len(l.buckets) > 4*leastSweep {
			t.Fatalf("%d buckets are kept after %d accounts", len(l.buckets), i+1)
		}
	}
}

// TestNeverMoreThanTheRate lets requests come at random times: in no window may
// more pass than the rate gives and one second's rate that was saved.
func TestNeverMoreThanTheRate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := newClock()
		begin := c.now
		rate := float64(rapid.IntRange(1, 20).Draw(t, "rate"))
		l, err := New(Config{Clock: c.Now, Rates: map[string]float64{"a.B": rate}})
		if err != nil {
			t.Fatal(err)
		}
		passed := 0
		for i, pause := range rapid.SliceOfN(rapid.IntRange(-5, 400), 1, 100).Draw(t, "pauses") {
			c.now = c.now.Add(time.Duration(pause) * time.Millisecond)
			if l.Allow(t.Context(), "1", "a", "B") {
				passed++
			}
			latest := c.now.Sub(begin).Seconds() + 0.5 // clocks that go back gain nothing but rounding
			if float64(passed) > rate+latest*rate+1 {
				t.Fatalf("after request %d: %d passed in %.3f s at rate %v", i, passed, latest, rate)
			}
		}
	})
}

func TestConcurrentRequestsShareABucket(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := limiter(t, Config{Clock: c.Now, Rates: map[string]float64{"a.B": 50}})
	var passed atomic.Int64
	done := make(chan struct{})
	for range 20 {
		go func() {
			for range 20 {
				if l.Allow(t.Context(), "1", "a", "B") {
					passed.Add(1)
				}
			}
			done <- struct{}{}
		}()
	}
	for range 20 {
		<-done
	}
	if n := passed.Load(); n != 50 {
		t.Errorf("%d of 400 requests passed, want 50", n)
	}
}

func BenchmarkAllow(b *testing.B) {
	l := limiter(b, Config{Rates: map[string]float64{"a.B": 1e9}})
	b.ReportAllocs()
	for b.Loop() {
		l.Allow(b.Context(), "123456789012", "a", "B")
	}
}

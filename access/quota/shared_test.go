package quota

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"souk/storage/store"
	"souk/storage/store/sqlite/sqlitetest"
)

func open(t *testing.T) store.Store {
	t.Helper()
	return sqlitetest.Open(t)
}

// nodes are limiters of several servers on one store.
func nodes(t *testing.T, n int, c *clock, s store.Store, rates map[string]float64) []*Limiter {
	t.Helper()
	all := make([]*Limiter, n)
	for i := range all {
		all[i] = limiter(t, Config{Clock: c.Now, Rates: rates, Shared: s})
		all[i].shared.now = func(context.Context) (time.Time, error) { return c.now, nil }
	}
	return all
}

func TestSumOfSeveralServersIsTheRateOfOne(t *testing.T) {
	t.Parallel()
	const seconds, step = 10, 10 * time.Millisecond
	for _, load := range []struct {
		name string
		asks func(node, tick int) bool
	}{
		{"all ask", func(node, tick int) bool { return true }},
		{"one asks", func(node, tick int) bool { return node == 0 }},
		{"one asks four times as often", func(node, tick int) bool { return node == 0 || tick%4 == 0 }},
		{"they take turns of a second", func(node, tick int) bool { return tick/100%3 == node }},
	} {
		for _, rate := range []float64{1, 5, 40} {
			t.Run(fmt.Sprintf("%s, %v a second", load.name, rate), func(t *testing.T) {
				t.Parallel()
				c := newClock()
				all := nodes(t, 3, c, open(t), map[string]float64{"a.B": rate})
				passed := 0
				for tick := range int(seconds * time.Second / step) {
					c.now = c.now.Add(step)
					for i, l := range all {
						if load.asks(i, tick) && l.Allow(t.Context(), "1", "a", "B") {
							passed++
						}
					}
				}
				// One second's rate was saved when it began.
				want := rate*seconds + rate
				if got := float64(passed); got > want*1.1 || got < want*0.9 {
					t.Errorf("%d requests passed in %d seconds, want %v", passed, seconds, want)
				}
			})
		}
	}
}

func TestAccountThatAsksOftenTakesNothingFromOthers(t *testing.T) {
	t.Parallel()
	c := newClock()
	all := nodes(t, 2, c, open(t), map[string]float64{"a.B": 2})
	quiet := 0
	for tick := range 200 { // 10 s
		c.now = c.now.Add(50 * time.Millisecond)
		for range 20 {
			all[tick%2].Allow(t.Context(), "loud", "a", "B")
		}
		if tick%10 == 0 && all[tick/10%2].Allow(t.Context(), "quiet", "a", "B") {
			quiet++
		}
	}
	if quiet != 20 {
		t.Errorf("of 20 requests within the rate %d passed", quiet)
	}
}

func TestClockThatWentBackClosesNothingForLong(t *testing.T) {
	t.Parallel()
	c, s := newClock(), open(t)
	c.now = c.now.Add(time.Hour)
	if !nodes(t, 1, c, s, map[string]float64{"a.B": 1})[0].Allow(t.Context(), "1", "a", "B") {
		t.Fatal("the first request was refused")
	}
	c.now = c.now.Add(-time.Hour)
	l := nodes(t, 1, c, s, map[string]float64{"a.B": 1})[0]
	l.Allow(t.Context(), "1", "a", "B")
	c.now = c.now.Add(2 * time.Second)
	if !l.Allow(t.Context(), "1", "a", "B") {
		t.Error("after two seconds no request was allowed")
	}
}

// broken is a store that doesn't answer.
type broken struct{ store.Store }

func (broken) Get(context.Context, store.Key) (store.Document, error) {
	return store.Document{}, errors.New("gone")
}
func (broken) Now(context.Context) (time.Time, error) { return time.Time{}, errors.New("gone") }

func TestStoreThatDoesNotAnswerRefusesNobody(t *testing.T) {
	t.Parallel()
	l := limiter(t, Config{Rates: map[string]float64{"a.B": 1}, Shared: broken{}, Log: slog.New(slog.DiscardHandler)})
	for range 3 {
		if !l.Allow(t.Context(), "1", "a", "B") {
			t.Error("a request was refused because the store is gone: what it does says that better")
		}
	}
}

func TestChangedSettings(t *testing.T) {
	t.Parallel()
	s := open(t)
	known := func(name string) bool { return name == "a.B" }
	mine, theirs := NewSettings(s, known, slog.Default()), NewSettings(s, known, slog.Default())
	set := func(account, name string, v float64) {
		t.Helper()
		if err := mine.Set(t.Context(), Setting{account, name, v}); err != nil {
			t.Fatal(err)
		}
		if err := theirs.Load(t.Context()); err != nil { // as Run does
			t.Fatal(err)
		}
	}
	c := newClock()
	passes := func(account string) (n int) {
		l := limiter(t, Config{Clock: c.Now, Settings: theirs, Rates: map[string]float64{"a.B": 5}})
		for n < 100 && l.Allow(t.Context(), account, "a", "B") {
			n++
		}
		return n
	}
	want := func(one, other int) {
		t.Helper()
		if a, b := passes("1"), passes("2"); a != one || b != other {
			t.Errorf("%d and %d requests passed, want %d and %d", a, b, one, other)
		}
	}
	want(5, 5)
	set("1", "a.B", 9)
	want(9, 5)
	set(AllAccounts, "a.B", 3)
	want(9, 3)
	set("1", "a.B", Unlimited)
	want(100, 3)
	if err := mine.Reset(t.Context(), "1", "a.B"); err != nil {
		t.Fatal(err)
	}
	if err := theirs.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	want(3, 3)

	set("1", OpenChangeSets, 7)
	if a, b := theirs.Limit("1", OpenChangeSets, 250), theirs.Limit("2", OpenChangeSets, 250); a != 7 || b != 250 {
		t.Errorf("open change sets: %d and %d, want 7 and 250", a, b)
	}
	all, err := theirs.List(t.Context())
	if err != nil || fmt.Sprint(all) != "[{* a.B 3} {1 marketplacecatalog.OpenChangeSets 7}]" {
		t.Errorf("got %v, %v", all, err)
	}
}

func TestSettingsThatAreRefused(t *testing.T) {
	t.Parallel()
	settings := NewSettings(open(t), func(name string) bool { return name == "a.B" }, slog.Default())
	for name, c := range map[string]struct {
		Setting
		want error
	}{
		"unknown operation":       {Setting{"1", "a.C", 1}, ErrUnknown},
		"no operation":            {Setting{"1", "", 1}, ErrUnknown},
		"negative rate":           {Setting{"1", "a.B", -1}, ErrValue},
		"rate beyond all":         {Setting{"1", "a.B", 1e9}, ErrValue},
		"half an open change set": {Setting{"1", OpenChangeSets, 1.5}, ErrValue},
	} {
		if err := settings.Set(t.Context(), c.Setting); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

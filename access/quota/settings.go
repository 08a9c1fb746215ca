package quota

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"souk/storage/store"
)

// kindSetting is the kind of the documents that hold what operators changed:
// "ACCOUNT/service.Name", with the value as its summary.
const kindSetting = "quota"

// AllAccounts stands for every account that has no value of its own.
const AllAccounts = "*"

// Unlimited is the value that lifts a rate or a limit.
const Unlimited = 0

// Setting is a rate or a limit that an operator has changed.
type Setting struct {
	Account string  // or AllAccounts
	Name    string  // "service.Operation" for its rate, OpenChangeSets, OpenBuilds, ImageBuilders or AppStreamImages
	Value   float64 // requests per second, or how many; Unlimited
}

// Errors of Set, to be tested with errors.Is.
var (
	ErrUnknown = errors.New("there is no such quota")
	ErrValue   = errors.New("no value for a quota")
)

// Settings are the rates and limits that operators have changed, for one account
// or for all. They are in the store, and each server knows them: its own changes
// at once, those of others within Every.
type Settings struct {
	store store.Store
	known func(name string) bool
	log   *slog.Logger
	table atomic.Pointer[table]
}

// Every is how often a server looks for changes that others made.
const Every = 2 * time.Second

// table has the values by account and operation.
type table map[string]map[operation]float64

// NewSettings returns settings that know nothing until Load. known says which
// operations there are, by "service.Operation".
func NewSettings(s store.Store, known func(name string) bool, log *slog.Logger) *Settings {
	settings := &Settings{store: s, known: known, log: log}
	settings.table.Store(&table{})
	return settings
}

// of returns an account's value, its own or that of all.
func (s *Settings) of(account string, op operation) (float64, bool) {
	t := *s.table.Load()
	if len(t) == 0 {
		return 0, false
	}
	if v, ok := t[account][op]; ok {
		return v, true
	}
	v, ok := t[AllAccounts][op]
	return v, ok
}

// Limit returns how many an account may have of what a name says, or otherwise
// where no operator has said.
func (s *Settings) Limit(account, name string, otherwise int) int {
	op, _ := readOperation(name)
	v, ok := s.of(account, op)
	switch {
	case !ok:
		return otherwise
	case v == Unlimited:
		return -1
	}
	return int(v)
}

// Load reads all settings.
func (s *Settings) Load(ctx context.Context) error {
	all, err := s.List(ctx)
	if err != nil {
		return err
	}
	t := table{}
	for _, v := range all {
		op, _ := readOperation(v.Name)
		if t[v.Account] == nil {
			t[v.Account] = map[operation]float64{}
		}
		t[v.Account][op] = v.Value
	}
	s.table.Store(&t)
	return nil
}

// Run looks for the changes of other servers until ctx ends.
func (s *Settings) Run(ctx context.Context) error {
	tick := time.NewTicker(Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := s.Load(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "changed quotas could not be read: those that are known hold", "error", err)
		}
	}
}

// List returns all settings, by account and name.
func (s *Settings) List(ctx context.Context) ([]Setting, error) {
	var all []Setting
	q := store.Query{Kind: kindSetting, Index: "all", Limit: 1000}
	for {
		page, err := s.store.List(ctx, q)
		if err != nil {
			return nil, fmt.Errorf("listing changed quotas: %w", err)
		}
		for _, d := range page.Documents {
			account, name, _ := strings.Cut(d.ID, "/")
			v, err := strconv.ParseFloat(string(d.Summary), 64)
			if err != nil {
				return nil, fmt.Errorf("reading quota %s: %w", d.ID, err)
			}
			all = append(all, Setting{Account: account, Name: name, Value: v})
		}
		if !page.More {
			break
		}
		q.After = page.Next
	}
	slices.SortFunc(all, func(a, b Setting) int {
		return strings.Compare(a.Account+"/"+a.Name, b.Account+"/"+b.Name)
	})
	return all, nil
}

// Set changes a rate or a limit. ErrUnknown, ErrValue.
func (s *Settings) Set(ctx context.Context, v Setting) error {
	err := s.check(v)
	if err != nil {
		return err
	}
	id := v.Account + "/" + v.Name
	return s.commit(ctx, id, store.Batch{Put: []store.Write{{Was: store.Any, Document: store.Document{
		Key:     store.Key{Kind: kindSetting, ID: id},
		Summary: []byte(strconv.FormatFloat(v.Value, 'g', -1, 64)),
		Index:   []store.Entry{{Index: "all"}},
	}}}})
}

// Reset gives an account what all have, or all what AWS gives. ErrUnknown.
func (s *Settings) Reset(ctx context.Context, account, name string) error {
	err := s.check(Setting{Account: account, Name: name, Value: 1})
	if err != nil {
		return err
	}
	id := account + "/" + name
	return s.commit(ctx, id, store.Batch{Delete: []store.Removal{{Key: store.Key{Kind: kindSetting, ID: id}, Was: store.Any}}})
}

func (s *Settings) commit(ctx context.Context, id string, b store.Batch) error {
	if err := s.store.Commit(ctx, b); err != nil {
		return fmt.Errorf("changing quota %s: %w", id, err)
	}
	return s.Load(ctx)
}

func (s *Settings) check(v Setting) error {
	if !IsLimit(v.Name) && !s.known(v.Name) {
		return fmt.Errorf("%q is neither an operation such as marketplacecatalog.StartChangeSet nor %s nor %s: %w", v.Name, OpenChangeSets, OpenBuilds, ErrUnknown)
	}
	if v.Value < 0 || v.Value > 1e6 || math.IsNaN(v.Value) || IsLimit(v.Name) && v.Value != math.Trunc(v.Value) {
		return fmt.Errorf("%v of %s: want up to a million, not less than 0, and a whole number of change sets and builds: %w", v.Value, v.Name, ErrValue)
	}
	return nil
}

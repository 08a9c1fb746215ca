// Package scenario lets people who test their pipelines decide what happens
// next: rules that hold a change set, refuse it, keep it under review, or
// disturb the call that starts it. It is off until rules are applied.
//
// It knows what a rule means; that a set is held and a call disturbed is done
// by catalog/changeset and the gateway, which ask it.
package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"souk/catalog/change"
	"souk/catalog/changeset"
	"souk/storage/store"
)

// Config is what Scenarios are made of.
type Config struct {
	Store store.Store      // required
	Clock func() time.Time // nil: time.Now
	// Exposed: others than this machine reach the server. Then rules need force.
	Exposed bool
	// Known is what rules can be about; Apply refuses others.
	Known Known
}

// Scenarios are the rules of a market. They are kept in its store: all nodes
// follow them, and a restart changes nothing. Methods may be called concurrently.
type Scenarios struct {
	config Config

	mu     sync.Mutex // guards what follows
	last   *State     // as it was read last, nil while there are no rules
	looked time.Time  // when that was
}

var _ changeset.Director = (*Scenarios)(nil)

// State is what is in force.
type State struct {
	Rules   []Rule
	Used    []int // how often each rule has acted
	Applied time.Time
	Forced  bool `json:",omitzero"` // also on a server that others reach
}

// ErrExposed: the server is reached by others, and rules were not forced on it.
var ErrExposed = errors.New("others reach this server: whoever publishes there would meet the scenario. Repeat it with --force if that is wanted")

// key is where the rules are kept.
var key = store.Key{Kind: "scenario", ID: "rules"}

// fresh is for how long a node that has seen no rules does not look again.
const fresh = time.Second

// New returns the scenarios of a store.
func New(c Config) *Scenarios {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	return &Scenarios{config: c}
}

// Know adds an operation to those that rules can be about. It is called before
// anything else.
func (s *Scenarios) Know(action string) {
	s.config.Known.Actions = append(s.config.Known.Actions, action)
}

// Apply puts rules in force, in the place of those that were, and counts anew.
func (s *Scenarios) Apply(ctx context.Context, f File, force bool) (State, error) {
	if err := f.check(); err != nil {
		return State{}, err
	}
	if err := f.unknown(s.config.Known); err != nil {
		return State{}, err
	}
	if s.config.Exposed && !force {
		return State{}, ErrExposed
	}
	state := State{Rules: f.Rules, Used: make([]int, len(f.Rules)), Applied: s.config.Clock().UTC().Truncate(time.Second), Forced: force}
	w, err := state.write(store.Any)
	if err != nil {
		return State{}, err
	}
	if err := s.config.Store.Commit(ctx, store.Batch{Put: []store.Write{w}}); err != nil {
		return State{}, fmt.Errorf("applying a scenario: %w", err)
	}
	s.saw(&state)
	return state, nil
}

// Clear ends all rules. Sets that they hold stay as they were directed.
func (s *Scenarios) Clear(ctx context.Context) error {
	err := s.config.Store.Commit(ctx, store.Batch{Delete: []store.Removal{{Key: key, Was: store.Any}}})
	if err != nil {
		return fmt.Errorf("clearing the scenario: %w", err)
	}
	s.saw(nil)
	return nil
}

// State returns what is in force; nil if nothing is.
func (s *Scenarios) State(ctx context.Context) (*State, error) {
	state, _, err := s.read(ctx)
	return state, err
}

func (s *State) write(was int64) (store.Write, error) {
	body, err := json.Marshal(s)
	if err != nil {
		return store.Write{}, fmt.Errorf("encoding the scenario: %w", err)
	}
	return store.Write{Was: was, Document: store.Document{Key: key, Body: body}}, nil
}

// read reads the rules; nil if there are none that are in force here.
func (s *Scenarios) read(ctx context.Context) (*State, int64, error) {
	d, err := s.config.Store.Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		s.saw(nil)
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("reading the scenario: %w", err)
	}
	state := &State{}
	if err := json.Unmarshal(d.Body, state); err != nil {
		return nil, 0, fmt.Errorf("decoding the scenario: %w", err)
	}
	if len(state.Used) != len(state.Rules) {
		return nil, 0, errors.New("decoding the scenario: its counts are damaged")
	}
	if s.config.Exposed && !state.Forced {
		state = nil
	}
	s.saw(state)
	return state, d.Revision, nil
}

// saw notes what is in force.
func (s *Scenarios) saw(state *State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last, s.looked = state, time.Now()
}

// Idle implements changeset.Director: there was nothing in force a moment ago.
func (s *Scenarios) Idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last == nil && time.Since(s.looked) < fresh
}

// On says how many rules are in force: also those that another node applied, or
// this one before its restart.
func (s *Scenarios) On(ctx context.Context) (int, error) {
	if s.Idle() {
		return 0, nil
	}
	state, err := s.State(ctx)
	if err != nil || state == nil {
		return 0, err
	}
	return len(state.Rules), nil
}

// Direct implements changeset.Director. The first rule that fits acts; that it
// has is counted by the commit that stores the set.
func (s *Scenarios) Direct(ctx context.Context, set changeset.Starting) (*changeset.Direction, []store.Write, error) {
	state, revision, err := s.read(ctx)
	if err != nil || state == nil {
		return nil, nil, err
	}
	for i := range state.Rules {
		r := &state.Rules[i]
		if !r.directs() || state.spent(i) {
			continue
		}
		at := r.fits(call{action: startChangeSet, account: set.Account, name: set.Name, changes: set.Changes})
		if at < 0 {
			continue
		}
		d := &changeset.Direction{
			Rule: r.Name, Review: r.Review, Fault: r.ServerFault, Change: at,
			Prepares: changeset.Milliseconds(time.Duration(r.HoldPreparing).Milliseconds()),
			Applies:  changeset.Milliseconds(time.Duration(r.HoldApplying).Milliseconds()),
		}
		if r.Fail != nil {
			d.Refuse = &change.Refusal{ErrorCode: r.Fail.Code, ErrorMessage: r.Fail.Message}
		}
		state.Used[i]++
		w, err := state.write(revision)
		return d, []store.Write{w}, err
	}
	return nil, nil, nil
}

// Call is a request as rules see it.
type Call struct {
	Action  string // of the service, such as StartChangeSet
	Account string
	Name    string // ChangeSetName of StartChangeSet
	Changes []changeset.StartingChange
}

// Disturbance is what happens to a call beside its work.
type Disturbance struct {
	Wait     time.Duration // before it is worked on
	Throttle bool          // it is refused as if it were one too many
	Drop     bool          // it is done, and the connection cut without an answer
}

// Disturb says what happens to a call. The first rule that fits acts.
func (s *Scenarios) Disturb(ctx context.Context, c Call) (Disturbance, error) {
	if s.Idle() {
		return Disturbance{}, nil
	}
	for range maxRounds {
		state, revision, err := s.read(ctx)
		if err != nil || state == nil {
			return Disturbance{}, err
		}
		i := slices.IndexFunc(indexes(state.Rules), func(i int) bool {
			r := &state.Rules[i]
			return !r.directs() && !state.spent(i) && r.fits(call{action: c.Action, account: c.Account, name: c.Name, changes: c.Changes}) >= 0
		})
		if i < 0 {
			return Disturbance{}, nil
		}
		r := state.Rules[i]
		state.Used[i]++
		w, err := state.write(revision)
		if err != nil {
			return Disturbance{}, err
		}
		err = s.config.Store.Commit(ctx, store.Batch{Put: []store.Write{w}})
		switch {
		case err == nil:
			return Disturbance{Wait: time.Duration(r.Delay), Throttle: r.Throttle, Drop: r.Drop}, nil
		case !errors.Is(err, store.ErrConflict):
			return Disturbance{}, fmt.Errorf("counting rule %s: %w", r.Name, err)
		}
	}
	return Disturbance{}, errors.New("counting a rule of the scenario: it changes too often")
}

// indexes are the places of rules: 0, 1, ...
func indexes(rules []Rule) []int {
	all := make([]int, len(rules))
	for i := range all {
		all[i] = i
	}
	return all
}

const maxRounds = 100

// spent says whether a rule has acted as often as it may.
func (s *State) spent(i int) bool {
	return s.Rules[i].Times > 0 && s.Used[i] >= s.Rules[i].Times
}

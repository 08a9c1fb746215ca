// Package changeset is the engine behind StartChangeSet: it keeps change sets
// and entities, and takes every set from PREPARING to SUCCEEDED, FAILED or
// CANCELLED. It has the locks, the order of changes, the references between
// them, the idempotency tokens and the lists; what a change type means is in
// catalog/change and the rooms of the entities, and how a request arrives is
// the business of service/marketplacecatalog.
//
// Documents and who may write them:
//
//	changeset  by Start; then by whoever holds its revision: the worker that
//	           claimed it, or Cancel while it is PREPARING
//	entity     by the commit that ends a set as SUCCEEDED, and by nothing else;
//	           the document's revision is the public one
//	lock       one for each entity, by Start and by the commits that end a set
//	token      by Start; deleted with its set
//	repository, tag, ... (change.Claim)  by the commit that ends a set
//
// A state is left only by a commit that names the revision in which it was
// read. So whatever dies in between, each step happens once or not at all, and
// the next worker goes on from the state that is stored.
package changeset

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"souk/catalog/change"
	"souk/storage/store"
	"souk/storage/work"
)

// Config is what an Engine is made of. Only Store, Types and Keys are required.
type Config struct {
	Store store.Store
	Types []*change.EntityType
	World change.World // what probes may ask; without Names, the engine's own claims answer
	// Later has what is documented and not offered yet, so that requests for it
	// are told so: entity types without version, and change types of Types.
	Later map[string][]string
	Keys  Sealer // seals page tokens

	// Sellers finds what change types must know of an account. Nil: the
	// namespace of an account is "seller-" and its id.
	Sellers func(ctx context.Context, account string) (change.Seller, error)

	// Beside, if set, gives the documents that are written in the commit that
	// writes an entity, whatever of them is stored: their kinds are no kinds of
	// the engine's. It is pure, as Apply is.
	Beside func(e change.Entity, state any) ([]store.Write, error)

	// Director, if set, is asked about every set that is started.
	Director Director

	// Announce, if set, says what the end of a set writes beside it.
	Announce Announcer

	Owner string           // names this node, new at each start; "": random
	Clock func() time.Time // nil: time.Now
	Rand  io.Reader        // of ids; nil: crypto/rand
	Log   *slog.Logger     // nil: slog.Default()

	// StrictDetails refuses members of Details that the change type does not
	// have, which are ignored and logged otherwise.
	StrictDetails bool

	// OpenSets is how many change sets of an account may be open at once; below 1
	// is no bound. Nil: 250.
	OpenSets func(account string) int
	History  time.Duration // how long a set is kept after its end; 0: 60 days

	// Retry has the pauses between the tries of a probe that fails by our
	// fault; after the last one the set ends with SERVER_FAULT. Nil: 1 s, 4 s,
	// 15 s, 60 s.
	Retry []time.Duration
	// ProbeTime is how long one try of a set's probes may take. 0: 2 minutes.
	ProbeTime time.Duration

	Lease   time.Duration // of a set with a worker; 0: 5 s
	Workers int           // sets that are worked on at once, slow probes not counted; 0: 256

	// Observe, if set, is told of every step of every set on this node, after
	// it is durable. It must be quick, and is called from many goroutines.
	Observe func(Event)
}

// Sealer makes page tokens that only we can read (access/keyring.Ring).
type Sealer interface {
	Seal(purpose string, plain, bound []byte) []byte
	Open(purpose string, sealed, bound []byte) ([]byte, error)
}

// Event is a step of a change set.
type Event struct {
	ChangeSetID string
	Step        Step
	Status      Status // after the step
}

// Step names what happened to a change set.
type Step string

// The steps. Started and Ended come once for each set, the others may repeat.
const (
	Started  Step = "started"  // Start stored it
	Taken    Step = "taken"    // a worker of this node begins or goes on
	Probing  Step = "probing"  // its probes begin
	Prepared Step = "prepared" // PREPARING ended well, it is APPLYING
	Retried  Step = "retried"  // a probe failed by our fault and will be tried again
	Ended    Step = "ended"    // SUCCEEDED, FAILED or CANCELLED
	Lost     Step = "lost"     // another node has it, or it was cancelled
	Swept    Step = "swept"    // its history ended, it was deleted
)

// Engine keeps change sets and entities. Make it with New; its methods may be
// called from any goroutine, on any number of nodes that share a store.
type Engine struct {
	cfg     Config
	store   store.Store
	types   map[string]*change.EntityType // by Name@Version
	names   map[string]*change.EntityType // by Name
	changes map[typeKey]*change.Type
	runner  *work.Runner

	starting atomic.Int64 // calls of Start that store their set now
	crowded  atomic.Int64 // when they were last a crowd: Unix time in nanoseconds

	firstLook, mostFound int // the constants of their names; tests have others

	haveTerms atomic.Bool // once searchable has found that all entities have their terms
}

// crowd is the number of callers that wait for Start from which on the workers
// make room: a request's answer is waited for, a set's end is polled.
const crowd = 8

// rush is how long they make room behind a crowd: between two requests of a
// client passes the time that it takes to read an answer.
const rush = 5 * time.Millisecond

// waiting is how many sets may wait for a worker of the node that started
// them; each takes a few kilobytes. More are claimed when there is room, which
// costs a write and a read of each.
const waiting = 16384

type typeKey struct{ entity, change string }

// New makes an Engine. It starts nothing: see Run.
func New(cfg Config) (*Engine, error) {
	if cfg.Store == nil || len(cfg.Types) == 0 || cfg.Keys == nil {
		return nil, errors.New("change set engine: Store, Types and Keys are required")
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.OpenSets == nil {
		cfg.OpenSets = func(string) int { return 250 }
	}
	if cfg.History <= 0 {
		cfg.History = 60 * 24 * time.Hour
	}
	if cfg.Retry == nil {
		cfg.Retry = []time.Duration{time.Second, 4 * time.Second, 15 * time.Second, time.Minute}
	}
	if cfg.ProbeTime <= 0 {
		cfg.ProbeTime = 2 * time.Minute
	}
	if cfg.Observe == nil {
		cfg.Observe = func(Event) {}
	}
	if cfg.Sellers == nil {
		cfg.Sellers = func(_ context.Context, account string) (change.Seller, error) {
			return change.Seller{Account: account, Namespace: "seller-" + account}, nil
		}
	}
	e := &Engine{
		cfg: cfg, store: cfg.Store, firstLook: firstLook, mostFound: mostFound,
		types:   map[string]*change.EntityType{},
		names:   map[string]*change.EntityType{},
		changes: map[typeKey]*change.Type{},
	}
	for _, et := range cfg.Types {
		full := et.Name + "@" + et.Version
		if e.names[et.Name] != nil {
			return nil, fmt.Errorf("change set engine: entity type %s is listed twice", et.Name)
		}
		e.types[full], e.names[et.Name] = et, et
		for i := range et.Types {
			e.changes[typeKey{full, et.Types[i].Name}] = &et.Types[i]
		}
	}
	if cfg.Owner == "" {
		var b [10]byte
		if _, err := io.ReadFull(cfg.Rand, b[:]); err != nil {
			return nil, fmt.Errorf("change set engine: naming this node: %w", err)
		}
		e.cfg.Owner = "node-" + hex.EncodeToString(b[:])
	}
	e.runner = work.New(work.Config{
		Store: cfg.Store, Kind: kindSet, Owner: e.cfg.Owner, Do: e.do,
		Lease: cfg.Lease, Slots: cfg.Workers, Log: cfg.Log,
		Busy: e.busy,
		Most: waiting,
	})
	return e, nil
}

// busy says whether many wait for Start, or did a moment ago.
func (e *Engine) busy() bool {
	now := time.Now().UnixNano()
	if e.starting.Load() >= crowd {
		e.crowded.Store(now)
		return true
	}
	return now-e.crowded.Load() < int64(rush)
}

// Run works on change sets until ctx ends, then finishes the steps under way
// and returns nil. Sets that are not ended by then wait for the next node.
func (e *Engine) Run(ctx context.Context) error {
	var terms sync.WaitGroup
	defer terms.Wait()
	terms.Go(func() { e.tryTerms(ctx) })
	return e.runner.Run(ctx)
}

// EntityTypes returns the names (without version) of the entity types that the
// engine knows, in the order of the configuration.
func (e *Engine) EntityTypes() []string {
	var names []string
	for _, et := range e.cfg.Types {
		names = append(names, et.Name)
	}
	return names
}

// now is the time that documents show: UTC, to the microsecond.
func (e *Engine) now() time.Time { return e.cfg.Clock().UTC().Truncate(time.Microsecond) }

func (e *Engine) observe(id string, step Step, status Status) {
	e.cfg.Observe(Event{ChangeSetID: id, Step: step, Status: status})
}

// commitTime bounds a commit or read that must not be given up when a client
// goes away or the node stops.
const commitTime = 30 * time.Second

// durable returns a context for such a commit.
func durable(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), commitTime)
}

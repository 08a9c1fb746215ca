package changeset

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"souk/access/keyring"
	"souk/catalog/change"
	"souk/gateway/apierror"
	"souk/storage/store"
	"souk/storage/store/postgres"
	"souk/storage/store/postgres/pgtest"
	"souk/storage/store/sqlite/sqlitetest"
	"souk/storage/worktest"
)

const (
	alice = "111111111111"
	bob   = "222222222222"
)

// eachStore runs a test on every database.
func eachStore(t *testing.T, test func(t *testing.T, s store.Store)) {
	t.Helper()
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

var stores = map[string]func(t testing.TB) store.Store{"sqlite": openSQLite, "postgres": openPostgres}

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func openPostgres(t testing.TB) store.Store {
	t.Helper()
	s, err := postgres.Open(context.Background(), postgres.Config{URL: pgtest.Start(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func openSQLite(t testing.TB) store.Store {
	t.Helper()
	return sqlitetest.Open(t)
}

// market is an engine with what a test needs around it.
type market struct {
	*Engine
	t testing.TB

	mu     sync.Mutex
	events map[string][]Event
	wake   chan struct{} // closed and replaced at each event
	stop   func()
}

// open makes an engine on a store and runs it until the test or stop ends it.
func open(t testing.TB, s store.Store, change func(*Config)) *market {
	t.Helper()
	m := idle(t, s, change)
	m.start()
	return m
}

// idle makes an engine that doesn't work on anything before start.
func idle(t testing.TB, s store.Store, set func(*Config)) *market {
	t.Helper()
	m := &market{t: t, events: map[string][]Event{}, wake: make(chan struct{}), stop: func() {}}
	cfg := Config{
		Store: s, Types: []*change.EntityType{thingType(), rockType()},
		Later: map[string][]string{"Thing": {"AddDimensions"}, "Offer": nil},
		Keys:  keyring.New([32]byte{1}), Observe: m.observed,
		Lease: 5 * time.Second, Retry: []time.Duration{time.Millisecond, time.Millisecond},
		Announce: announced,
		Log:      slog.New(slog.DiscardHandler), // many tests provoke errors
		World: change.World{Logos: logos(func(_ context.Context, url string) (string, error) {
			return "kept:" + url, nil
		})},
	}
	if set != nil {
		set(&cfg)
	}
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	m.Engine = e
	return m
}

func (m *market) start() { m.stop = worktest.Run(m.t, m.Run) }

func (m *market) observed(e Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events[e.ChangeSetID] = append(m.events[e.ChangeSetID], e)
	close(m.wake)
	m.wake = make(chan struct{})
}

// await waits for the n-th event of a kind of a set.
func (m *market) await(id string, step Step) Event { return m.awaitN(id, step, 1) }

func (m *market) awaitN(id string, step Step, n int) Event {
	m.t.Helper()
	timeout := time.After(2 * time.Minute)
	for {
		m.mu.Lock()
		seen := 0
		for _, e := range m.events[id] {
			if e.Step == step {
				if seen++; seen == n {
					m.mu.Unlock()
					return e
				}
			}
		}
		wake := m.wake
		m.mu.Unlock()
		select {
		case <-wake:
		case <-timeout:
			m.t.Fatalf("change set %s: no step %s within 20 s; seen %v", id, step, m.events[id])
		}
	}
}

// count returns how many events of a kind a set had.
func (m *market) count(id string, step Step) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, e := range m.events[id] {
		if e.Step == step {
			n++
		}
	}
	return n
}

// doc is a change whose details are a document: doc("Rename", id, `{...}`).
func doc(changeType, identifier, details string) Change {
	return Change{ChangeType: changeType, EntityType: "Thing@1.0", Identifier: identifier, DetailsDocument: jsontext.Value(details)}
}

// named gives a change a name.
func named(name string, c Change) Change {
	c.ChangeName = name
	return c
}

// onRock makes a change one of a rock.
func onRock(c Change) Change {
	c.EntityType = "Rock@1.0"
	return c
}

func (m *market) begin(changes ...Change) string {
	m.t.Helper()
	id, err := m.Start(context.Background(), &Request{Account: alice, Changes: changes})
	if err != nil {
		m.t.Fatalf("Start: %v", err)
	}
	return id
}

// shortLease makes dead nodes' work come back soon.
func shortLease(c *Config) { c.Lease = 600 * time.Millisecond }

// ended waits until a set has ended, whichever node ends it, and describes it.
func (m *market) ended(id string) *Description {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		d, err := m.Describe(ctx, alice, id)
		if err == nil && d.Status.Ended() {
			m.heard(d)
			return d
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			m.t.Fatalf("change set %s did not end: %+v, %v", id, d, err)
		}
	}
}

func (m *market) described(id string) *Description {
	m.t.Helper()
	d, err := m.Describe(context.Background(), alice, id)
	if err != nil {
		m.t.Fatalf("Describe %s: %v", id, err)
	}
	if d.Status.Ended() {
		m.heard(d)
	}
	return d
}

// succeed runs a set to its good end.
func (m *market) succeed(changes ...Change) *Description {
	m.t.Helper()
	d := m.ended(m.begin(changes...))
	if d.Status != Succeeded {
		m.t.Fatalf("change set %s is %s: %s", d.ID, d.Status, errorsOf(d))
	}
	return d
}

// made returns the id of a new entity.
func (m *market) made(title string) string {
	m.t.Helper()
	d := m.succeed(doc("CreateThing", "", fmt.Sprintf(`{"Title":%q}`, title)))
	id, _, _ := strings.Cut(d.Changes[0].Identifier, "@")
	return id
}

// thing reads an entity's state and revision.
func (m *market) thing(id string) (thing, int64) {
	m.t.Helper()
	var th thing
	s, err := m.Entity(context.Background(), id)
	if err != nil {
		m.t.Fatalf("Entity %s: %v", id, err)
	}
	d, err := s.Describe()
	if err != nil {
		m.t.Fatal(err)
	}
	e, err := m.State(context.Background(), d.Type, id, &th)
	if err != nil {
		m.t.Fatal(err)
	}
	return th, e.Revision
}

// sound fails the test if an invariant of the store doesn't hold.
func (m *market) sound() {
	m.t.Helper()
	found, err := m.Verify(context.Background())
	if err != nil {
		m.t.Fatal(err)
	}
	for _, f := range found {
		m.t.Errorf("finding: %s", f)
	}
}

// errorsOf is the error list of all changes: "CODE: message" in lines.
func errorsOf(d *Description) string {
	var lines []string
	for _, c := range d.Changes {
		for _, e := range c.Errors {
			lines = append(lines, e.ErrorCode+": "+e.ErrorMessage)
		}
	}
	return strings.Join(lines, "\n")
}

// refused checks that err is an API error of a code with a text in its message.
func refused(t testing.TB, err error, code, message string) {
	t.Helper()
	var e *apierror.Error
	if !errors.As(err, &e) {
		t.Fatalf("got error %v, want %s", err, code)
	}
	if e.Code != code || !strings.Contains(e.Message, message) {
		t.Fatalf("got error %v, want %s with %q", err, code, message)
	}
}

package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"souk/storage/store"
	"souk/storage/store/postgres"
	"souk/storage/store/postgres/pgtest"
	"souk/storage/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func open(t testing.TB, url string) *postgres.Store {
	t.Helper()
	return openWith(t, postgres.Config{URL: url})
}

func openWith(t testing.TB, config postgres.Config) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), config)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, pgtest.Start(t)) })
}

func TestStoreWhereAllCommitsWaitForOneAnother(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store {
		return openWith(t, postgres.Config{URL: pgtest.Start(t), Groups: 1})
	})
}

func BenchmarkStore(b *testing.B) {
	storetest.Benchmark(b, func(b *testing.B) store.Store { return open(b, pgtest.Start(b)) })
}

// nodes is several stores on one database: each call goes to the next.
type nodes struct {
	all  []store.Store
	next atomic.Uint64
}

func (n *nodes) any() store.Store { return n.all[n.next.Add(1)%uint64(len(n.all))] }

func (n *nodes) Get(ctx context.Context, key store.Key) (store.Document, error) {
	return n.any().Get(ctx, key)
}

func (n *nodes) GetAll(ctx context.Context, keys []store.Key) ([]store.Document, error) {
	return n.any().GetAll(ctx, keys)
}

func (n *nodes) List(ctx context.Context, q store.Query) (store.Page, error) {
	return n.any().List(ctx, q)
}

func (n *nodes) Commit(ctx context.Context, b store.Batch) error { return n.any().Commit(ctx, b) }

func (n *nodes) Claim(ctx context.Context, kind string, m int, owner string, lease time.Duration) ([]store.Document, error) {
	return n.any().Claim(ctx, kind, m, owner, lease)
}

func (n *nodes) Walk(ctx context.Context, kind string, look func(store.Document) error) error {
	return n.any().(store.Walker).Walk(ctx, kind, look)
}

func (n *nodes) WalkIndex(ctx context.Context, look func(*store.Listing) error) error {
	return n.any().(store.Walker).WalkIndex(ctx, look)
}

func (n *nodes) WalkTerms(ctx context.Context, kind string, look func(id string, sum uint64) error) error {
	return n.any().(store.Walker).WalkTerms(ctx, kind, look)
}

func (n *nodes) Find(ctx context.Context, q store.Search) ([]store.Document, bool, error) {
	return n.any().Find(ctx, q)
}

func (n *nodes) SetTerms(ctx context.Context, all []store.Terms) error {
	return n.any().(store.Indexer).SetTerms(ctx, all)
}

func (n *nodes) Now(ctx context.Context) (time.Time, error) { return n.any().Now(ctx) }

func (n *nodes) Close() error {
	var err error
	for _, s := range n.all {
		err = errors.Join(err, s.Close())
	}
	return err
}

func TestStoreOfThreeNodes(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store {
		url := pgtest.Start(t)
		return &nodes{all: []store.Store{open(t, url), open(t, url), open(t, url)}}
	})
}

func TestNodesThatOpenAnEmptyDatabaseTogether(t *testing.T) {
	t.Parallel()
	url := pgtest.Start(t)
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			s, err := postgres.Open(t.Context(), postgres.Config{URL: url, MaxConns: 4})
			if err != nil {
				t.Errorf("node %d: open: %v", i, err)
				return
			}
			defer s.Close()
			d := store.Document{Key: store.Key{Kind: "k", ID: fmt.Sprint(i)}}
			if err := s.Commit(t.Context(), store.Batch{Put: []store.Write{{Document: d}}}); err != nil {
				t.Errorf("node %d: commit: %v", i, err)
			}
		})
	}
	all.Wait()
}

// execute runs a statement beside the store.
func execute(t *testing.T, url, statement string) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	if _, err := c.Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

func TestADatabaseWithoutTermsIsBroughtUpToDate(t *testing.T) {
	t.Parallel()
	url := pgtest.Start(t)
	s := open(t, url)
	if err := s.Commit(t.Context(), store.Batch{Put: []store.Write{{Document: store.Document{Key: store.Key{Kind: "k", ID: "a"}}}}}); err != nil {
		t.Fatal(err)
	}
	execute(t, url, `DROP TABLE term`)
	execute(t, url, `DELETE FROM goose_db_version WHERE version_id > 1`)
	s = open(t, url)
	if err := s.SetTerms(t.Context(), []store.Terms{{Key: store.Key{Kind: "k", ID: "a"}, Revision: 1, Terms: []string{"x"}}}); err != nil {
		t.Fatal(err)
	}
	found, whole, err := s.Find(t.Context(), store.Search{Kind: "k", All: [][]string{{"x"}}, Limit: 1})
	if err != nil || !whole || len(found) != 1 {
		t.Errorf("found %v, whole %v, %v", found, whole, err)
	}
}

func TestANewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	url := pgtest.Start(t)
	open(t, url)
	execute(t, url, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)`)
	_, err := postgres.Open(t.Context(), postgres.Config{URL: url})
	if !errors.Is(err, store.ErrNewerSchema) || !strings.Contains(err.Error(), "version 9999") || !strings.Contains(err.Error(), "up to 2") {
		t.Errorf("got %v", err)
	}
}

func TestNoErrorOfOpenShowsThePassword(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{
		"a URL that can't be read":   "postgres://souk:hush-hush@host:port/x",
		"a server that is not there": "postgres://souk:hush-hush@127.0.0.1:1/x?connect_timeout=1",
		"a setting that can't be":    "postgres://souk:hush-hush@127.0.0.1:1/x?pool_max_conns=no",
	} {
		_, err := postgres.Open(t.Context(), postgres.Config{URL: url})
		if err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestConnectionsThatAreCutUnderWriters(t *testing.T) {
	t.Parallel()
	url := pgtest.Start(t)
	s := open(t, url)
	var all sync.WaitGroup
	for writer := range 8 {
		all.Go(func() {
			for n := range 40 {
				if writer == 0 && n%10 == 5 {
					execute(t, url, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
						WHERE datname = current_database() AND pid <> pg_backend_pid()`)
				}
				a := store.Document{Key: store.Key{Kind: "a", ID: fmt.Sprint(writer, " ", n)}, Index: []store.Entry{{Index: "all"}}}
				b := store.Document{Key: store.Key{Kind: "b", ID: a.ID}, Index: []store.Entry{{Index: "all"}}}
				err := s.Commit(t.Context(), store.Batch{Put: []store.Write{{Document: a}, {Document: b}}})
				if errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrLimit) {
					t.Errorf("a cut connection gave %v", err)
				}
				// Both are there or none, and after an answer both.
				_, errA := again(t, s, a.Key)
				_, errB := again(t, s, b.Key)
				if (errA == nil) != (errB == nil) || err == nil && errA != nil {
					t.Errorf("%s: commit gave %v, then %v and %v", a.ID, err, errA, errB)
				}
			}
		})
	}
	all.Wait()
}

// again gets a document, also when its connection is cut.
func again(t *testing.T, s *postgres.Store, key store.Key) (store.Document, error) {
	for {
		d, err := s.Get(t.Context(), key)
		if err == nil || errors.Is(err, store.ErrNotFound) || t.Context().Err() != nil {
			return d, err
		}
	}
}

func TestALockThatIsHeldElsewhere(t *testing.T) {
	t.Parallel()
	url := pgtest.Start(t)
	s := open(t, url)
	batch := func(was int64, ids ...string) store.Batch {
		var b store.Batch
		for _, id := range ids {
			b.Put = append(b.Put, store.Write{Document: store.Document{Key: store.Key{Kind: "k", ID: id}}, Was: was})
		}
		return b
	}
	if err := s.Commit(t.Context(), batch(0, "held", "free")); err != nil {
		t.Fatal(err)
	}
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	tx, err := c.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `SELECT FROM document WHERE id = 'held' FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	// Who wants the document gives up when its time is over; others go on.
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	waiting := make(chan error, 1)
	go func() { waiting <- s.Commit(ctx, batch(1, "held")) }()
	if err := s.Commit(t.Context(), batch(1, "free")); err != nil {
		t.Errorf("a commit of another document: %v", err)
	}
	if err := <-waiting; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the commit that waited: %v", err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Whether the one that gave up has been written is not known; all goes on.
	if err := s.Commit(t.Context(), batch(store.Any, "held")); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// Package postgres is the store in a PostgreSQL database, which several nodes
// may share. It fulfils the contract of package store.
//
// A commit is one round trip: its statements go out together and are one
// transaction. Each statement that relies on what is stored ends it with an
// error if that is not so. Row locks alone keep commits apart, taken in one
// order everywhere: there are no advisory locks, no triggers and no functions,
// so that other databases that speak the protocol can do the same.
package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"souk/storage/store"
	"souk/storage/store/internal/layout"
)

// Config says where the store is. Everything but URL may be left out.
type Config struct {
	// URL is the database, as libpq reads it: postgres://user:secret@host:5432/name?sslmode=verify-full
	URL string
	// Log gets what an operator should know, never the URL's password. Nil is silence.
	Log *slog.Logger
	// MaxConns bounds the connections of this node. 0 means the URL's
	// pool_max_conns, or 24.
	MaxConns int
	// Groups is the number of commits that are under way at a time; others wait
	// and then share a transaction. With more, fewer share. 0 means 4.
	Groups int
}

const (
	defaultMaxConns = 24
	defaultGroups   = 4
)

// Store is an open database.
type Store struct {
	pool  *pgxpool.Pool
	log   *slog.Logger
	queue queue // commits that wait

	frequent frequent // what Find knows of the terms
}

var _ store.Store = (*Store)(nil)

// settings makes a connection ours. Our statements all want the index that is
// there for them, also when the statistics of a young table say otherwise, so
// the other ways are closed and plans are made once; a page of a large index
// is no work for several processes, whatever a plan without the page's size
// expects. A server that commits
// before its disk has the data is told not to.
const settings = `
	SET default_transaction_isolation = 'read committed';
	SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_bitmapscan = off;
	SET jit = off; SET plan_cache_mode = force_generic_plan; SET max_parallel_workers_per_gather = 0;
	SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`

// Open opens the database and brings its schema up to date. It returns
// store.ErrNewerSchema if a newer program has written it.
func Open(ctx context.Context, config Config) (*Store, error) {
	s := &Store{log: config.Log, queue: queue{lanes: config.Groups}}
	if s.queue.lanes <= 0 {
		s.queue.lanes = defaultGroups
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	c, err := pgxpool.ParseConfig(config.URL)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err) // pgx leaves the password out
	}
	switch {
	case config.MaxConns > 0:
		c.MaxConns = int32(config.MaxConns)
	case !strings.Contains(config.URL, "pool_max_conns"):
		c.MaxConns = defaultMaxConns
	}
	c.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		if _, err := conn.PgConn().Exec(ctx, settings).ReadAll(); err != nil {
			var refused *pgconn.PgError
			if !errors.As(err, &refused) {
				return err
			}
			s.log.Warn("the database does not know our settings, queries may be slow", "error", err)
		}
		return nil
	}
	name := fmt.Sprintf("the database %s on %s:%d", c.ConnConfig.Database, c.ConnConfig.Host, c.ConnConfig.Port)
	if s.pool, err = pgxpool.NewWithConfig(ctx, c); err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	if err := s.migrate(ctx, name); err != nil {
		s.pool.Close()
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	return s, nil
}

// Close ends the connections after the calls under way.
func (s *Store) Close() error {
	s.pool.Close()
	return nil
}

// sqlNow is the database's clock in milliseconds since 1970.
const sqlNow = `floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint`

// Now implements store.Store.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	var ms int64
	if err := s.pool.QueryRow(ctx, `SELECT `+sqlNow).Scan(&ms); err != nil {
		return time.Time{}, fmt.Errorf("ask the database for its time: %w", err)
	}
	return time.UnixMilli(ms).UTC(), nil
}

// timeOf is the time of a column of milliseconds since 1970; NULL is the zero time.
func timeOf(ms pgtype.Int8) time.Time {
	if !ms.Valid {
		return time.Time{}
	}
	return time.UnixMilli(ms.Int64).UTC()
}

func documentKey(k store.Key) pgtype.UUID {
	return pgtype.UUID{Bytes: layout.DocumentKey(k), Valid: true}
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key store.Key) (store.Document, error) {
	if err := layout.CheckKey(key); err != nil {
		return store.Document{}, err
	}
	doc := store.Document{Key: key}
	var due pgtype.Int8
	err := s.pool.QueryRow(ctx, `SELECT revision, due, owner, summary, body FROM document WHERE key = $1`, documentKey(key)).
		Scan(&doc.Revision, &due, &doc.Owner, &doc.Summary, &doc.Body)
	if err != nil {
		if errors.Is(err, pgx.ErrNoRows) {
			err = store.ErrNotFound
		}
		return store.Document{}, fmt.Errorf("get %s %s: %w", key.Kind, key.ID, err)
	}
	doc.Due = timeOf(due)
	return doc, nil
}

// Claim implements store.Store.
func (s *Store) Claim(ctx context.Context, kind string, n int, owner string, lease time.Duration) ([]store.Document, error) {
	if n <= 0 {
		return nil, ctx.Err()
	}
	for {
		docs, err := s.claim(ctx, kind, n, owner, lease.Milliseconds())
		if err == nil {
			return docs, nil
		}
		if !transient(err) || ctx.Err() != nil {
			return nil, fmt.Errorf("claim %s: %w", kind, err)
		}
	}
}

// The scalar subquery is computed once, so that all get one time.
const sqlClaim = `
WITH now AS (SELECT ` + sqlNow + ` AS ms),
c AS (
	SELECT key, due FROM document WHERE kind = $1 AND due <= (SELECT ms FROM now)
	ORDER BY due LIMIT $2 FOR UPDATE SKIP LOCKED
)
UPDATE document d SET revision = d.revision + 1, owner = $3, due = (SELECT ms FROM now) + $4
FROM c WHERE d.key = c.key
RETURNING c.due, d.id, d.revision, d.due, d.summary, d.body`

func (s *Store) claim(ctx context.Context, kind string, n int, owner string, lease int64) ([]store.Document, error) {
	rows, err := s.pool.Query(ctx, sqlClaim, kind, int64(n), owner, lease)
	if err != nil {
		return nil, err
	}
	type claimed struct {
		was int64
		doc store.Document
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (claimed, error) {
		c := claimed{doc: store.Document{Key: store.Key{Kind: kind}, Owner: owner}}
		var due pgtype.Int8
		err := row.Scan(&c.was, &c.doc.ID, &c.doc.Revision, &due, &c.doc.Summary, &c.doc.Body)
		c.doc.Due = timeOf(due)
		return c, err
	})
	if err != nil || len(all) == 0 {
		return nil, err
	}
	// An UPDATE returns its rows in no order.
	slices.SortFunc(all, func(a, b claimed) int {
		return cmp.Or(cmp.Compare(a.was, b.was), cmp.Compare(a.doc.ID, b.doc.ID))
	})
	docs := make([]store.Document, len(all))
	for i := range all {
		docs[i] = all[i].doc
	}
	return docs, nil
}

// Codes of PostgreSQL's errors.
const (
	codeDivisionByZero = "22012" // our guards
	codeUnique         = "23505" // a document that must be new is there
	codeSerialization  = "40001"
	codeDeadlock       = "40P01"
	codeUndefinedTable = "42P01"
)

func errorCode(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// transient says that the database has undone a transaction only because of
// what others did at the time.
func transient(err error) bool {
	code := errorCode(err)
	return code == codeSerialization || code == codeDeadlock
}

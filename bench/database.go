package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"souk/storage/store"
	"souk/storage/store/postgres"
	"souk/storage/store/postgres/pgtest"
	"souk/storage/store/sqlite"
)

// database is one of the two engines.
type database struct {
	name     string
	describe float64 // what DescribeEntity is to reach of floor 2

	// create makes an empty database and returns its URL, "" for one in the
	// market's folder.
	create func(ctx context.Context) (url string, err error)
	// open opens the store of a market that is not running.
	open func(ctx context.Context, m *market) (store.Store, error)
	// settle lets the database do now what it would do for minutes after so
	// many documents came at once, beside what is measured.
	settle func(ctx context.Context, m *market) error
	// remove removes the database of a market that was stopped, so that nothing
	// looks after it while others are measured.
	remove func(ctx context.Context, m *market) error
}

// databases returns those that are to be measured, and a function that ends
// what was started for them.
func (b *bench) databases(ctx context.Context) (all []database, closeAll func() error, err error) {
	closeAll = func() error { return nil }
	if b.only != onlyPostgres {
		all = append(all, database{
			name: "sqlite", describe: describeOfFloor2SQLite,
			create: func(context.Context) (string, error) { return "", nil },
			open: func(ctx context.Context, m *market) (store.Store, error) {
				return openSQLite(ctx, filepath.Join(m.folder, "souk.db"))
			},
			settle: func(context.Context, *market) error { return nil }, // closing it did all
			remove: func(_ context.Context, m *market) error { return os.RemoveAll(m.folder) },
		})
	}
	if b.only == onlySQLite {
		return all, closeAll, nil
	}
	admin, closeAll, err := pgtest.Serve()
	if err != nil {
		return nil, nil, fmt.Errorf("starting PostgreSQL: %w", err)
	}
	return append(all, database{
		name: "postgres", describe: describeOfFloor2Postgres,
		create: func(ctx context.Context) (string, error) {
			b.next++
			return createPostgres(ctx, admin, fmt.Sprintf("souk_bench_%d_%d", os.Getpid(), b.next))
		},
		open: func(ctx context.Context, m *market) (store.Store, error) {
			s, err := postgres.Open(ctx, postgres.Config{URL: m.database})
			if err != nil {
				return nil, fmt.Errorf("opening the store: %w", err)
			}
			return s, nil
		},
		settle: func(ctx context.Context, m *market) error {
			return execute(ctx, m.database, "VACUUM (ANALYZE)", "CHECKPOINT")
		},
		remove: func(ctx context.Context, m *market) error {
			u, err := url.Parse(m.database)
			if err != nil {
				return fmt.Errorf("removing a database: %w", err)
			}
			return execute(ctx, admin, "DROP DATABASE "+strings.TrimPrefix(u.Path, "/")+" WITH (FORCE)", "CHECKPOINT")
		},
	}), closeAll, nil
}

// createPostgres makes an empty database on a server and returns its URL.
func createPostgres(ctx context.Context, admin, name string) (string, error) {
	err := execute(ctx, admin, "CREATE DATABASE "+name)
	if err != nil {
		return "", fmt.Errorf("making database %s: %w", name, err)
	}
	u, err := url.Parse(admin)
	if err != nil {
		return "", fmt.Errorf("making database %s: %w", name, err)
	}
	u.Path = "/" + name
	return u.String(), nil
}

// execute runs statements on a PostgreSQL database.
func execute(ctx context.Context, url string, statements ...string) error {
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("connecting to PostgreSQL: %w", err)
	}
	for _, s := range statements {
		_, err = c.Exec(ctx, s)
		if err != nil {
			return errors.Join(fmt.Errorf("%s: %w", s, err), c.Close(ctx))
		}
	}
	return c.Close(ctx)
}

func openSQLite(ctx context.Context, path string) (store.Store, error) {
	s, err := sqlite.Open(ctx, sqlite.Config{Path: path})
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	return s, nil
}

// bare opens an empty store that no market uses.
func (d database) bare(ctx context.Context, b *bench) (store.Store, error) {
	b.next++
	url, err := d.create(ctx)
	if err != nil {
		return nil, err
	}
	folder := filepath.Join(b.folder, fmt.Sprintf("bare-%d", b.next))
	return d.open(ctx, &market{folder: folder, database: url})
}

// median is the middle of durations, in milliseconds.
func median(all []time.Duration) float64 {
	slices.Sort(all)
	return milliseconds(all[len(all)/2])
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

package postgres

import (
	"context"
	"embed"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"souk/storage/store/internal/schema"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the schema up to date, or refuses a newer one. The name is
// that of the database, for messages.
func (s *Store) migrate(ctx context.Context, name string) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	newest, err := schema.Newest(files)
	if err != nil {
		return err
	}
	version, err := s.schemaVersion(ctx)
	if err != nil {
		return err
	}
	if err := schema.Refuse("it", version, newest); err != nil {
		return err
	}
	if version == newest {
		return nil
	}
	// Nodes may start together: a row in a table is their lock, asked for often
	// since it is held for moments.
	locker, err := lock.NewPostgresTableLocker(
		lock.WithTableName("goose_lock"),
		lock.WithTableLockTimeout(100*time.Millisecond, 600),
		lock.WithTableUnlockTimeout(100*time.Millisecond, 600),
		lock.WithTableLogger(s.log),
	)
	if err != nil {
		return err
	}
	db := stdlib.OpenDBFromPool(s.pool)
	defer db.Close()
	if err := schema.Up(ctx, goose.DialectPostgres, db, files, locker); err != nil {
		return err
	}
	s.log.Info("database schema migrated", "database", name, "from", version, "to", newest)
	return nil
}

// schemaVersion returns the version of the schema, 0 for an empty database.
func (s *Store) schemaVersion(ctx context.Context) (version int64, err error) {
	err = s.pool.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM `+schema.Table).Scan(&version)
	if errorCode(err) == codeUndefinedTable {
		return 0, nil
	}
	return version, err
}

// Package schema brings the tables of a store to the version that this program
// knows, forwards only, and refuses a database that a newer program has
// written. The statements lie with the engines, one file per version.
package schema

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"souk/storage/store"
)

// Table is where goose keeps the versions that have been applied. An engine
// reads it by itself when it opens, so that an up-to-date database, which is
// nearly every one, costs one short query.
const Table = "goose_db_version"

// Newest returns the version of the last of the migrations, which are files
// named like 00001_documents.sql.
func Newest(migrations fs.FS) (int64, error) {
	names, err := fs.Glob(migrations, "*.sql")
	if err != nil {
		return 0, err
	}
	var newest int64
	for _, name := range names {
		number, _, _ := strings.Cut(name, "_")
		v, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("migration %s: its name must begin with a version: %w", name, err)
		}
		newest = max(newest, v)
	}
	return newest, nil
}

// Refuse returns store.ErrNewerSchema if a database has a version that is
// beyond the newest that this program knows. The database is named without
// secrets.
func Refuse(database string, version, newest int64) error {
	if version <= newest {
		return nil
	}
	return fmt.Errorf("%s has schema version %d, this program knows versions up to %d: %w", database, version, newest, store.ErrNewerSchema)
}

// Up applies the migrations that the database does not have yet. The locker,
// if any, keeps two nodes from doing so at once.
func Up(ctx context.Context, dialect goose.Dialect, db *sql.DB, migrations fs.FS, locker lock.Locker) error {
	options := []goose.ProviderOption{
		goose.WithDisableGlobalRegistry(true),
		goose.WithTableName(Table),
		goose.WithLogger(goose.NopLogger()),
	}
	if locker != nil {
		options = append(options, goose.WithLocker(locker))
	}
	p, err := goose.NewProvider(dialect, db, migrations, options...)
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate the schema: %w", err)
	}
	return nil
}

package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"io/fs"
	"net/url"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver that the migrations run on

	"souk/storage/store/internal/schema"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the schema up to date, or refuses a newer one. c is the
// writer's connection, which reads the version.
func (s *Store) migrate(ctx context.Context, c *conn) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	newest, err := schema.Newest(files)
	if err != nil {
		return err
	}
	version, err := schemaVersion(c)
	if err != nil {
		return err
	}
	if err := schema.Refuse("it", version, newest); err != nil {
		return err
	}
	if version == newest {
		return nil
	}
	name := url.URL{Scheme: "file", OmitHost: true, Path: s.path, RawQuery: "_pragma=busy_timeout(10000)&_pragma=synchronous(FULL)"}
	db, err := sql.Open("sqlite", name.String())
	if err != nil {
		return err
	}
	defer db.Close()
	if err := schema.Up(ctx, goose.DialectSQLite3, db, files, nil); err != nil {
		return err
	}
	s.log.Info("database schema migrated", "path", s.path, "from", version, "to", newest)
	return nil
}

// schemaVersion returns the version of the schema, 0 for an empty database.
func schemaVersion(c *conn) (int64, error) {
	version, err := c.queryInt(`SELECT count(*) FROM sqlite_schema WHERE name = '` + schema.Table + `'`)
	if err != nil || version == 0 {
		return 0, err
	}
	return c.queryInt(`SELECT coalesce(max(version_id), 0) FROM ` + schema.Table)
}

// queryInt returns the first column of the first row.
func (c *conn) queryInt(sql string) (int64, error) {
	q, err := c.prepare(sql)
	if err != nil {
		return 0, err
	}
	defer q.finalize()
	if _, err := q.step(); err != nil {
		return 0, err
	}
	return q.columnInt(0), nil
}

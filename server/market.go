package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"souk/access/keyring"
	"souk/access/organization"
	"souk/access/trail"
	"souk/storage/store"
	"souk/storage/store/postgres"
	"souk/storage/store/sqlite"
)

// market is an open place: its folder, key and store, and what stands on them
// without a port. A server is built on one, and so are the commands that work
// where no server runs.
type market struct {
	folder       *folder
	database     string // sqlite or postgres
	store        store.Store
	keyFile      string
	ring         *keyring.Ring
	organization *organization.Organization
	rotation     *keyring.Rotation // rooms that seal at rest are added to it
	rooms
}

// openMarket opens the key and the store of a locked folder. create says that
// what is not there is made. The folder is the market's from here on, also if
// an error is returned.
func openMarket(ctx context.Context, f *folder, config Config, create bool) (_ *market, err error) {
	m := &market{folder: f, keyFile: config.KeyFile}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.close())
		}
	}()
	m.ring, err = keyring.Load(config.KeyFile)
	missing := create && errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return nil, err
	}
	m.store, m.database, err = openStore(ctx, config)
	if err != nil {
		return nil, err
	}
	m.store = trail.Store(crashpoints(m.store))
	if missing {
		m.ring, err = newKey(ctx, m.store, config.KeyFile)
		if err != nil {
			return nil, err
		}
	}
	m.organization = organization.New(organization.Config{Store: m.store, Keyring: m.ring})
	m.rotation = keyring.NewRotation(m.ring, m.store, m.organization)
	m.rotation.Add(m.organization.AtRest(), topicsAtRest(), directoriesAtRest())
	return m, nil
}

// newKey makes the key file of a market that is about to be made. Where there
// is a market already, a new key would open none of its secrets.
func newKey(ctx context.Context, s store.Store, path string) (*keyring.Ring, error) {
	_, err := organization.New(organization.Config{Store: s}).Info(ctx)
	if err == nil {
		return nil, &SettingError{Setting: "key-file", Text: "there is no file " + path + ", and the database has a market already: give the key file with which it was made"}
	}
	if !errors.Is(err, organization.ErrNone) {
		return nil, err
	}
	ring, _, err := keyring.LoadOrCreate(path)
	return ring, err
}

// openStore opens the engine that Place.Database names.
func openStore(ctx context.Context, config Config) (_ store.Store, engine string, err error) {
	if postgresAt(config.Database) {
		s, err := postgres.Open(ctx, postgres.Config{URL: config.Database, Log: config.Log})
		if err != nil {
			return nil, "", postgres.Explained(err)
		}
		return s, "postgres", nil
	}
	path := strings.TrimPrefix(strings.TrimPrefix(config.Database, "sqlite:"), "//")
	if path == "" {
		path = filepath.Join(config.Data, "souk.db")
	}
	s, err := sqlite.Open(ctx, sqlite.Config{Path: path, Log: config.Log})
	if err != nil {
		return nil, "", err
	}
	return s, "sqlite", nil
}

// sqliteAt and postgresAt say which engine a Place.Database names; Config.wrong
// refuses what is neither.
func sqliteAt(database string) bool { return strings.HasPrefix(database, "sqlite:") }

func postgresAt(database string) bool {
	return strings.HasPrefix(database, "postgres:") || strings.HasPrefix(database, "postgresql:")
}

// close closes the rooms and the store, and lets go of the folder.
func (m *market) close() error {
	all := []error{m.rooms.close()}
	if m.store != nil {
		all = append(all, m.store.Close())
	}
	return errors.Join(append(all, m.folder.close())...)
}

// exists says whether a place has a market, or a *NoMarketError.
func (p Place) exists() error {
	_, err := os.Stat(p.KeyFile)
	if errors.Is(err, os.ErrNotExist) && postgresAt(p.Database) {
		return &SettingError{Setting: "key-file", Text: "there is no file " + p.KeyFile + ": give the key file of the market in that database"}
	}
	if errors.Is(err, os.ErrNotExist) {
		return &NoMarketError{Dir: p.Data}
	}
	if err != nil {
		return fmt.Errorf("looking for a market in %s: %w", p.Data, err)
	}
	return nil
}

// databaseFile of a data folder names the engine that it was last opened with.
const databaseFile = "database"

// ofPostgres says whether a data folder is that of a node of a market on PostgreSQL.
func ofPostgres(dir string) bool {
	b, err := os.ReadFile(filepath.Join(dir, databaseFile))
	return err == nil && strings.TrimSpace(string(b)) == "postgres"
}

// forgotten refuses a SQLite market in the folder of a node on PostgreSQL: the
// one that is meant is elsewhere, and would seem to be empty.
func (p Place) forgotten() error {
	if postgresAt(p.Database) || !ofPostgres(p.Data) {
		return nil
	}
	return &SettingError{Setting: "database", Text: p.Data + " is the folder of a node of a market on PostgreSQL: give the postgres:// address of that (and its --key-file and --blobs, where they lie elsewhere)"}
}

// NoMarketError says that no market was ever opened in a place.
type NoMarketError struct{ Dir string }

func (e *NoMarketError) Error() string {
	return fmt.Sprintf("there is no market in %s: start `souk serve --data %s` once, or give the --data (and --database, --key-file) of the one that you mean", e.Dir, e.Dir)
}

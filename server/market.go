package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"souk/access/keyring"
	"souk/access/organization"
	"souk/storage/store"
	"souk/storage/store/sqlite"
)

// Market is an open place: its folder, key and store. A server stands on it, and
// so do commands that work where no server runs.
type Market struct {
	Store        store.Store
	Ring         *keyring.Ring
	Organization *organization.Organization

	place  Place
	folder *folder
	engine string
}

// Open locks the data folder, and opens the key and the store. Nil logs nothing.
// The error is an *InUseError if a server (or another command) has the folder.
// A database and key that are not there are made.
func Open(ctx context.Context, place Place, log *slog.Logger) (_ *Market, err error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	m := &Market{place: place.filled()}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.Close())
		}
	}()
	m.folder, err = openFolder(m.place.Data)
	if err != nil {
		return nil, err
	}
	m.Ring, _, err = keyring.LoadOrCreate(m.place.KeyFile)
	if err != nil {
		return nil, err
	}
	err = os.MkdirAll(m.place.Blobs, 0o700)
	if err != nil {
		return nil, fmt.Errorf("making the folder of blobs: %w", err)
	}
	m.Store, m.engine, err = openStore(ctx, m.place, log)
	if err != nil {
		return nil, err
	}
	m.Store = crashpoints(m.Store)
	m.Organization = organization.New(organization.Config{Store: m.Store, Keyring: m.Ring})
	return m, nil
}

// openStore opens the engine that Place.Database names.
func openStore(ctx context.Context, place Place, log *slog.Logger) (store.Store, string, error) {
	scheme, rest, _ := strings.Cut(place.Database, ":")
	switch scheme {
	case "sqlite":
		path := strings.TrimPrefix(rest, "//")
		if path == "" {
			path = filepath.Join(place.Data, "souk.db")
		}
		s, err := sqlite.Open(ctx, sqlite.Config{Path: path, Log: log})
		if err != nil {
			return nil, "", err
		}
		return s, scheme, nil
	}
	return nil, "", &SettingError{Setting: "database", Text: fmt.Sprintf("%q is neither sqlite:, sqlite:FILE nor postgres://USER:PASSWORD@HOST/NAME", scheme+":")}
}

// Close closes the store and lets go of the folder.
func (m *Market) Close() error {
	var all []error
	if m.Store != nil {
		all = append(all, m.Store.Close())
	}
	if m.folder != nil {
		all = append(all, m.folder.close())
	}
	return errors.Join(all...)
}

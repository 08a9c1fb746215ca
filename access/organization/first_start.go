package organization

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// FirstStart is what a server does when it starts: Bootstrap, and the root
// user's key written to credentialsFile (AWS shared-credentials form, mode
// 0600) if it was this server that made the organisation; made tells. Of
// several nodes that start at once on an empty database exactly one writes its
// file.
//
// The key is written to credentialsFile.offered before the database hears of
// it, and renamed once it is taken. So a crash at any point loses no secret:
// the next start offers the same key, finds it taken and renames the file.
func (o *Organization) FirstStart(ctx context.Context, accountID, credentialsFile string) (made bool, err error) {
	offered := credentialsFile + ".offered"
	key, err := readCredentials(offered)
	if err != nil {
		return false, err
	}
	if key == (Key{}) {
		// The usual start: there is an organisation, and nothing to offer.
		info, err := o.Info(ctx)
		if err == nil {
			return o.joined(ctx, info, accountID, key)
		}
		if !errors.Is(err, ErrNone) {
			return false, err
		}
		key = o.NewKey()
		if err := writeCredentials(offered, key); err != nil {
			return false, err
		}
	}
	made, err = o.Bootstrap(ctx, accountID, key)
	if err != nil {
		return false, err // the offer stays: it may have been taken
	}
	if made {
		err = os.Rename(offered, credentialsFile)
	} else {
		err = os.Remove(offered)
	}
	if err == nil {
		err = syncFolder(filepath.Dir(credentialsFile))
	}
	if err != nil {
		return made, fmt.Errorf("keeping the credentials of the root user: %w", err)
	}
	return made, nil
}

// readCredentials reads a key from a file; the zero Key if the file is not
// there, or was not written whole: then its key was never offered.
func readCredentials(path string) (Key, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Key{}, nil
	}
	if err != nil {
		return Key{}, fmt.Errorf("reading the offered credentials: %w", err)
	}
	var k Key
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, "=")
		switch strings.TrimSpace(name) {
		case "aws_access_key_id":
			k.ID = strings.TrimSpace(value)
		case "aws_secret_access_key":
			k.Secret = strings.TrimSpace(value)
		}
	}
	if !keyIDs.MatchString(k.ID) || len(k.Secret) != 40 || !strings.HasSuffix(string(text), "\n") {
		return Key{}, nil
	}
	return k, nil
}

// writeCredentials writes a key to a file, durably.
func writeCredentials(path string, k Key) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("writing the offered credentials: %w", err)
	}
	_, err = fmt.Fprintf(f, "[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", k.ID, k.Secret)
	if err == nil {
		err = f.Chmod(0o600)
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = syncFolder(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("writing the offered credentials: %w", err)
	}
	return nil
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

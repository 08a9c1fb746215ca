package keyring

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// header is the first line of a key file; the second is the key in base64.
const header = "souk key file, version 1: keep it secret, and apart from backups of the database"

// maxFile bounds what is read of a key file, in bytes.
const maxFile = 4096

// Load reads a key file. It refuses a file that others than its owner may read
// or write; the error wraps fs.ErrNotExist if there is none.
func Load(path string) (*Ring, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening key file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading key file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("key file %s is no regular file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("key file %s may be read by others (mode %04o): run `chmod 600 %s`, and think of who may have read it", path, mode, path)
	}
	text := make([]byte, maxFile)
	n, err := f.ReadAt(text, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading key file: %w", err)
	}
	if n == maxFile || n == 0 {
		return nil, fmt.Errorf("key file %s is no key file of souk", path)
	}
	lines := bytes.Split(bytes.TrimSpace(text[:n]), []byte("\n"))
	if len(lines) != 2 || string(bytes.TrimSpace(lines[0])) != header {
		return nil, fmt.Errorf("key file %s is no key file of souk", path)
	}
	key, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(lines[1])))
	if err != nil || len(key) != keySize {
		return nil, fmt.Errorf("key file %s is damaged: it must hold %d bytes in base64", path, keySize)
	}
	return New([keySize]byte(key)), nil
}

// LoadOrCreate reads a key file, or makes one (mode 0600, durable) if there is
// none; created tells which. When several processes make it at once, one does
// and all return its key.
func LoadOrCreate(path string) (ring *Ring, created bool, err error) {
	ring, err = Load(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return ring, false, err
	}
	created, err = create(path)
	if err != nil {
		return nil, false, fmt.Errorf("making key file: %w", err)
	}
	ring, err = Load(path)
	return ring, created, err
}

// create writes a new key beside the path, and gives it the path's name unless
// that is taken: link(2) never replaces a file. A crash leaves no half file there.
func create(path string) (made bool, err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".key-*") // mode 0600
	if err != nil {
		return false, err
	}
	defer os.Remove(f.Name())
	var key [keySize]byte
	rand.Read(key[:]) // never fails
	_, err = fmt.Fprintf(f, "%s\n%s\n", header, base64.StdEncoding.EncodeToString(key[:]))
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err != nil {
		return false, err
	}
	err = os.Link(f.Name(), path)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	d, err := os.Open(dir)
	if err != nil {
		return false, err
	}
	return true, errors.Join(d.Sync(), d.Close())
}

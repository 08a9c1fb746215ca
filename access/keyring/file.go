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
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The first line of a key file. Version 1 has one more line, a key in base64.
// Version 2 has a line for each key: the key, and when it was made (RFC 3339)
// or "-" if that is not known.
const (
	header1 = "souk key file, version 1: keep it secret, and apart from backups of the database"
	header2 = "souk key file, version 2: keep it secret, and apart from backups of the database"
)

// Bounds of a key file.
const (
	maxFile = 4096 // bytes
	maxKeys = 16
)

// version tells whether a file is the one that was read. Replacing a file
// changes its inode, writing into it its time.
type version struct {
	inode    uint64
	size     int64
	modified time.Time
}

func versionOf(info fs.FileInfo) version {
	v := version{size: info.Size(), modified: info.ModTime()}
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		v.inode = s.Ino
	}
	return v
}

// Load reads a key file. It refuses a file that others than its owner may read
// or write; the error wraps fs.ErrNotExist if there is none. The ring keeps the
// path: Look, Add and Drop use it.
func Load(path string) (*Ring, error) {
	all, seen, err := read(path)
	if err != nil {
		return nil, err
	}
	r := &Ring{file: path, seen: seen}
	r.now.Store(&keys{all: all, seals: all[0]})
	return r, nil
}

// read reads the keys of a file.
func read(path string) ([]*key, version, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, version{}, fmt.Errorf("opening key file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, version{}, fmt.Errorf("reading key file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, version{}, fmt.Errorf("key file %s is no regular file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, version{}, fmt.Errorf("key file %s may be read by others (mode %04o): run `chmod 600 %s`, and think of who may have read it", path, mode, path)
	}
	text := make([]byte, maxFile)
	n, err := f.ReadAt(text, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, version{}, fmt.Errorf("reading key file: %w", err)
	}
	if n == maxFile || n == 0 {
		return nil, version{}, fmt.Errorf("key file %s is no key file of souk", path)
	}
	all, err := parse(text[:n])
	if err != nil {
		return nil, version{}, fmt.Errorf("key file %s is %w", path, err)
	}
	return all, versionOf(info), nil
}

// parse reads the text of a key file, of either version. Errors go on from "is".
func parse(text []byte) ([]*key, error) {
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	header := string(bytes.TrimSpace(lines[0]))
	if header != header1 && header != header2 || header == header1 && len(lines) != 2 || len(lines) < 2 {
		return nil, errors.New("no key file of souk")
	}
	var all []*key
	for _, line := range lines[1:] {
		words := strings.Fields(string(line))
		if header == header1 {
			words = append(words, "-")
		}
		if len(words) != 2 {
			return nil, errors.New("damaged: a line must hold a key and its date")
		}
		master, err := base64.StdEncoding.DecodeString(words[0])
		if err != nil || len(master) != keySize {
			return nil, fmt.Errorf("damaged: a key must have %d bytes in base64", keySize)
		}
		var created time.Time
		if words[1] != "-" {
			created, err = time.Parse(time.RFC3339, words[1])
			if err != nil {
				return nil, fmt.Errorf("damaged: %q is no date", words[1])
			}
		}
		k := newKey([keySize]byte(master), created)
		for _, other := range all {
			if other.id == k.id {
				return nil, errors.New("damaged: a key stands in it twice")
			}
		}
		all = append(all, k)
	}
	if len(all) > maxKeys {
		return nil, fmt.Errorf("too long: a ring has at most %d keys", maxKeys)
	}
	return all, nil
}

// format is the text of a key file with these keys.
func format(all []*key) []byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, header2)
	for _, k := range all {
		created := "-"
		if !k.created.IsZero() {
			created = k.created.UTC().Format(time.RFC3339)
		}
		fmt.Fprintln(&b, base64.StdEncoding.EncodeToString(k.master), created)
	}
	return b.Bytes()
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

// fresh makes a new key.
func fresh() *key {
	var master [keySize]byte
	rand.Read(master[:]) // never fails
	return newKey(master, time.Now())
}

// create writes a new key beside the path, and gives it the path's name unless
// that is taken: link(2) never replaces a file. A crash leaves no half file there.
func create(path string) (made bool, err error) {
	dir := filepath.Dir(path)
	name, err := writeBeside(path, format([]*key{fresh()}), nil)
	if err != nil {
		return false, err
	}
	defer os.Remove(name)
	err = os.Link(name, path)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, syncFolder(dir)
}

// writeBeside writes a text, durably, to a new file (mode 0600) in the folder of
// a path. It has the owner of the file that it is to replace, if there is one.
func writeBeside(path string, text []byte, old fs.FileInfo) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*") // mode 0600
	if err != nil {
		return "", err
	}
	_, err = f.Write(text)
	if err == nil && old != nil {
		s, ok := old.Sys().(*syscall.Stat_t)
		if ok && int(s.Uid) != os.Geteuid() {
			err = f.Chown(int(s.Uid), int(s.Gid)) // root changes the file of a server that is not root's
		}
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Look reads the key file again if it has changed; changed tells. What can't be
// read, and a file without the key that seals, are errors that leave the ring
// as it was.
func (r *Ring) Look() (changed bool, err error) {
	if r.file == "" {
		return false, nil
	}
	info, err := os.Stat(r.file)
	if err != nil {
		return false, fmt.Errorf("looking at the key file: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if versionOf(info) == r.seen {
		return false, nil
	}
	all, seen, err := read(r.file)
	if err != nil {
		return false, err
	}
	ks := &keys{all: all}
	ks.seals = ks.find(r.Fingerprint())
	if ks.seals == nil {
		return false, fmt.Errorf("key file %s lacks key %s, which seals: put it back", r.file, r.now.Load().seals.name())
	}
	r.now.Store(ks)
	r.seen = seen
	return true, nil
}

// lookAgain is Look for those who met a key that they do not know. An error is
// as good as no change: who watches the file tells of it.
func (r *Ring) lookAgain() bool {
	changed, err := r.Look()
	return err == nil && changed
}

// errNoFile: a ring that was made by New can't be changed.
var errNoFile = errors.New("the keys are in no file")

// Add makes a new key in the file. It opens only, until SealWith.
func (r *Ring) Add() (Key, error) {
	var added *key
	err := r.change(func(all []*key) ([]*key, error) {
		if len(all) >= maxKeys {
			return nil, fmt.Errorf("it has %d keys, and may have no more: drop old ones", len(all))
		}
		for added == nil {
			added = fresh()
			for _, k := range all {
				if k.id == added.id {
					added = nil // one in four thousand million
					break
				}
			}
		}
		return append(all, added), nil
	})
	if err != nil {
		return Key{}, fmt.Errorf("adding a key to the key file: %w", err)
	}
	return added.tell(r.now.Load()), nil
}

// Drop removes a key from the file, by its fingerprint. The key that seals
// stays. Whether something still needs the key is for Rotation to say.
func (r *Ring) Drop(fingerprint string) error {
	err := r.change(func(all []*key) ([]*key, error) {
		var kept []*key
		for _, k := range all {
			if k.print != fingerprint {
				kept = append(kept, k)
			}
		}
		if len(kept) == len(all) {
			return nil, errors.New("there is no such key")
		}
		if fingerprint == r.Fingerprint() {
			return nil, errors.New("it is the key that seals")
		}
		return kept, nil
	})
	if err != nil {
		return fmt.Errorf("dropping key %.8s of the key file: %w", fingerprint, err)
	}
	return nil
}

// change replaces the file by one with other keys, durably, while nobody else
// does. A reader sees the old file or the new one.
func (r *Ring) change(f func([]*key) ([]*key, error)) error {
	if r.file == "" {
		return errNoFile
	}
	path, err := filepath.EvalSymlinks(r.file) // what a link names is replaced, not the link
	if err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close() // and with it goes the lock
	err = unix.Flock(int(dir.Fd()), unix.LOCK_EX)
	if err != nil {
		return fmt.Errorf("locking the folder: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	all, _, err := read(path)
	if err != nil {
		return err
	}
	all, err = f(all)
	if err != nil {
		return err
	}
	name, err := writeBeside(path, format(all), info)
	if err != nil {
		return err
	}
	err = os.Rename(name, path)
	if err != nil {
		os.Remove(name)
		return err
	}
	err = dir.Sync()
	if err != nil {
		return err
	}
	_, err = r.Look()
	return err
}

// Package blob keeps what is too large for the database and no part of an
// image: logos, logs, reports. It hands out URLs of our own for them, signed
// and with an expiry, or public for logos.
//
// It keeps no list: what is there, and whose it is, stands in documents.
package blob

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// ErrNotFound: there is no such blob.
var ErrNotFound = errors.New("blob not found")

// ErrName: a kind or a name is none that a blob can have.
var ErrName = errors.New("not a name of a blob")

// Logos is the kind of what everybody may see below /logos/.
const Logos = "logos"

// Keyring signs URLs: access/keyring.Ring. Verify knows also the keys that
// signed before.
type Keyring interface {
	MAC(purpose string, data []byte) []byte
	Verify(purpose string, data, mac []byte) bool
}

// Config says where blobs are kept and how they are named to the world.
type Config struct {
	// Root is the folder of all blobs. It is made with mode 0700.
	Root string
	// PublicURL is the only source of our own name, such as http://127.0.0.1:8470.
	PublicURL *url.URL
	Keyring   Keyring
	Now       func() time.Time // nil means time.Now
}

// Store keeps blobs. Its methods may be called concurrently, also by several
// nodes that share the folder.
type Store struct {
	config Config
	root   *os.Root // nothing above it can be reached, whatever a name says
}

// New opens the blobs below c.Root.
func New(c Config) (*Store, error) {
	if c.Root == "" || c.PublicURL == nil || c.Keyring == nil {
		return nil, errors.New("opening blobs: Root, PublicURL and Keyring are needed")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	err := os.MkdirAll(c.Root, 0o700)
	if err != nil {
		return nil, fmt.Errorf("opening blobs: %w", err)
	}
	root, err := os.OpenRoot(c.Root)
	if err != nil {
		return nil, fmt.Errorf("opening blobs: %w", err)
	}
	return &Store{config: c, root: root}, nil
}

// Close ends the use of the folder.
func (s *Store) Close() error { return s.root.Close() }

var (
	kindPattern = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)
	// A name starts with a letter or digit, so it is never "." or ".." or hidden.
	namePattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$`) })
)

// temporary starts the names of files that are being written: no blob's name starts so.
const temporary = ".new-"

// path is the file of a blob. Names are spread over 256 folders by their hash,
// since folders with millions of files are slow.
func path(kind, name string) (string, error) {
	if !kindPattern.MatchString(kind) || !namePattern().MatchString(name) {
		return "", fmt.Errorf("%w: %.50q, %.250q", ErrName, kind, name)
	}
	return filepath.Join(kind, fmt.Sprintf("%02x", sha256.Sum256([]byte(name))[0]), name), nil
}

// Put keeps a blob, in the place of one that had the name. When it returns nil
// the blob is durable; when it fails or the process dies, the old one is there
// as it was.
func (s *Store) Put(ctx context.Context, kind, name string, content io.Reader) error {
	file, err := path(kind, name)
	if err != nil {
		return err
	}
	err = s.put(ctx, file, content)
	if err != nil {
		return fmt.Errorf("keeping %s %s: %w", kind, name, err)
	}
	return nil
}

// PutBytes is Put of bytes.
func (s *Store) PutBytes(ctx context.Context, kind, name string, content []byte) error {
	return s.Put(ctx, kind, name, bytes.NewReader(content))
}

func (s *Store) put(ctx context.Context, file string, content io.Reader) (err error) {
	dir := filepath.Dir(file)
	made, err := s.mkdirs(dir)
	if err != nil {
		return err
	}
	fresh := filepath.Join(dir, temporary+rand.Text())
	f, err := s.root.OpenFile(fresh, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), s.root.Remove(fresh))
		}
	}()
	_, err = io.Copy(f, reader{ctx, content})
	if err != nil {
		return err
	}
	err = f.Sync() // fsync(2): content first, then its name
	if err != nil {
		return err
	}
	err = s.root.Rename(fresh, file)
	if err != nil {
		return err
	}
	err = f.Close()
	if err != nil {
		return err
	}
	for _, d := range append(made, dir) {
		err = s.sync(d)
		if err != nil {
			return fmt.Errorf("syncing its folder: %w", err)
		}
	}
	return nil
}

// reader ends when its context does.
type reader struct {
	ctx context.Context
	io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// mkdirs makes KIND/XX and returns the folders that got a new entry.
func (s *Store) mkdirs(dir string) (changed []string, err error) {
	for _, d := range []string{filepath.Dir(dir), dir} {
		err = s.root.Mkdir(d, 0o700)
		switch {
		case err == nil:
			changed = append(changed, filepath.Dir(d))
		case !errors.Is(err, fs.ErrExist):
			return nil, err
		}
	}
	return changed, nil
}

// sync makes a folder's entries durable.
func (s *Store) sync(dir string) error {
	d, err := s.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Open opens a blob for reading. ErrNotFound, ErrName.
func (s *Store) Open(kind, name string) (*os.File, error) {
	file, err := path(kind, name)
	if err != nil {
		return nil, err
	}
	f, err := s.root.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("opening %s %s: %w", kind, name, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("opening %s %s: %w", kind, name, err)
	}
	return f, nil
}

// Get returns a blob's content. ErrNotFound, ErrName.
func (s *Store) Get(_ context.Context, kind, name string) ([]byte, error) {
	f, err := s.Open(kind, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		return nil, fmt.Errorf("reading %s %s: %w", kind, name, err)
	}
	return b, nil
}

// Has says whether there is a blob. ErrName.
func (s *Store) Has(_ context.Context, kind, name string) (bool, error) {
	file, err := path(kind, name)
	if err != nil {
		return false, err
	}
	_, err = s.root.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking for %s %s: %w", kind, name, err)
	}
	return true, nil
}

// Each calls f for every blob of a kind and the time at which it was kept, in no
// order, until f fails. One that comes or goes meanwhile may be passed over. ErrName.
func (s *Store) Each(ctx context.Context, kind string, f func(name string, kept time.Time) error) error {
	if !kindPattern.MatchString(kind) {
		return fmt.Errorf("%w: %.50q", ErrName, kind)
	}
	err := fs.WalkDir(s.root.FS(), kind, func(at string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || d.IsDir() || !namePattern().MatchString(d.Name()) {
			return gone(err)
		}
		info, err := d.Info()
		if err != nil {
			return gone(err)
		}
		return f(d.Name(), info.ModTime())
	})
	if err != nil {
		return fmt.Errorf("listing %s: %w", kind, err)
	}
	return nil
}

// Tidy removes what a process has left that died while it kept a blob, if it was not
// written to since before.
func (s *Store) Tidy(ctx context.Context, before time.Time) error {
	err := fs.WalkDir(s.root.FS(), ".", func(at string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || !d.Type().IsRegular() || !strings.HasPrefix(d.Name(), temporary) {
			return gone(err)
		}
		info, err := d.Info()
		if err == nil && info.ModTime().Before(before) {
			err = s.root.Remove(filepath.FromSlash(at))
		}
		return gone(err)
	})
	if err != nil {
		return fmt.Errorf("removing half of a file: %w", err)
	}
	return nil
}

// gone is nil for what was removed while it was looked at, else the error.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Delete removes a blob; it is no error if there is none.
func (s *Store) Delete(_ context.Context, kind, name string) error {
	file, err := path(kind, name)
	if err != nil {
		return err
	}
	err = s.root.Remove(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = s.sync(filepath.Dir(file))
	}
	if err != nil {
		return fmt.Errorf("deleting %s %s: %w", kind, name, err)
	}
	return nil
}

// urlPurpose separates the MACs of URLs from all others.
const urlPurpose = "blob-url"

// URL is where a blob can be read until a time, by whoever has the URL. It is
// PUBLIC/blobs/KIND/NAME?expires=SECONDS&signature=MAC. ErrName.
func (s *Store) URL(kind, name string, expires time.Time) (string, error) {
	_, err := path(kind, name)
	if err != nil {
		return "", err
	}
	at := strconv.FormatInt(expires.Unix(), 10)
	signature := base64.RawURLEncoding.EncodeToString(s.config.Keyring.MAC(urlPurpose, signed(kind, name, at)))
	q := url.Values{"expires": {at}, "signature": {signature}}
	return s.config.PublicURL.JoinPath("blobs", kind, name).String() + "?" + q.Encode(), nil
}

// signed is what a signature is over: parts that have no slash, so that no two
// blobs share one.
func signed(kind, name, expires string) []byte { return []byte(kind + "/" + name + "/" + expires) }

// LogoURL is where everybody reads a logo, for ever.
func (s *Store) LogoURL(name string) string {
	return s.config.PublicURL.JoinPath("logos", name).String()
}

// contentTypes are all that the handler says of contents. What is not listed
// is bytes to be saved, never a page or a script.
var contentTypes = map[string]string{
	".png":  "image/png",
	".jpg":  "image/jpeg",
	".svg":  "image/svg+xml",
	".json": "application/json",
	".log":  "text/plain; charset=utf-8",
	".txt":  "text/plain; charset=utf-8",
}

// Handler serves /logos/NAME to everybody and /blobs/KIND/NAME to those who
// have a signed URL. GET and HEAD only.
func (s *Store) Handler() http.Handler { return http.HandlerFunc(s.serve) }

func (s *Store) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	// Whatever is in a blob, a browser takes it for what we say, runs nothing
	// of it and tells nobody where it came from.
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Referrer-Policy", "no-referrer")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	var kind, name string
	if rest, ok := strings.CutPrefix(r.URL.Path, "/logos/"); ok {
		kind, name = Logos, rest
		h.Set("Cache-Control", "public, max-age=31536000, immutable") // the name is the content's hash
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	} else {
		rest, _ := strings.CutPrefix(r.URL.Path, "/blobs/")
		kind, name, _ = strings.Cut(rest, "/")
		h.Set("Cache-Control", "private, no-store")
		if !s.allowed(r, kind, name) {
			http.Error(w, "the signature is missing, wrong or expired", http.StatusForbidden)
			return
		}
	}
	f, err := s.Open(kind, name)
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrName) {
		h.Del("Cache-Control")
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	if err != nil {
		h.Del("Cache-Control")
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		h.Del("Cache-Control")
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	kindOf, ok := contentTypes[filepath.Ext(name)]
	if !ok {
		kindOf = "application/octet-stream"
		h.Set("Content-Disposition", `attachment; filename="`+name+`"`) // names have no quotes
	}
	if kindOf == "image/svg+xml" { // its colours are styles; they can load nothing
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox")
	}
	h.Set("Content-Type", kindOf)
	http.ServeContent(w, r, "", info.ModTime(), f)
}

// allowed says whether a request has a good signature that has not expired.
func (s *Store) allowed(r *http.Request, kind, name string) bool {
	if _, err := path(kind, name); err != nil || r.URL.RawPath != "" {
		return false
	}
	q := r.URL.Query()
	if len(q["expires"]) != 1 || len(q["signature"]) != 1 {
		return false
	}
	at, err := strconv.ParseInt(q.Get("expires"), 10, 64)
	if err != nil {
		return false
	}
	mac, err := base64.RawURLEncoding.Strict().DecodeString(q.Get("signature"))
	// As it was signed: 7 and 07 are not the same text.
	return err == nil && s.config.Keyring.Verify(urlPurpose, signed(kind, name, strconv.FormatInt(at, 10)), mac) && s.config.Now().Unix() < at
}

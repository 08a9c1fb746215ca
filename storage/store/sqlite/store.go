// Package sqlite is the store in one SQLite file: the engine for one node,
// with nothing to install. It fulfils the contract of package store.
//
// One goroutine writes. It puts the commits that wait into one transaction, so
// that they share one sync of the disk, and no commit waits for a lock. Reads
// go over connections of their own and see the last commit. It is the
// business of the caller that no other process has the file open.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"souk/storage/store"
	"souk/storage/store/internal/layout"
)

// Config says where the store is. Everything but Path may be left out.
type Config struct {
	// Path is the database file. It is made with its folder if it is not there
	// (modes 0600 and 0700); "-wal" and "-shm" files stand beside it.
	Path string
	// Log gets what an operator should know. Nil is silence.
	Log *slog.Logger
	// CacheBytes bounds the documents that are kept in memory; 0 means 32 MiB,
	// less than 0 keeps none.
	CacheBytes int
	// Readers is the number of connections that read; 0 means 4.
	Readers int
	// Clock is the time by which work becomes due. Nil means time.Now.
	Clock func() time.Time
}

const (
	defaultCacheBytes = 32 << 20
	defaultReaders    = 4
	// The page caches of the connections. SQLite's allocator takes nearly
	// twice as much.
	writerPages = "-16384" // KiB
	readerPages = "-4096"
)

// Store is an open database.
type Store struct {
	path  string
	log   *slog.Logger
	clock func() time.Time
	cache *cache // nil if there is none

	// readers holds the idle connections; a nil one has yet to be opened.
	readers chan *reader

	requests chan *request
	writer   *writer
	written  chan struct{} // closed when the writer has ended

	// closing guards closed: commits hold it for reading while they stand in requests.
	closing sync.RWMutex
	closed  bool
}

var _ store.Store = (*Store)(nil)

var errClosed = errors.New("the store is closed")

// Open opens the database, makes it if it is not there, and brings its schema
// up to date. It returns store.ErrNewerSchema if a newer program has written it.
func Open(ctx context.Context, config Config) (*Store, error) {
	s := &Store{path: config.Path, log: config.Log, clock: config.Clock}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.clock == nil {
		s.clock = time.Now
	}
	if config.CacheBytes == 0 {
		config.CacheBytes = defaultCacheBytes
	}
	if config.CacheBytes > 0 {
		s.cache = newCache(config.CacheBytes)
	}
	if config.Readers <= 0 {
		config.Readers = defaultReaders
	}
	if err := s.open(ctx, config.Readers); err != nil {
		return nil, fmt.Errorf("open the database %s: %w", config.Path, err)
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, readers int) error {
	if err := makeFile(s.path); err != nil {
		return err
	}
	c, err := openConn(s.path)
	if err != nil {
		return err
	}
	if err := s.prepareFile(ctx, c); err != nil {
		c.close()
		return err
	}
	w, err := newWriter(s, c)
	if err != nil {
		c.close()
		return err
	}
	s.writer = w
	s.readers = make(chan *reader, readers)
	for range readers {
		s.readers <- nil
	}
	s.requests = make(chan *request, 4*maxGroup)
	s.written = make(chan struct{})
	go func() {
		defer close(s.written)
		w.run(s.requests)
	}()
	return nil
}

// prepareFile makes the connection the writer's and the schema the newest.
func (s *Store) prepareFile(ctx context.Context, c *conn) error {
	err := c.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
		PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF; PRAGMA wal_autocheckpoint = 16000;
		PRAGMA cache_size = ` + writerPages)
	if err != nil {
		return err
	}
	return s.migrate(ctx, c)
}

// makeFile makes an empty database file that only its owner may read, unless
// it is there. SQLite gives the files beside it the same mode.
func makeFile(path string) error {
	if path == "" {
		return errors.New("no path is given")
	}
	if _, err := os.Stat(path); err == nil {
		return os.Chmod(path, 0o600)
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	// The names of the file and its folder must last as long as the first
	// commit in it.
	if err := syncFolder(dir); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(dir))
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// Close ends the store after the commits under way, and folds the log of
// commits into the database file.
func (s *Store) Close() error {
	s.closing.Lock()
	if s.closed {
		s.closing.Unlock()
		return nil
	}
	s.closed = true
	close(s.requests)
	s.closing.Unlock()
	<-s.written
	for range cap(s.readers) {
		if r := <-s.readers; r != nil {
			r.close()
		}
	}
	close(s.readers)
	s.writer.close() // the last connection: SQLite checkpoints and removes the log
	return nil
}

// now is the database's clock in milliseconds since 1970.
func (s *Store) now() int64 { return s.clock().UnixMilli() }

// Now returns the time of the process: the database has no other clock.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	if err := ctx.Err(); err != nil {
		return time.Time{}, err
	}
	return time.UnixMilli(s.now()).UTC(), nil
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key store.Key) (store.Document, error) {
	if err := ctx.Err(); err != nil {
		return store.Document{}, err
	}
	if s.cache == nil {
		return s.load(ctx, key)
	}
	if doc, ok := s.cache.get(key); ok {
		return doc, nil
	}
	l := s.cache.begin(key)
	doc, err := s.load(ctx, key)
	if err != nil {
		s.cache.end(key, l, nil)
		return store.Document{}, err
	}
	s.cache.end(key, l, &doc)
	return doc, nil
}

// load reads a document from the database.
func (s *Store) load(ctx context.Context, key store.Key) (doc store.Document, err error) {
	if err := layout.CheckKey(key); err != nil {
		return store.Document{}, err
	}
	err = s.read(ctx, func(r *reader) error {
		doc, err = r.get(key)
		return err
	})
	if err != nil {
		return store.Document{}, fmt.Errorf("get %s %s: %w", key.Kind, key.ID, err)
	}
	return doc, nil
}

// List implements store.Store.
func (s *Store) List(ctx context.Context, q store.Query) (page store.Page, err error) {
	if err := layout.CheckQuery(q); err != nil {
		return store.Page{}, err
	}
	err = s.read(ctx, func(r *reader) error {
		page, err = r.list(q)
		return err
	})
	if err != nil {
		return store.Page{}, fmt.Errorf("list %s by %s: %w", q.Kind, q.Index, err)
	}
	return page, nil
}

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, b store.Batch) error {
	if err := layout.CheckBatch(b); err != nil {
		return err
	}
	r := newRequest()
	r.batch = &b
	r.rows = make([][]layout.Row, len(b.Put)) // made here: the writer is what all wait for
	r.terms = make([]terms, len(b.Put))
	for i := range b.Put {
		r.terms[i] = termsOf(b.Put[i].Kind, b.Put[i].Terms)
		r.rows[i] = layout.Rows(b.Put[i].Kind, b.Put[i].Index)
	}
	if err := s.write(ctx, r); err != nil {
		return err
	}
	return r.err
}

// Claim implements store.Store.
func (s *Store) Claim(ctx context.Context, kind string, n int, owner string, lease time.Duration) ([]store.Document, error) {
	if n <= 0 {
		return nil, ctx.Err()
	}
	// Workers ask often, and mostly there is nothing to do: then the writer is
	// left alone.
	var due bool
	err := s.read(ctx, func(r *reader) (err error) {
		due, err = r.anyDue(kind, s.now())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("claim %s: %w", kind, err)
	}
	if !due {
		return nil, nil
	}
	r := newRequest()
	r.claim = &claim{kind: kind, n: n, owner: owner, lease: lease.Milliseconds()}
	if err := s.write(ctx, r); err != nil {
		return nil, fmt.Errorf("claim %s: %w", kind, err)
	}
	if r.err != nil {
		return nil, fmt.Errorf("claim %s: %w", kind, r.err)
	}
	return r.claim.docs, nil
}

// write hands a request to the writer and waits until it is done. A nil error
// says only that; the request has its own. After an error, the request has not
// been and will not be looked at.
func (s *Store) write(ctx context.Context, r *request) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.closing.RLock()
	if s.closed {
		s.closing.RUnlock()
		return errClosed
	}
	select {
	case s.requests <- r:
		s.closing.RUnlock()
	case <-ctx.Done():
		s.closing.RUnlock()
		return ctx.Err()
	}
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		if r.leave() {
			return ctx.Err()
		}
		<-r.done // it is being written: the answer comes within milliseconds
		return nil
	}
}

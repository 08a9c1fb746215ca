package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// layout knows where the distribution library keeps its files ("The path
// layout in the storage backend", registry/storage/paths.go of the library).
// The library has no calls for what we need of them: ages, and fsync.
type layout struct{ root string }

func (l layout) repositories() string {
	return filepath.Join(l.root, "docker", "registry", "v2", "repositories")
}

func (l layout) repository(name string) string {
	return filepath.Join(l.repositories(), filepath.FromSlash(name))
}

func (l layout) blobs() string {
	return filepath.Join(l.root, "docker", "registry", "v2", "blobs", "sha256")
}

// blob is the file with a blob's content. The digest is sha256:HEX.
func (l layout) blob(digest string) string {
	hex := strings.TrimPrefix(digest, "sha256:")
	return filepath.Join(l.blobs(), hex[:2], hex, "data")
}

// layer is the link by which a repository has a blob.
func (l layout) layer(name, digest string) string {
	return filepath.Join(l.repository(name), "_layers", "sha256", strings.TrimPrefix(digest, "sha256:"), "link")
}

// revision is the link by which a repository has a manifest.
func (l layout) revision(name, digest string) string {
	return filepath.Join(l.repository(name), "_manifests", "revisions", "sha256", strings.TrimPrefix(digest, "sha256:"), "link")
}

// tag is the link to the manifest that a tag names.
func (l layout) tag(name, tag string) string {
	return filepath.Join(l.repository(name), "_manifests", "tags", tag, "current", "link")
}

// upload is the folder of an upload that is under way.
func (l layout) upload(name, id string) string {
	return filepath.Join(l.repository(name), "_uploads", id)
}

// touch notes that files are in use now. What is absent needs no note.
func touch(now time.Time, files ...string) error {
	for _, f := range files {
		err := os.Chtimes(f, now, now)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("touching %s: %w", f, err)
		}
	}
	return nil
}

// settle makes the folder entries above files durable, up to the root. The
// library fsyncs files, but not the folders that it makes and moves into.
func (l layout) settle(files ...string) error {
	done := map[string]bool{filepath.Dir(l.root): true}
	for _, f := range files {
		for dir := filepath.Dir(f); !done[dir] && len(dir) >= len(l.root); dir = filepath.Dir(dir) {
			done[dir] = true
			d, err := os.Open(dir)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return fmt.Errorf("syncing %s: %w", dir, err)
			}
			err = errors.Join(d.Sync(), d.Close())
			if err != nil {
				return fmt.Errorf("syncing %s: %w", dir, err)
			}
		}
	}
	return nil
}

// Pushes and the sweep share one rule. Whoever makes a reference to a blob (a
// push that commits a layer, mounts one or puts a manifest; Publish) holds the
// lock shared from before it looks whether the blob is there until the
// reference is stored, and touches the blob and its link first. The sweep
// waits until it had the lock alone once, looks for what is unreferenced
// without it, and then, holding it alone again, removes of that only what
// nothing has touched since and for a day before. So a blob either was swept
// before the push looked, which then uploads it, or stays.
//
// The lock is a file, since other nodes and the command `souk gc` work on the
// same folder; the mutex before it lets the sweep have its turn in this
// process while pushes keep coming.

// lockFile lies in the root.
const lockFile = "lock"

// share takes the lock shared. It never waits for a client.
func (r *Registry) share() (release func(), err error) {
	r.commits.RLock()
	f, err := r.flock(context.Background(), unix.LOCK_SH)
	if err != nil {
		r.commits.RUnlock()
		return nil, err
	}
	return func() {
		f.Close() // releases the flock
		r.commits.RUnlock()
	}, nil
}

// alone takes the lock for the sweep. The error is ctx's if others hold it too long.
func (r *Registry) alone(ctx context.Context) (release func(), err error) {
	r.commits.Lock()
	f, err := r.flock(ctx, unix.LOCK_EX|unix.LOCK_NB)
	if err != nil {
		r.commits.Unlock()
		return nil, err
	}
	return func() {
		f.Close()
		r.commits.Unlock()
	}, nil
}

func (r *Registry) flock(ctx context.Context, how int) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(r.layout.root, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the registry: %w", err)
	}
	var again *time.Ticker
	for {
		err = unix.Flock(int(f.Fd()), how)
		switch {
		case err == nil:
			return f, nil
		case err == unix.EINTR:
			continue
		case err != unix.EWOULDBLOCK:
			f.Close()
			return nil, fmt.Errorf("locking the registry: %w", err)
		}
		// Another node commits; there is no call that waits and can be cancelled.
		if again == nil {
			again = time.NewTicker(5 * time.Millisecond)
			defer again.Stop()
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("locking the registry: %w", ctx.Err())
		case <-again.C:
		}
	}
}

package layer

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"souk/artifact/archive"
	"souk/artifact/images"
)

// DefaultSize is how many bytes of layers a Cache keeps.
const DefaultSize = 20 << 30

// Config says where and how a Cache keeps layers. All of it but Root may be zero.
type Config struct {
	// Root is the folder, made if it is missing. It is for one Cache alone, and
	// nobody but its owner may enter it: programs of images lie there with the
	// modes that they have.
	Root string
	// Shift is added to the ids of all owners: user 0 of a machine is user
	// Shift of the host. With it an owner beyond IDs is refused. 0: owners are
	// as the layer says.
	Shift int
	// Rootless is for a process that is not root: all files belong to its user
	// whatever the layer says, and have no capabilities. An overlay of them
	// must be mounted with the option userxattr.
	Rootless bool
	// Size is how many bytes of the disk layers may take before those that were
	// not used for longest are evicted; what is in use may take more. 0: DefaultSize.
	Size int64
	// AtOnce is how many layers are unpacked at a time. 0: 2
	AtOnce int
	Limits archive.Limits // of each layer; Bytes also of its files together, with their holes
	Now    func() time.Time
	Log    *slog.Logger
}

// Cache keeps layers unpacked, by diff id. Its methods may be called concurrently.
type Cache struct {
	config Config
	lock   *os.File
	turn   chan struct{} // has as many places as layers may be unpacked at a time

	mu      sync.Mutex
	layers  map[string]*kept // by diff id
	bytes   int64            // of those that are ready
	closed  bool
	syncing bool           // sync is at work
	work    sync.WaitGroup // for sync
}

// kept is a layer in the cache, or one that is being unpacked.
type kept struct {
	record
	name  string        // of its folder
	used  time.Time     // when it was last taken or given back
	users int           // who has not given it back
	busy  chan struct{} // closed when the one who unpacks or reads it is done; nil if nobody does
	ready bool
}

// New opens the cache in a folder, and removes what an earlier process left
// half done there. ErrInUse.
func New(c Config) (*Cache, error) {
	c.Size = cmp.Or(c.Size, DefaultSize)
	c.AtOnce = cmp.Or(c.AtOnce, 2)
	c.Limits.Bytes = cmp.Or(c.Limits.Bytes, archive.DefaultBytes)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Rootless && c.Shift != 0 {
		return nil, errors.New("opening the folder of layers: a process that is not root can't shift owners")
	}
	// The trees are stacked by threads and processes that are elsewhere.
	root, err := filepath.Abs(c.Root)
	if err != nil {
		return nil, fmt.Errorf("finding the folder of layers: %w", err)
	}
	c.Root = root
	err = os.MkdirAll(c.Root, 0o700)
	if err != nil {
		return nil, fmt.Errorf("making the folder of layers: %w", err)
	}
	err = os.Chmod(c.Root, 0o700)
	if err != nil {
		return nil, fmt.Errorf("closing the folder of layers to others: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(c.Root, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the folder of layers: %w", err)
	}
	err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = ErrInUse
	}
	k := &Cache{config: c, lock: lock, turn: make(chan struct{}, c.AtOnce), layers: map[string]*kept{}}
	if err == nil {
		k.mu.Lock()
		err = k.sweep()
		k.mu.Unlock()
	}
	if err != nil {
		lock.Close()
		return nil, fmt.Errorf("opening the folder of layers %s: %w", c.Root, err)
	}
	return k, nil
}

// Close waits until all layers are safe on the disk, and lets another Cache have
// the folder. No other method may be called any more; what was taken stays
// where it is until then.
func (c *Cache) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.work.Wait()
	// A process that is being started has a copy of the descriptor for a moment.
	_ = unix.Flock(int(c.lock.Fd()), unix.LOCK_UN)
	// A process that is being started has a copy of the lock until it runs its program.
	return errors.Join(unix.Flock(int(c.lock.Fd()), unix.LOCK_UN), c.lock.Close())
}

// Get returns the folders of layers, in their order, the lowest first: overlayfs
// wants the option lowerdir the other way round. Those that are not there are
// unpacked. A layer that stands twice is returned once, in the higher place, and
// what lies below one that hides everything is left out, so there may be fewer
// folders than layers; and one more, if layers name directories of which only those
// below say what they are like. They stay as they are until release is called; nobody
// may write to them. Errors: ErrBadLayer, which names the layer; those of
// reading it.
func (c *Cache) Get(ctx context.Context, layers []images.Layer) (dirs []string, release func(), err error) {
	layers = slices.Clone(layers)
	slices.Reverse(layers)
	seen := map[string]bool{}
	layers = slices.DeleteFunc(layers, func(l images.Layer) bool {
		twice := seen[l.DiffID]
		seen[l.DiffID] = true
		return twice
	})
	slices.Reverse(layers)
	all, errs := make([]*kept, len(layers)), make([]error, len(layers))
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var each sync.WaitGroup
	for n, l := range layers {
		each.Go(func() {
			all[n], errs[n] = c.take(ctx, l)
			if errs[n] != nil {
				errs[n] = fmt.Errorf("layer %d of %d (%s): %w", n+1, len(layers), l.DiffID, errs[n])
				cancel(errs[n]) // the others' work is for nothing
			}
		})
	}
	each.Wait()
	release = c.giver(all)
	if err := context.Cause(ctx); err != nil {
		release()
		return nil, nil, fmt.Errorf("unpacking layers: %w", err)
	}
	for _, err := range errs {
		if err != nil {
			release()
			return nil, nil, fmt.Errorf("unpacking layers: %w", err)
		}
	}
	return c.stack(all)
}

// Hold returns the folders of layers that are there, as Get does, and keeps them
// from being evicted until release is called: a machine that is stopped holds
// its layers from the start of a process on. ErrMissing: one is not there, and
// none is held.
func (c *Cache) Hold(diffIDs []string) (dirs []string, release func(), err error) {
	c.mu.Lock()
	var all []*kept
	for n, id := range diffIDs {
		if slices.Contains(diffIDs[n+1:], id) {
			continue
		}
		k := c.layers[id]
		if k == nil || !k.ready {
			err = fmt.Errorf("holding layer %d of %d: %w: %s", n+1, len(diffIDs), ErrMissing, id)
			break
		}
		k.users++
		all = append(all, k)
	}
	c.mu.Unlock()
	if err != nil {
		c.giver(all)()
		return nil, nil, err
	}
	return c.stack(all)
}

// Size returns how many layers there are, and how many bytes of the disk they take.
func (c *Cache) Size() (layers int, bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.layers {
		if k.ready {
			layers++
		}
	}
	return layers, c.bytes
}

// giver returns a function that gives layers back, once.
func (c *Cache) giver(all []*kept) func() {
	return sync.OnceFunc(func() {
		c.mu.Lock()
		for _, k := range all {
			if k != nil {
				k.users--
				c.note(k)
			}
		}
		gone := c.evict()
		c.mu.Unlock()
		c.remove(gone)
	})
}

// note remembers that a layer was used just now. c.mu is held.
func (c *Cache) note(k *kept) {
	k.used = c.config.Now()
	// For the order of evictions after a restart: nothing hangs on it.
	os.Chtimes(c.recordFile(k.name), k.used, k.used)
}

// take returns a layer for one more user, and unpacks it if it is not there.
func (c *Cache) take(ctx context.Context, l images.Layer) (*kept, error) {
	name, err := folderName(l.DiffID)
	if err != nil {
		return nil, err
	}
	for {
		c.mu.Lock()
		k := c.layers[l.DiffID]
		switch {
		case c.closed:
			c.mu.Unlock()
			return nil, errors.New("the cache of layers is closed")
		case k == nil:
			k = &kept{name: name, record: record{DiffID: l.DiffID}}
			c.layers[l.DiffID] = k
		case k.busy != nil:
			// Another is at it. Whether that goes well or not says nothing about
			// these bytes: their digest may be another.
			busy := k.busy
			c.mu.Unlock()
			select {
			case <-busy:
				continue
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		case slices.Contains(k.Digests, l.Digest):
			k.users++
			c.note(k)
			c.mu.Unlock()
			return k, nil
		}
		k.users++ // so that it is not evicted
		k.busy = make(chan struct{})
		ready := k.ready
		c.mu.Unlock()
		err = c.bring(ctx, k, l, ready)
		return c.done(k, l, err)
	}
}

// bring unpacks a layer. If it is there, and these bytes are new, it reads them
// to see that they are the layer.
func (c *Cache) bring(ctx context.Context, k *kept, l images.Layer, ready bool) error {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if ready {
		return read(ctx, l, c.config.Limits, pass)
	}
	tree, err := os.MkdirTemp(c.config.Root, unfinished)
	if err != nil {
		return fmt.Errorf("making a folder for it: %w", err)
	}
	is, err := c.unpack(ctx, l, tree)
	if err == nil {
		k.Bytes, k.Entries, k.Covers, k.Implied, k.Boot = is.bytes, is.entries, is.covers, is.implied, bootID()
		err = os.Rename(tree, filepath.Join(c.config.Root, k.name))
	}
	if err != nil {
		wrong := Remove(tree)
		if wrong != nil {
			c.config.Log.Error("what was unpacked of a layer that is refused stays until the next start", "folder", tree, "error", wrong)
		}
	}
	return err
}

// done notes what came of bring.
func (c *Cache) done(k *kept, l images.Layer, err error) (*kept, error) {
	c.mu.Lock()
	defer func() {
		gone := c.evict()
		c.mu.Unlock()
		c.remove(gone)
	}()
	close(k.busy)
	k.busy = nil
	fresh := !k.ready
	if err == nil {
		k.Digests = append(k.Digests[max(0, len(k.Digests)-maxDigests+1):], l.Digest)
		err = c.write(k)
	}
	if err != nil {
		k.users--
		if fresh {
			delete(c.layers, k.DiffID)
			// A folder without a record is nobody's.
			c.remove([]string{filepath.Join(c.config.Root, k.name)})
		}
		return nil, err
	}
	c.note(k)
	if fresh {
		k.ready = true
		c.bytes += k.Bytes
		c.settle()
	}
	return k, nil
}

// evict takes layers that nobody uses out of the cache, those first that were
// not used for longest, until the rest is small enough. It returns what must be
// removed from the disk. c.mu is held.
func (c *Cache) evict() []string {
	if c.bytes <= c.config.Size {
		return nil
	}
	var free []*kept
	for _, k := range c.layers {
		if k.ready && k.users == 0 {
			free = append(free, k)
		}
	}
	slices.SortFunc(free, func(a, b *kept) int { return cmp.Or(a.used.Compare(b.used), strings.Compare(a.DiffID, b.DiffID)) })
	var gone []string
	for _, k := range free {
		if c.bytes <= c.config.Size {
			break
		}
		dir, err := c.discard(k.name)
		if err != nil {
			c.config.Log.Error("a layer can't be evicted", "layer", k.DiffID, "error", err)
			continue
		}
		delete(c.layers, k.DiffID)
		c.bytes -= k.Bytes
		gone = append(gone, dir)
	}
	return gone
}

// discard makes a layer's folder one that the next start removes, if we don't.
func (c *Cache) discard(name string) (dir string, err error) {
	err = os.Remove(c.recordFile(name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	dir = filepath.Join(c.config.Root, discarded+strings.ToLower(rand.Text()))
	return dir, os.Rename(filepath.Join(c.config.Root, name), dir)
}

func (c *Cache) remove(dirs []string) {
	for _, dir := range dirs {
		err := Remove(dir)
		if err != nil {
			c.config.Log.Error("a layer's folder is removed at the next start only", "folder", dir, "error", err)
		}
	}
}

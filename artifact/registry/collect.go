package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"souk/storage/store"
)

// Idle is for how long something must have been unreferenced and untouched
// before it is swept.
const Idle = 24 * time.Hour

// lockWait is how long the sweep waits for pushes of other nodes to pause.
const lockWait = 30 * time.Second

// Sweep says what Collect may remove beside what nothing refers to.
type Sweep struct {
	// OlderThan is how long a thing must have been idle; 0 means Idle.
	OlderThan time.Duration
	// Keep says whether a manifest in a published repository
	// (published/PRODUCT/NAME) is still in use: a version of the product names
	// its digest. Nil keeps all of them.
	Keep func(ctx context.Context, repository, digest string) (bool, error)
	// Untagged says of a seller's repository whether manifests that no tag, no
	// tagged index and no version names are removed, too. Otherwise a manifest
	// stays until its owner deletes it, as in Amazon ECR. Nil means nowhere.
	Untagged func(Repository) bool
	// Stale says of a tag in a repository that Untagged names, which nobody has
	// written for as long, that nothing needs it: it is removed. Nil means of none.
	Stale func(ctx context.Context, repository, tag string) (bool, error)
}

// Collect removes what nothing refers to and nobody has touched for a day:
// uploads and files that were not finished, layers without a manifest, published
// manifests that no version names, all of repositories that have no document,
// and then the blobs that no repository has. It returns how many bytes of
// blobs were removed. It may run while pushes and pulls go on, also on other
// nodes (see share); where it can't read something it stops and removes no more.
func (r *Registry) Collect(ctx context.Context, s Sweep) (freed int64, err error) {
	if s.OlderThan == 0 {
		s.OlderThan = Idle
	}
	c := collection{Registry: r, sweep: s, before: r.config.Now().Add(-s.OlderThan), live: map[string]bool{}}
	err = c.awaitCommits(ctx)
	if err != nil {
		return 0, fmt.Errorf("collecting: %w", err)
	}
	names, err := c.repositories()
	if err != nil {
		return 0, fmt.Errorf("collecting: listing repositories: %w", err)
	}
	for _, name := range names {
		err = c.repository(ctx, name)
		if err != nil {
			return 0, fmt.Errorf("collecting: repository %s: %w", name, err)
		}
	}
	freed, err = c.blobs(ctx)
	if err == nil {
		err = c.unfinished()
	}
	if err != nil {
		return freed, fmt.Errorf("collecting: %w", err)
	}
	r.config.Log.Info("registry: collected", "repositories", len(names), "blobs", c.count, "bytes", freed)
	return freed, nil
}

// collection is the work of one Collect.
type collection struct {
	*Registry
	sweep  Sweep
	before time.Time
	live   map[string]bool // digests that a repository has
	count  int             // blobs removed
}

// awaitCommits waits until all that was being committed when the sweep began
// is stored, so that the marking sees it. What comes later touches later.
func (c *collection) awaitCommits(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	release, err := c.alone(ctx)
	if err != nil {
		return err
	}
	release()
	return nil
}

// repositories lists all that have files.
func (c *collection) repositories() ([]string, error) {
	top := c.layout.repositories()
	names := []string{}
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // nothing there yet, or gone since
		}
		if err != nil || !d.IsDir() {
			return err
		}
		if !strings.HasPrefix(d.Name(), "_") { // _layers, _manifests, _uploads
			return nil
		}
		name, err := filepath.Rel(top, filepath.Dir(path))
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if len(names) == 0 || names[len(names)-1] != name {
			names = append(names, name)
		}
		return filepath.SkipDir
	})
	return names, err
}

// repository sweeps one repository's links and notes which blobs it has.
func (c *collection) repository(ctx context.Context, name string) error {
	err := c.uploads(name)
	if err != nil {
		return err
	}
	revisions, err := c.links(filepath.Join(c.layout.repository(name), "_manifests", "revisions", "sha256"))
	if err != nil {
		return err
	}
	kept, err := c.kept(ctx, name, revisions)
	if err != nil {
		return err
	}
	used := map[string]bool{}
	idle := []string{}
	for digest, age := range revisions {
		if !kept[digest] && age.Before(c.before) {
			idle = append(idle, c.layout.revision(name, digest))
			continue
		}
		c.live[digest] = true
		refs, err := c.references(digest)
		if err != nil {
			return err
		}
		for _, blob := range refs.blobs {
			used[blob] = true
		}
	}
	layers, err := c.links(filepath.Join(c.layout.repository(name), "_layers", "sha256"))
	if err != nil {
		return err
	}
	for digest, age := range layers {
		if !used[digest] && age.Before(c.before) {
			idle = append(idle, c.layout.layer(name, digest))
			continue
		}
		c.live[digest] = true
	}
	for digest := range used {
		c.live[digest] = true
	}
	return c.remove(ctx, idle, func(string, fs.FileInfo) {}, func(file string) {
		// Touched meanwhile: the link stays, so its blob must too.
		c.live["sha256:"+filepath.Base(filepath.Dir(file))] = true
	})
}

// kept says which manifests of a repository are in use.
func (c *collection) kept(ctx context.Context, name string, revisions map[string]time.Time) (map[string]bool, error) {
	kept := map[string]bool{}
	if strings.HasPrefix(name, publishedPrefix) {
		for digest := range revisions {
			keep := c.sweep.Keep == nil
			if !keep {
				var err error
				keep, err = c.sweep.Keep(ctx, name, digest)
				if err != nil {
					return nil, err
				}
			}
			kept[digest] = keep
		}
		return kept, c.follow(revisions, kept)
	}
	is, err := c.Registry.repository(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return kept, nil
	}
	if err != nil {
		return nil, err
	}
	if c.sweep.Untagged == nil || !c.sweep.Untagged(is) {
		for digest := range revisions {
			kept[digest] = true
		}
		return kept, nil
	}
	tags, err := os.ReadDir(filepath.Join(c.layout.repository(name), "_manifests", "tags"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, t := range tags {
		gone, err := c.untag(ctx, name, t.Name())
		if err != nil {
			return nil, err
		}
		if gone {
			continue
		}
		digest, err := c.current(ctx, name, t.Name())
		if err != nil {
			return nil, err
		}
		kept[digest] = true
		pinned, err := c.tag(ctx, name, t.Name())
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		kept[pinned.Digest] = true
	}
	for digest, age := range revisions {
		if !age.Before(c.before) {
			kept[digest] = true
		}
	}
	return kept, c.follow(revisions, kept)
}

// untag removes a tag that is idle and stale. Whether it is is asked once more
// while nothing can be tagged.
func (c *collection) untag(ctx context.Context, name, tag string) (gone bool, err error) {
	if c.sweep.Stale == nil {
		return false, nil
	}
	file := c.layout.tag(name, tag)
	stale := func() (bool, error) {
		info, err := os.Stat(file)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		if err != nil || !info.ModTime().Before(c.before) {
			return false, err
		}
		return c.sweep.Stale(ctx, name, tag)
	}
	is, err := stale()
	if err != nil || !is {
		return false, err
	}
	locked, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	release, err := c.alone(locked)
	if err != nil {
		return false, err
	}
	defer release()
	is, err = stale()
	if err != nil || !is {
		return false, err
	}
	return true, os.RemoveAll(filepath.Dir(filepath.Dir(file)))
}

// follow keeps what kept manifests name: the manifests of an index, and those
// whose subject is kept (signatures, attestations).
func (c *collection) follow(revisions map[string]time.Time, kept map[string]bool) error {
	all := map[string]manifestRefs{}
	for digest := range revisions {
		refs, err := c.references(digest)
		if err != nil {
			return err
		}
		all[digest] = refs
	}
	for more := true; more; {
		more = false
		for digest, refs := range all {
			if refs.subject != "" && kept[refs.subject] && !kept[digest] {
				kept[digest], more = true, true
			}
			if !kept[digest] {
				continue
			}
			for _, child := range refs.manifests {
				if !kept[child] {
					kept[child], more = true, true
				}
			}
		}
	}
	return nil
}

// references reads what a manifest names. One whose content is gone names nothing.
func (r *Registry) references(digest string) (manifestRefs, error) {
	payload, err := os.ReadFile(r.layout.blob(digest))
	if errors.Is(err, fs.ErrNotExist) {
		r.config.Log.Warn("registry: a manifest is linked but its content is gone", "digest", digest)
		return manifestRefs{}, nil
	}
	if err != nil {
		return manifestRefs{}, err
	}
	return references(payload)
}

// links lists the links in a folder: digest and when it was last touched.
func (c *collection) links(dir string) (map[string]time.Time, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	links := map[string]time.Time{}
	for _, e := range entries {
		info, err := os.Stat(filepath.Join(dir, e.Name(), "link"))
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted: the folder is empty
		}
		if err != nil {
			return nil, err
		}
		links["sha256:"+e.Name()] = info.ModTime()
	}
	return links, nil
}

// uploads removes the uploads of a repository that nobody goes on with.
func (c *collection) uploads(name string) error {
	dir := filepath.Join(c.layout.repository(name), "_uploads")
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		newest := time.Time{}
		for _, f := range []string{"", "startedat", "data"} {
			info, err := os.Stat(filepath.Join(dir, e.Name(), f))
			if err == nil && info.ModTime().After(newest) {
				newest = info.ModTime()
			}
		}
		if newest.Before(c.before) {
			err = os.RemoveAll(filepath.Join(dir, e.Name()))
			if err != nil && !errors.Is(err, unix.ENOTEMPTY) { // somebody goes on with it after all; its digest is checked at the end
				return err
			}
		}
	}
	return nil
}

// blobs removes the blobs that no repository has.
func (c *collection) blobs(ctx context.Context) (freed int64, err error) {
	idle := []string{}
	err = filepath.WalkDir(c.layout.blobs(), func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() || d.Name() != "data" {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if !c.live["sha256:"+filepath.Base(filepath.Dir(path))] && info.ModTime().Before(c.before) {
			idle = append(idle, path)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	err = c.remove(ctx, idle, func(_ string, info fs.FileInfo) {
		freed += info.Size()
		c.count++
	}, func(string) {})
	return freed, err
}

// halfWritten are the names of files that get their own when they are whole: one is
// left where the process is killed in between.
var halfWritten = regexp.MustCompile(`^(link|data|startedat)\.[0-9a-f-]{36}\.tmp$`)

// unfinished removes files that nobody goes on writing. They are small, and written
// at once: none of that age is another node's.
func (c *collection) unfinished() error {
	for _, top := range []string{c.layout.repositories(), c.layout.blobs()} {
		err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err == nil && (!d.Type().IsRegular() || !halfWritten.MatchString(d.Name())) {
				return nil
			}
			var info fs.FileInfo
			if err == nil {
				info, err = d.Info()
			}
			if err == nil && info.ModTime().Before(c.before) {
				err = os.Remove(path)
			}
			if errors.Is(err, fs.ErrNotExist) {
				return nil // nothing there yet, or gone since
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// batch is how many files are removed while pushes wait.
const batch = 100

// remove removes those of the files, with their folders, that nobody has
// touched since they were found idle; pushes wait meanwhile, for a moment at a
// time. It tells which went and which stayed.
func (c *collection) remove(ctx context.Context, files []string, gone func(file string, info fs.FileInfo), stays func(file string)) error {
	for len(files) > 0 {
		n := min(batch, len(files))
		err := c.removeAlone(ctx, files[:n], gone, stays)
		if err != nil {
			return err
		}
		files = files[n:]
	}
	return nil
}

func (c *collection) removeAlone(ctx context.Context, files []string, gone func(string, fs.FileInfo), stays func(string)) error {
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	release, err := c.alone(ctx)
	if err != nil {
		return err
	}
	defer release()
	for _, f := range files {
		info, err := os.Stat(f)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if !info.ModTime().Before(c.before) {
			stays(f)
			continue
		}
		err = os.RemoveAll(filepath.Dir(f))
		if err != nil {
			return err
		}
		gone(f, info)
	}
	return nil
}

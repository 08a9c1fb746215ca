// Package advisory keeps security advisories in OSV form and says which of them
// concern a package: an index in the database by ecosystem and package, with the
// date of its newest advisory.
//
// It fetches nothing: an operator imports files that were downloaded, such as
// the dumps of osv.dev.
package advisory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"souk/artifact/scan/version"
	"souk/storage/store"
)

// Kinds of documents.
const (
	// KindPackage: all advisories of one package of an ecosystem.
	KindPackage = "advisorypackage"
	// KindEcosystem: which packages of an ecosystem have advisories.
	KindEcosystem = "advisoryecosystem"
)

// Index keeps advisories. Its methods may be called concurrently.
type Index struct {
	store store.Store
	now   func() time.Time
	// importing is held by the import that this process does.
	importing sync.Mutex
}

// New returns the index of a store. now is the clock, nil for time.Now.
func New(s store.Store, now func() time.Time) *Index {
	if now == nil {
		now = time.Now
	}
	return &Index{store: s, now: now}
}

// Ecosystem is what is loaded of one ecosystem.
type Ecosystem struct {
	Name       string
	Advisories int       // each counted for each package that it concerns
	Packages   int       // that have one
	Modified   time.Time // of the newest advisory
	Imported   time.Time // when it was last imported
}

// ecosystem is the body of a KindEcosystem.
type ecosystem struct {
	Ecosystem
	Counts map[string]int // advisories by package
}

// List returns what is loaded, by name.
func (x *Index) List(ctx context.Context) ([]Ecosystem, error) {
	var all []Ecosystem
	q := store.Query{Kind: KindEcosystem, Index: "name", Limit: 100}
	for {
		page, err := x.store.List(ctx, q)
		if err != nil {
			return nil, fmt.Errorf("listing advisories: %w", err)
		}
		for _, d := range page.Documents {
			var e Ecosystem
			if err := json.Unmarshal(d.Summary, &e); err != nil {
				return nil, fmt.Errorf("reading the advisories of %s: %w", d.ID, err)
			}
			all = append(all, e)
		}
		if !page.More {
			return all, nil
		}
		q.After = page.Next
	}
}

// Remove forgets the advisories of an ecosystem, and says whether there were any.
func (x *Index) Remove(ctx context.Context, name string) (bool, error) {
	x.importing.Lock()
	defer x.importing.Unlock()
	e, _, err := x.ecosystem(ctx, name)
	if err != nil {
		return false, err
	}
	if e == nil {
		return false, nil
	}
	// The list of packages goes last: a removal that ends early can be repeated.
	batch := store.Batch{}
	for p := range e.Counts {
		batch.Delete = append(batch.Delete, store.Removal{Key: packageKey(name, p), Was: store.Any})
	}
	for part := range slices.Chunk(batch.Delete, batchSize) {
		if err := x.store.Commit(ctx, store.Batch{Delete: part}); err != nil {
			return false, fmt.Errorf("removing advisories of %s: %w", name, err)
		}
	}
	err = x.store.Commit(ctx, store.Batch{Delete: []store.Removal{{Key: ecosystemKey(name), Was: store.Any}}})
	if err != nil {
		return false, fmt.Errorf("removing the advisories of %s: %w", name, err)
	}
	return true, nil
}

func ecosystemKey(name string) store.Key { return store.Key{Kind: KindEcosystem, ID: name} }

// packageKey: names have no space before the package's own.
func packageKey(ecosystem, name string) store.Key {
	return store.Key{Kind: KindPackage, ID: ecosystem + " " + name}
}

// ecosystem reads what is loaded of an ecosystem; nil if nothing is.
func (x *Index) ecosystem(ctx context.Context, name string) (*ecosystem, int64, error) {
	d, err := x.store.Get(ctx, ecosystemKey(name))
	if errors.Is(err, store.ErrNotFound) {
		return nil, 0, nil
	}
	var e ecosystem
	if err == nil {
		err = json.Unmarshal(d.Body, &e)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("reading the advisories of %s: %w", name, err)
	}
	return &e, d.Revision, nil
}

// Package is a package that is asked for.
type Package struct {
	Name    string // as advisories of its ecosystem name it
	Version string
}

// Match is an advisory that concerns a package.
type Match struct {
	Package int    // its place in what was asked for
	Fixed   string // version that mends it; "" if none does
	Advisory
}

// Find returns the advisories that concern packages of an ecosystem. loaded is
// false if nothing is loaded of it: then nothing can be said of them.
func (x *Index) Find(ctx context.Context, name string, packages []Package) (matches []Match, loaded bool, err error) {
	order := version.OrderOf(name)
	e, _, err := x.ecosystem(ctx, name)
	if err != nil || e == nil || order == nil {
		return nil, false, err
	}
	known, err := x.all(ctx, e, packages)
	if err != nil {
		return nil, false, err
	}
	for i, p := range packages {
		for _, a := range known[p.Name] {
			if fixed, yes := a.Affects(p.Version, order); yes {
				matches = append(matches, Match{Package: i, Fixed: fixed, Advisory: a})
			}
		}
	}
	return matches, true, nil
}

// all reads the advisories of those of the packages that have some, by name.
func (x *Index) all(ctx context.Context, e *ecosystem, packages []Package) (map[string][]Advisory, error) {
	known := map[string][]Advisory{}
	var keys []store.Key
	for _, p := range packages {
		if _, ok := known[p.Name]; !ok && e.Counts[p.Name] > 0 {
			known[p.Name] = nil
			keys = append(keys, packageKey(e.Name, p.Name))
		}
	}
	for part := range slices.Chunk(keys, batchSize) {
		found, err := x.store.GetAll(ctx, part)
		if err != nil {
			return nil, fmt.Errorf("reading the advisories of %s: %w", e.Name, err)
		}
		for _, d := range found {
			name := strings.TrimPrefix(d.ID, e.Name+" ")
			known[name], err = decode(d, e.Name, name)
			if err != nil {
				return nil, err
			}
		}
	}
	return known, nil
}

// decode reads the advisories of a package from their document.
func decode(d store.Document, ecosystem, name string) (all []Advisory, err error) {
	err = json.Unmarshal(d.Body, &all)
	if err != nil {
		return nil, fmt.Errorf("reading the advisories of %s in %s: %w", name, ecosystem, err)
	}
	return all, nil
}

// of reads the advisories of a package.
func (x *Index) of(ctx context.Context, ecosystem, name string) ([]Advisory, int64, error) {
	d, err := x.store.Get(ctx, packageKey(ecosystem, name))
	if errors.Is(err, store.ErrNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("reading the advisories of %s in %s: %w", name, ecosystem, err)
	}
	all, err := decode(d, ecosystem, name)
	return all, d.Revision, err
}

const batchSize = 200 // documents in a commit, or in a question

// keep merges records of one ecosystem into the index.
func (x *Index) keep(ctx context.Context, name string, packages map[string][]Record, modified time.Time) error {
	e, revision, err := x.ecosystem(ctx, name)
	if err != nil {
		return err
	}
	if e == nil {
		e = &ecosystem{Counts: map[string]int{}}
	}
	e.Name, e.Imported = name, x.now().UTC()
	if modified.After(e.Modified) {
		e.Modified = modified
	}
	var batch store.Batch
	commit := func() error {
		err := x.store.Commit(ctx, batch)
		batch = store.Batch{}
		if errors.Is(err, store.ErrConflict) {
			return fmt.Errorf("another import of %s is under way: try again when it has ended", name)
		}
		if err != nil {
			return fmt.Errorf("keeping advisories of %s: %w", name, err)
		}
		return nil
	}
	for p, records := range packages {
		old, was, err := x.of(ctx, name, p)
		if err != nil {
			return err
		}
		all := merge(old, records)
		if len(all) == 0 {
			delete(e.Counts, p)
			batch.Delete = append(batch.Delete, store.Removal{Key: packageKey(name, p), Was: store.Any})
		} else {
			body, err := json.Marshal(all)
			if err != nil {
				return fmt.Errorf("encoding the advisories of %s: %w", p, err)
			}
			e.Counts[p] = len(all)
			batch.Put = append(batch.Put, store.Write{Document: store.Document{Key: packageKey(name, p), Body: body}, Was: was})
		}
		if len(batch.Put)+len(batch.Delete) == batchSize {
			if err := commit(); err != nil {
				return err
			}
		}
	}
	e.Packages, e.Advisories = len(e.Counts), 0
	for _, n := range e.Counts {
		e.Advisories += n
	}
	body, err := json.Marshal(e, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("encoding the advisories of %s: %w", name, err)
	}
	summary, err := json.Marshal(e.Ecosystem)
	if err != nil {
		return fmt.Errorf("encoding the advisories of %s: %w", name, err)
	}
	batch.Put = append(batch.Put, store.Write{Was: revision, Document: store.Document{
		Key: ecosystemKey(name), Body: body, Summary: summary, Index: []store.Entry{{Index: "name", Sort: name}},
	}})
	return commit()
}

// merge puts records in the place of advisories of the same ids.
func merge(old []Advisory, records []Record) []Advisory {
	at := map[string]int{}
	for i, a := range old {
		at[a.ID] = i
	}
	gone := map[string]bool{}
	for _, r := range records {
		gone[r.ID] = r.Withdrawn
		if i, ok := at[r.ID]; ok {
			old[i] = r.Advisory
			continue
		}
		at[r.ID] = len(old)
		old = append(old, r.Advisory)
	}
	old = slices.DeleteFunc(old, func(a Advisory) bool { return gone[a.ID] })
	slices.SortFunc(old, func(a, b Advisory) int { return cmp.Compare(a.ID, b.ID) })
	return old
}

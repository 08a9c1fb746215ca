// Package audit looks at all documents of a store, and compares its indexes with
// what they say should stand in them. It needs little memory, however large the
// store is, and knows nothing of what documents mean: its caller says that.
package audit

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"

	"souk/storage/store"
	"souk/storage/store/internal/layout"
)

// Wrong is something that a document, or an index, has and should not have.
type Wrong struct {
	store.Key // Kind is "" if there is no such document
	What      string
}

// String is the sentence that souk doctor says.
func (w Wrong) String() string { return w.Kind + " " + w.ID + ": " + w.What }

// Should returns the Summary and the Index that a document should have. An
// error means that this can't be told: then it should be in no list.
type Should func(store.Document) (summary []byte, index []store.Entry, err error)

const (
	// buckets are the parts, by document id, in which entries are compared.
	buckets = 1 << 16
	// closely is how many parts that differ are looked into at most.
	closely = 500
)

// Lists compares every entry of every index with the documents of some kinds.
// Each kind is told what its documents should have. What is written meanwhile
// may be found wrong: ask again, and believe what is found again.
func Lists(ctx context.Context, w store.Walker, kinds map[string]Should) ([]Wrong, error) {
	a := audit{ctx: ctx, walker: w, kinds: kinds, seed: maphash.MakeSeed(), sums: make([]uint64, buckets), odd: make([]bool, buckets)}
	err := errors.Join(a.documents(a.add), a.index(a.subtract))
	if err != nil {
		return nil, fmt.Errorf("comparing indexes: %w", err)
	}
	differ := 0
	for i, sum := range a.sums {
		if sum != 0 && differ < closely {
			a.odd[i] = true
			differ++
		}
	}
	if differ > 0 {
		a.left = map[string]place{}
		err = errors.Join(a.documents(a.note), a.index(a.strike))
		if err != nil {
			return nil, fmt.Errorf("comparing indexes closely: %w", err)
		}
		for _, p := range a.left {
			a.find(p.document, "list %s of %s lacks it", p.Index, p.Partition)
		}
	}
	slices.SortFunc(a.wrong, func(x, y Wrong) int {
		return cmp.Or(cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.ID, y.ID), cmp.Compare(x.What, y.What))
	})
	return slices.Compact(a.wrong), nil
}

// audit is the work of Lists. The first look adds up a hash of each entry that
// should be there and takes off that of each that is: what is left over in a
// part differs. The second looks at those parts entry by entry.
type audit struct {
	ctx    context.Context
	walker store.Walker
	kinds  map[string]Should
	seed   maphash.Seed
	sums   []uint64 // by bucket
	odd    []bool   // buckets that differ
	room   []byte

	left  map[string]place // entries of those buckets that were not seen yet
	wrong []Wrong
}

// place is an entry that should be there.
type place struct {
	store.Entry
	document store.Key
	sum      uint64
}

func (a *audit) find(k store.Key, format string, args ...any) {
	a.wrong = append(a.wrong, Wrong{Key: k, What: fmt.Sprintf(format, args...)})
}

// documents calls look with each document as it is and with what it should have.
func (a *audit) documents(look func(d *store.Document, summary []byte)) error {
	for kind, should := range a.kinds {
		err := a.walker.Walk(a.ctx, kind, func(d store.Document) error {
			summary, index, err := should(d)
			if err != nil {
				return nil
			}
			d.Index = index
			look(&d, summary)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// index calls look with each entry, and the key of its document, unless its
// kind is not looked at.
func (a *audit) index(look func(document store.Key, l *store.Listing)) error {
	return a.walker.WalkIndex(a.ctx, func(l *store.Listing) error {
		if l.Kind != "" && a.kinds[l.Kind] == nil {
			return nil
		}
		_, id, err := layout.SplitKey(l.Place)
		if err != nil {
			return err
		}
		look(store.Key{Kind: l.Kind, ID: id}, l)
		return nil
	})
}

func (a *audit) bucket(id string) uint64 { return maphash.String(a.seed, id) % buckets }

// sum is the hash of an entry and of what it shows.
func (a *audit) sum(key, cover []byte, revision int64, summary []byte) uint64 {
	b := binary.AppendVarint(a.room[:0], revision)
	for _, part := range [][]byte{key, cover} {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	a.room = append(b, summary...)
	return maphash.Bytes(a.seed, a.room)
}

func (a *audit) add(d *store.Document, summary []byte) {
	if !bytes.Equal(d.Summary, summary) {
		a.find(d.Key, "what lists show of it is not what it says")
	}
	sum := uint64(0)
	for _, r := range layout.Rows(d.Kind, d.Index) {
		sum += a.sum(append(r.Place, d.ID...), r.Cover, d.Revision, d.Summary)
	}
	a.sums[a.bucket(d.ID)] += sum
}

func (a *audit) subtract(document store.Key, l *store.Listing) {
	a.sums[a.bucket(document.ID)] -= a.sum(l.Place, l.Cover, l.Revision, l.Summary)
}

func (a *audit) note(d *store.Document, _ []byte) {
	if !a.odd[a.bucket(d.ID)] {
		return
	}
	for _, e := range d.Index {
		key := append(layout.AppendPlace(nil, layout.PrefixOf(d.Kind, e.Index, e.Partition), e.Sort), d.ID...)
		a.left[string(key)] = place{Entry: e, document: d.Key, sum: a.sum(key, e.Cover, d.Revision, d.Summary)}
	}
}

func (a *audit) strike(document store.Key, l *store.Listing) {
	if !a.odd[a.bucket(document.ID)] {
		return
	}
	p, ok := a.left[string(l.Place)]
	switch {
	case !ok && document.Kind == "":
		a.find(document, "it is listed and not there")
	case !ok:
		a.find(document, "it is in a list where it doesn't belong")
	case document.Kind == "" || p.sum != a.sum(l.Place, l.Cover, l.Revision, l.Summary):
		a.find(p.document, "list %s of %s shows it otherwise than it is", p.Index, p.Partition)
	}
	delete(a.left, string(l.Place))
}

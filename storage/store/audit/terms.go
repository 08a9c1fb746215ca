package audit

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"

	"souk/storage/store"
	"souk/storage/store/internal/layout"
)

// Terms compares the terms by which documents of a kind are found with those
// that they should have. An error of should means that this can't be told: then
// the document is passed over. What is written meanwhile may be found wrong.
func Terms(ctx context.Context, w store.Walker, kind string, should func(store.Document) ([]string, error)) ([]Wrong, error) {
	a := termsAudit{ctx: ctx, walker: w, kind: kind, should: should, seed: maphash.MakeSeed(), odd: func(string) bool { return true }}
	sums := make([]uint64, buckets)
	err := errors.Join(
		a.documents(func(id string, sum uint64) { sums[a.bucket(id)] += a.mixed(id, sum) }),
		a.stored(func(id string, sum uint64) { sums[a.bucket(id)] -= a.mixed(id, sum) }),
	)
	if err != nil {
		return nil, fmt.Errorf("comparing terms: %w", err)
	}
	odd, differ := make([]bool, buckets), 0
	for i, sum := range sums {
		if sum != 0 && differ < closely {
			odd[i] = true
			differ++
		}
	}
	if differ == 0 {
		return nil, nil
	}
	a.odd = func(id string) bool { return odd[a.bucket(id)] }
	left := map[string]uint64{}
	var wrong []Wrong
	err = errors.Join(
		a.documents(func(id string, sum uint64) { left[id] = sum }),
		a.stored(func(id string, sum uint64) {
			want, known := left[id]
			if known && want != sum {
				wrong = append(wrong, Wrong{store.Key{Kind: kind, ID: id}, "it is found by other terms than its own"})
			}
			delete(left, id)
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("comparing terms closely: %w", err)
	}
	for id, sum := range left {
		if sum != 0 {
			wrong = append(wrong, Wrong{store.Key{Kind: kind, ID: id}, "it is not found by its terms"})
		}
	}
	return wrong, nil
}

// termsAudit is the work of Terms.
type termsAudit struct {
	ctx    context.Context
	walker store.Walker
	kind   string
	should func(store.Document) ([]string, error)
	seed   maphash.Seed
	odd    func(id string) bool // ids that are looked at
	unread map[string]bool
}

func (a *termsAudit) bucket(id string) uint64 { return maphash.String(a.seed, id) % buckets }

// mixed is a sum that also tells the documents apart.
func (a *termsAudit) mixed(id string, sum uint64) uint64 {
	if sum == 0 {
		return 0 // as if it weren't there
	}
	return maphash.Bytes(a.seed, append(binary.BigEndian.AppendUint64(nil, sum), id...))
}

// documents calls look with the sum that each document should have.
func (a *termsAudit) documents(look func(id string, sum uint64)) error {
	a.unread = map[string]bool{}
	return a.walker.Walk(a.ctx, a.kind, func(d store.Document) error {
		if !a.odd(d.ID) {
			return nil
		}
		terms, err := a.should(d)
		if err != nil {
			a.unread[d.ID] = true
			return nil
		}
		look(d.ID, layout.SumOf(layout.TermsOf(a.kind, terms)))
		return nil
	})
}

// stored calls look with the sum that each document has.
func (a *termsAudit) stored(look func(id string, sum uint64)) error {
	return a.walker.WalkTerms(a.ctx, a.kind, func(id string, sum uint64) error {
		if a.odd(id) && !a.unread[id] {
			look(id, sum)
		}
		return nil
	})
}

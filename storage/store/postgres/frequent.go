package postgres

import (
	"context"
	"slices"
	"sync"
	"time"

	"souk/storage/store/internal/layout"
)

const (
	// Groups of terms that more than this part of the documents has are left to
	// the caller where there are others: their long lists cost more to read than
	// what the others find.
	common = 1.0 / 16
	// relearn is how long what is known of the terms is good enough. The database
	// itself looks seldom.
	relearn = time.Minute
)

// frequent knows the terms that many documents have, as the database saw it
// when it last looked (ANALYZE). It is a guess, by which a search becomes
// faster, never other. The zero value knows none.
type frequent struct {
	mu    sync.Mutex
	terms map[int64]float32 // the part of the documents; guarded by mu
	next  time.Time         // when it is learnt again; guarded by mu
}

// The columns stand in the order of the terms. Behind the parts stand three
// numbers about all of them.
const sqlFrequent = `SELECT most_common_elems::text::bigint[], most_common_elem_freqs FROM pg_stats
	WHERE schemaname = current_schema() AND tablename = 'term' AND attname = 'terms' AND most_common_elems IS NOT NULL`

// frequentTerms are the terms that many documents have. Where the database does
// not tell, they are those that were known before.
func (s *Store) frequentTerms(ctx context.Context) map[int64]float32 {
	f := &s.frequent
	f.mu.Lock()
	now := time.Now()
	known, fresh := f.terms, now.Before(f.next)
	f.next = now.Add(relearn) // of those who come meanwhile nobody else asks
	f.mu.Unlock()
	if fresh {
		return known
	}
	var terms []int64
	var parts []float32
	if err := s.pool.QueryRow(ctx, sqlFrequent).Scan(&terms, &parts); err != nil || len(parts) < len(terms) {
		return known // nobody has looked yet, or we may not see it
	}
	known = make(map[int64]float32, len(terms))
	for i, t := range terms {
		known[t] = parts[i]
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.terms = known
	return known
}

// rare are the groups of a search that are worth being asked for: all but those
// that many documents have, and all if there are only such.
func rare(groups []ints, frequent map[int64]float32) []ints {
	isCommon := func(group ints) bool {
		part := float32(0)
		for _, term := range group {
			part += frequent[term]
		}
		return part > common
	}
	few := slices.DeleteFunc(slices.Clone(groups), isCommon)
	if len(few) == 0 {
		return groups
	}
	return few
}

// groupsOf are the groups of a search, as the table has the terms.
func groupsOf(kind string, all [][]string) []ints {
	groups := make([]ints, len(all))
	for i, group := range all {
		groups[i] = make(ints, len(group))
		for j, t := range group {
			groups[i][j] = int64(layout.Term(kind, t))
		}
	}
	return groups
}

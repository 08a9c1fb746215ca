package sqlite

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"souk/storage/store"
	"souk/storage/store/internal/layout"
)

var _ store.Indexer = (*Store)(nil)

// terms are those of a document, as the table term has them.
type terms struct {
	text string
	sum  uint64
}

func termsOf(kind string, all []string) terms {
	if len(all) == 0 {
		return terms{}
	}
	known := layout.TermsOf(kind, all)
	var text strings.Builder
	for _, t := range known {
		text.WriteString(word(t))
		text.WriteByte(' ')
	}
	return terms{text.String(), layout.SumOf(known)}
}

// word is a term as the table has it.
func word(t uint64) string {
	s := strconv.FormatUint(t, 16)
	return "0000000000000000"[len(s):] + s
}

// writeTerms makes the terms of a document those of text, unless their sum says
// that they are.
func (w *writer) writeTerms(number int64, was, sum uint64, text string) error {
	if was == sum {
		return nil
	}
	if was != 0 {
		w.dropTerms.bindInt(1, number)
		if err := w.dropTerms.run(); err != nil {
			return fmt.Errorf("remove its terms: %w", err)
		}
	}
	if sum == 0 {
		return nil
	}
	w.putTerms.bindInt(1, number)
	w.putTerms.bindText(2, text)
	if err := w.putTerms.run(); err != nil {
		return fmt.Errorf("write its terms: %w", err)
	}
	return nil
}

// SetTerms implements store.Indexer.
func (s *Store) SetTerms(ctx context.Context, all []store.Terms) error {
	if len(all) == 0 {
		return ctx.Err()
	}
	r := newRequest()
	r.set = all
	if err := s.write(ctx, r); err != nil {
		return err
	}
	return r.err
}

func (w *writer) setTerms(all []store.Terms) error {
	for i := range all {
		h, err := w.head(all[i].Key)
		if err != nil {
			return fmt.Errorf("look up %s %s: %w", all[i].Kind, all[i].ID, err)
		}
		terms := termsOf(all[i].Kind, all[i].Terms)
		if h.number == 0 || h.revision != all[i].Revision || termsIn(h.places) == terms.sum {
			continue
		}
		if err := w.writeTerms(h.number, termsIn(h.places), terms.sum, terms.text); err != nil {
			return fmt.Errorf("set terms of %s %s: %w", all[i].Kind, all[i].ID, err)
		}
		h.places = withTerms(h.places, terms.sum)
		w.replace.bindInt(1, h.number)
		w.replace.bindBlob(2, h.places)
		if err := w.replace.run(); err != nil {
			return fmt.Errorf("set terms of %s %s: %w", all[i].Kind, all[i].ID, err)
		}
		w.heads.keep(all[i].Key, h)
	}
	return nil
}

// Find implements store.Store.
func (s *Store) Find(ctx context.Context, q store.Search) (found []store.Document, whole bool, err error) {
	if err := layout.CheckSearch(q); err != nil {
		return nil, false, err
	}
	err = s.read(ctx, func(r *reader) error {
		found, whole, err = r.find(q)
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("find %s: %w", q.Kind, err)
	}
	return found, whole, nil
}

const (
	// sample is the number of documents by which the number of all with a term
	// is guessed.
	sample = 64
	// Groups of terms that more than one of common documents has are left to
	// the caller: to read their long lists costs more than to look at what the
	// others find.
	common = 16
	// mostGroups and fewGroups are how many groups are asked for, the latter of
	// those that are much less rare than the rarest.
	mostGroups = 8
	fewGroups  = 3
	// few says that fewer documents than a sample have a group: no other is needed.
	few = math.MaxInt64 - sample
)

// group is one of the groups of a search, as FTS5 reads it.
type group struct {
	text string
	// among is the guess: one of so many documents has one of its terms.
	among int64
}

// find asks for the groups that few documents have. It looks up what it has
// found while the statement is open, which holds the state of the database that
// both see.
func (r *reader) find(q store.Search) ([]store.Document, bool, error) {
	groups := make([]group, 0, len(q.All))
	for _, terms := range q.All {
		words := make([]string, len(terms))
		for i, t := range terms {
			words[i] = word(layout.Term(q.Kind, t))
		}
		g := group{text: "(" + strings.Join(words, " OR ") + ")"}
		none := len(words) == 0
		if !none {
			var err error
			if g.among, none, err = r.guess(g.text); err != nil {
				return nil, false, err
			}
		}
		if none {
			return nil, true, nil
		}
		groups = append(groups, g)
	}
	rows := r.found
	defer rows.reset()
	rows.bindText(1, choose(groups))
	rows.bindInt(2, int64(q.Limit)+1)
	numbers := make([]int64, 0, min(q.Limit, 1000))
	for {
		row, err := rows.step()
		if err != nil {
			return nil, false, err
		}
		if !row {
			break
		}
		if len(numbers) == q.Limit {
			return nil, false, nil
		}
		numbers = append(numbers, rows.columnInt(0))
	}
	found := make([]store.Document, 0, len(numbers))
	for _, n := range numbers {
		doc := store.Document{Key: store.Key{Kind: q.Kind}}
		if err := r.readHead(n, &doc); err != nil {
			return nil, false, err
		}
		found = append(found, doc)
	}
	return found, true, nil
}

// guess says how rare a group is: the numbers of the first documents that have
// it tell how far they lie from each other.
func (r *reader) guess(group string) (among int64, none bool, err error) {
	rows := r.found
	defer rows.reset()
	rows.bindText(1, group)
	rows.bindInt(2, sample)
	var last int64
	for n := range sample {
		row, err := rows.step()
		if err != nil {
			return 0, false, err
		}
		if !row {
			return math.MaxInt64 - int64(n), n == 0, nil
		}
		last = rows.columnInt(0)
	}
	return last / sample, false, nil
}

// choose is the search for the rarest groups.
func choose(groups []group) string {
	slices.SortStableFunc(groups, func(a, b group) int { return cmp.Compare(b.among, a.among) })
	var text strings.Builder
	rarest := groups[0].among
	for i, g := range groups {
		if i > 0 && (rarest > few || g.among < common && rarest >= common) || i >= fewGroups && g.among < rarest/common || i == mostGroups {
			break
		}
		if i > 0 {
			text.WriteString(" AND ")
		}
		text.WriteString(g.text)
	}
	return text.String()
}

const (
	sqlWalkTerms = `SELECT doc, term FROM term_instance`
	sqlNumber    = `SELECT number, id FROM document WHERE kind = ?1`
)

// WalkTerms calls look with each document of a kind that has terms, over
// connections of its own.
func (s *Store) WalkTerms(ctx context.Context, kind string, look func(id string, sum uint64) error) error {
	sums := map[int64]uint64{}
	err := s.eachRow(ctx, sqlWalkTerms, "", func(q *stmt) error {
		t, err := strconv.ParseUint(q.columnText(1), 16, 64)
		sums[q.columnInt(0)] += t
		return err
	})
	if err == nil {
		err = s.eachRow(ctx, sqlNumber, kind, func(q *stmt) error {
			sum, has := sums[q.columnInt(0)]
			if !has {
				return nil
			}
			return look(q.columnText(1), sum)
		})
	}
	if err != nil {
		return fmt.Errorf("walk the terms of %s: %w", kind, err)
	}
	return nil
}

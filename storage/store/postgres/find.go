package postgres

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"souk/storage/store"
	"souk/storage/store/internal/layout"
)

var _ store.Indexer = (*Store)(nil)

const (
	// The index of terms can be read in one way only, which is closed to other
	// statements (see settings). It is opened until the end of the transaction.
	sqlOpenTerms = `SELECT set_config('enable_bitmapscan', 'on', true)`
	// Between the two stand the conditions. No more rows are looked up than are returned.
	sqlFind    = `SELECT d.id, d.revision, d.summary FROM (SELECT document FROM term WHERE `
	sqlFindEnd = ` LIMIT $1) t JOIN document d ON d.key = t.document`
)

// Find implements store.Store. It asks for the rare terms first: they find few
// documents, most times. All are asked for where those find too many.
func (s *Store) Find(ctx context.Context, q store.Search) (found []store.Document, whole bool, err error) {
	if err := layout.CheckSearch(q); err != nil {
		return nil, false, err
	}
	all := groupsOf(q.Kind, q.All)
	asked := rare(all, s.frequentTerms(ctx))
	found, err = s.find(ctx, q, asked)
	if err == nil && len(found) > q.Limit && len(asked) < len(all) {
		found, err = s.find(ctx, q, all)
	}
	switch {
	case err != nil:
		return nil, false, fmt.Errorf("find %s: %w", q.Kind, err)
	case len(found) > q.Limit:
		return nil, false, nil
	}
	return found, true, nil
}

// find returns the documents that have a term of each group, one more at most
// than the limit.
func (s *Store) find(ctx context.Context, q store.Search, groups []ints) ([]store.Document, error) {
	var single ints // terms that all must be there
	args := []any{int64(q.Limit) + 1}
	var conditions []string
	add := func(operator string, terms ints) {
		args = append(args, terms)
		conditions = append(conditions, `terms `+operator+` $`+strconv.Itoa(len(args))+`::bigint[]`)
	}
	for _, group := range groups {
		if len(group) == 1 {
			single = append(single, group...)
		} else {
			add(`&&`, group)
		}
	}
	if len(single) > 0 {
		add(`@>`, single)
	}
	sql := sqlFind + strings.Join(conditions, ` AND `) + sqlFindEnd
	batch := &pgx.Batch{} // one transaction
	batch.Queue(sqlOpenTerms)
	batch.Queue(sql, args...)
	results := s.pool.SendBatch(ctx, batch)
	defer results.Close()
	if _, err := results.Exec(); err != nil {
		return nil, err
	}
	rows, err := results.Query()
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (store.Document, error) {
		doc := store.Document{Key: store.Key{Kind: q.Kind}}
		err := row.Scan(&doc.ID, &doc.Revision, &doc.Summary)
		return doc, err
	})
}

// Who writes one of the documents waits for us, or we for it, and then its
// revision is another.
const sqlSetTerms = `
INSERT INTO term (document, terms)
SELECT n.document, ($2::bigint[])[n.first:n.last]
FROM unnest($1::uuid[], $3::int[], $4::int[], $5::bigint[]) n(document, first, last, revision)
JOIN document d ON d.key = n.document AND d.revision = n.revision
ORDER BY d.key FOR UPDATE OF d` + sqlReplaceTerms

// SetTerms implements store.Indexer.
func (s *Store) SetTerms(ctx context.Context, all []store.Terms) error {
	if len(all) == 0 {
		return ctx.Err()
	}
	var t terms
	var revisions ints
	for i := range all {
		t.add(documentKey(all[i].Key), layout.TermsOf(all[i].Kind, all[i].Terms))
		revisions = append(revisions, all[i].Revision)
	}
	for {
		_, err := s.pool.Exec(ctx, sqlSetTerms, append(t.columns(), revisions)...)
		if err == nil {
			return nil
		}
		if !transient(err) || ctx.Err() != nil {
			return fmt.Errorf("set the terms of %d documents: %w", len(all), err)
		}
	}
}

// WalkTerms calls look with each document of a kind that has terms, in one
// statement. It holds a connection until it returns.
func (s *Store) WalkTerms(ctx context.Context, kind string, look func(id string, sum uint64) error) error {
	rows, err := s.pool.Query(ctx, `SELECT d.id, t.terms FROM term t JOIN document d ON d.key = t.document
		WHERE d.kind = $1 AND t.terms <> '{}'`, kind)
	if err != nil {
		return fmt.Errorf("walk the terms of %s: %w", kind, err)
	}
	var id string
	var terms []int64
	_, err = pgx.ForEachRow(rows, []any{&id, &terms}, func() error {
		known := make([]uint64, len(terms))
		for i, t := range terms {
			known[i] = uint64(t)
		}
		return look(id, layout.SumOf(known))
	})
	if err != nil {
		return fmt.Errorf("walk the terms of %s: %w", kind, err)
	}
	return nil
}

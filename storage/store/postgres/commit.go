package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"souk/storage/store"
	"souk/storage/store/internal/layout"
)

// The statements of a commit, in their order. Those that begin with a guard
// divide by zero if what they rely on is not so, which ends the transaction.
//
// The order is that of the locks, and the same for all commits: first new rows
// are inserted, then rows that are there are locked, then the bounds; within
// each step in the order of the keys. A commit that waits in a step can only
// wait for one that is in the same step further on, or in a later one, so they
// never wait for each other in a ring.
const (
	// New documents, and rows that only hold the place of one that must not be
	// there (revision 0): others who want to write there wait for us. Guard: the
	// primary key.
	sqlInsert = `
INSERT INTO document (key, kind, id, revision, due, owner, summary, places, body)` + sqlInsertRows
	// The same, if it is also to hold places of documents that may be there
	// (revision -1): what comes there meanwhile would be lost by a write, and half
	// deleted by a removal. Guard: all others were free.
	sqlInsertSome = `
WITH i AS (
	INSERT INTO document (key, kind, id, revision, due, owner, summary, places, body)` + sqlInsertRows + `
	ON CONFLICT (key) DO NOTHING
	RETURNING revision
)
SELECT 1 / (count(*) FILTER (WHERE revision >= 0) = $12)::int FROM i`
	sqlInsertRows = `
	SELECT n.key, n.kind, n.id, n.revision, n.due, n.owner, n.summary, ($9::bytea[])[n.first:n.last], n.body
	FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::bytea[], $8::bytea[], $10::int[], $11::int[])
		n(key, kind, id, revision, due, owner, summary, body, first, last)`

	// Documents that are there: those to be written and those that the batch
	// only relies on. Guard: all are there and have their revision (-1: any). One of
	// any revision was there or its place was held, unless it was deleted between the
	// two: then all begins anew. Below, FOR UPDATE or FOR SHARE is added.
	sqlLock = `
WITH l AS (
	SELECT n.revision FROM unnest($1::uuid[], $2::bigint[]) n(key, revision) JOIN document d ON d.key = n.key
	WHERE n.revision < 0 OR d.revision = n.revision
	ORDER BY d.key %s OF d
)
SELECT 1 / (count(*) = cardinality($1::uuid[]))::int FROM l`

	// Entries of documents that were there, before those are written: what they
	// had and have no longer goes, what they keep shows them as they are, and the
	// rest is new, since an entry's key has the document's id. So each is looked
	// for once.
	sqlMoveEntries = sqlOldAndNew + `,
gone AS (` + sqlGone + `)
` + sqlAdd

	// The same for a group with a bound. Guard: nothing leaves the partition.
	// Else the group might pass by what one of them frees and another takes,
	// though in no order could they have gone one after the other.
	sqlMoveEntriesGuarded = sqlOldAndNew + `,
gone AS (` + sqlGone + ` RETURNING e.key),
added AS (` + sqlAdd + `)
SELECT 1 / (count(*) = 0)::int FROM gone WHERE encode(substr(key, 1, 16), 'hex')::uuid = ANY ($7::uuid[])`

	// IS TRUE lets the old be asked by their hash: the other way is to compare all with all.
	sqlOldAndNew = `
WITH o AS MATERIALIZED (SELECT unnest(places) AS key FROM document WHERE key = ANY ($1::uuid[])),
n AS MATERIALIZED (SELECT * FROM unnest($2::bytea[], $3::uuid[], $4::bytea[], $5::bigint[], $6::bytea[]) n(key, document, cover, revision, summary)),
kept AS (
	UPDATE entry e SET cover = n.cover, revision = n.revision, summary = n.summary FROM n
	WHERE e.key = n.key AND (n.key IN (SELECT key FROM o)) IS TRUE
	AND (e.cover IS DISTINCT FROM n.cover OR e.revision IS DISTINCT FROM n.revision)
)`
	sqlGone = `DELETE FROM entry e USING o WHERE e.key = o.key AND o.key NOT IN (SELECT key FROM n)`
	sqlAdd  = `INSERT INTO entry (key, document, cover, revision, summary) SELECT * FROM n WHERE key NOT IN (SELECT key FROM o)`

	// Documents that were there, or whose place was held with revision -1.
	sqlUpdate = `
UPDATE document d SET revision = greatest(d.revision, 0) + 1, due = n.due, owner = n.owner,
	summary = n.summary, places = ($5::bytea[])[n.first:n.last], body = n.body
FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::bytea[], $6::bytea[], $7::int[], $8::int[])
	n(key, due, owner, summary, body, first, last)
WHERE d.key = n.key`

	// Entries of new documents.
	sqlInsertEntries = `
INSERT INTO entry (key, document, cover, revision, summary)
SELECT * FROM unnest($1::bytea[], $2::uuid[], $3::bytea[], $4::bigint[], $5::bytea[])`

	// Terms of documents, mostly of new ones: those of others are mostly as they were.
	sqlPutTerms = `
INSERT INTO term (document, terms)
SELECT n.document, ($2::bigint[])[n.first:n.last] FROM unnest($1::uuid[], $3::int[], $4::int[]) n(document, first, last)` + sqlReplaceTerms
	sqlReplaceTerms = `
ON CONFLICT (document) DO UPDATE SET terms = excluded.terms WHERE term.terms <> excluded.terms`

	// Documents that are deleted, and rows that only held a place.
	sqlDelete = `
WITH t AS (DELETE FROM term WHERE document = ANY ($1::uuid[]))
DELETE FROM document WHERE key = ANY ($1::uuid[])`

	// The bounds. Who has the row is alone with the partition until its commit,
	// and the next statement sees what those before have committed.
	sqlLockBounds = `
INSERT INTO bounded (prefix) SELECT unnest($1::uuid[])
ON CONFLICT (prefix) DO UPDATE SET prefix = excluded.prefix`
	sqlCheckBounds = `
SELECT 1 / bool_and((
	SELECT count(*) FROM (SELECT FROM entry e WHERE e.key >= b.first AND e.key < b.last LIMIT b.most + 1) x
) <= b.most)::int
FROM unnest($1::bytea[], $2::bytea[], $3::bigint[]) b(first, last, most)`
)

var (
	sqlLockToWrite  = fmt.Sprintf(sqlLock, "FOR UPDATE")
	sqlLockToRelyOn = fmt.Sprintf(sqlLock, "FOR SHARE")
)

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, b store.Batch) error {
	if err := layout.CheckBatch(b); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.commit(ctx, &b)
}

// commitAlone does one batch as one transaction, again if another got between.
func (s *Store) commitAlone(ctx context.Context, b *store.Batch) error {
	p := newPlan(b)
	for {
		err := s.try(ctx, p, b)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, errGuard):
			// A document was not as expected. If it is so again, the batch can be
			// tried again; that needs another commit each time, so it ends.
			conflict, err := s.findConflict(ctx, b)
			if err != nil {
				return fmt.Errorf("commit: find the conflict: %w", err)
			}
			if conflict != nil {
				return conflict
			}
		case errors.Is(err, store.ErrLimit):
			return err
		case !transient(err):
			return fmt.Errorf("commit: %w", err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// errGuard says that a guard ended the transaction.
var errGuard = errors.New("a document was not as expected")

// try runs the plan once.
func (s *Store) try(ctx context.Context, p *plan, b *store.Batch) error {
	if p.contradicts {
		return errGuard
	}
	batch := p.batch(b)
	if batch.Len() == 0 {
		return nil
	}
	results := s.pool.SendBatch(ctx, batch)
	for i := range batch.Len() {
		if _, err := results.Exec(); err != nil {
			results.Close()
			switch code := errorCode(err); {
			case code != codeDivisionByZero && code != codeUnique:
				return err
			case i == batch.Len()-1 && len(b.Bounds) > 0: // the check of the bounds
				return limitReached(b.Bounds)
			}
			return errGuard
		}
	}
	return results.Close()
}

// limitReached is the error of a batch that passes one of its bounds.
func limitReached(bounds []store.Bound) error {
	if len(bounds) > 1 {
		return fmt.Errorf("one of %d bounds: %w", len(bounds), store.ErrLimit)
	}
	return fmt.Errorf("%s %s %q may have %d: %w", bounds[0].Kind, bounds[0].Index, bounds[0].Partition, bounds[0].Most, store.ErrLimit)
}

const sqlRevisions = `
SELECT coalesce(d.revision, 0) FROM unnest($1::uuid[]) WITH ORDINALITY n(key, place)
LEFT JOIN document d ON d.key = n.key ORDER BY n.place`

// findConflict returns the first document of the batch that is not as
// expected now, or nil.
func (s *Store) findConflict(ctx context.Context, b *store.Batch) (*store.Conflict, error) {
	all := expectations(b)
	keys := make(uuids, len(all))
	for i := range all {
		keys[i] = documentKey(all[i].Key)
	}
	rows, err := s.pool.Query(ctx, sqlRevisions, keys)
	if err != nil {
		return nil, err
	}
	revisions, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, err
	}
	for i, e := range all {
		if e.Revision != store.Any && e.Revision != revisions[i] {
			return &store.Conflict{Key: e.Key, Want: e.Revision}, nil
		}
	}
	return nil, nil
}

// expectations returns all that a batch expects, in its order.
func expectations(b *store.Batch) []store.Expectation {
	all := make([]store.Expectation, 0, len(b.Expect)+len(b.Put)+len(b.Delete))
	all = append(all, b.Expect...)
	for i := range b.Put {
		all = append(all, store.Expectation{Key: b.Put[i].Key, Revision: b.Put[i].Was})
	}
	for i := range b.Delete {
		all = append(all, store.Expectation{Key: b.Delete[i].Key, Revision: b.Delete[i].Was})
	}
	return all
}

// Arrays that pgx writes without reflection.
type (
	uuids     = pgtype.FlatArray[pgtype.UUID]
	ints      = pgtype.FlatArray[int64]
	small     = pgtype.FlatArray[int32]
	nullables = pgtype.FlatArray[pgtype.Int8]
	texts     = pgtype.FlatArray[string]
	blobs     = pgtype.FlatArray[[]byte]
)

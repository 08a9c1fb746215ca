// Package store keeps Souk's documents: the contract that the engines in
// storage/store/sqlite and storage/store/postgres fulfil, and that
// storage/store/storetest checks.
//
// A document is a body of bytes with a kind, an id and a revision. It is found
// by its id or by one of the indexes that its kind declares. All writes go
// through Commit, which does everything in its Batch or nothing.
package store

import (
	"context"
	"errors"
	"time"
)

// Errors that every engine returns, to be tested with errors.Is.
var (
	// ErrNotFound: no document has that kind and id.
	ErrNotFound = errors.New("document not found")
	// ErrConflict: an expectation of the batch did not hold. Nothing was
	// written; read again and decide anew. The error is a *Conflict.
	ErrConflict = errors.New("expectation did not hold")
	// ErrLimit: a bound of the batch would have been passed. Nothing was written.
	ErrLimit = errors.New("limit reached")
	// ErrNewerSchema: the database was written by a newer Souk. The engine does not open it.
	ErrNewerSchema = errors.New("database was written by a newer version of souk")
)

// Conflict names the first document whose expectation did not hold.
type Conflict struct {
	Key  Key
	Want int64 // the revision that the batch expected, 0 for "absent"
}

func (c *Conflict) Error() string {
	return "expectation did not hold for " + c.Key.Kind + " " + c.Key.ID
}

// Is makes errors.Is(err, ErrConflict) true.
func (c *Conflict) Is(target error) bool { return target == ErrConflict }

// Key names a document. IDs are at most 512 bytes of any UTF-8 without NUL.
type Key struct {
	Kind string
	ID   string
}

// Document is what a store keeps.
type Document struct {
	Key
	// Revision counts the writes of the document from 1. The store sets it.
	Revision int64
	// Summary is what lists show (a few hundred bytes). List returns it without touching Body.
	Summary []byte
	// Body is the whole document. Get and Claim return it; List does not.
	Body []byte
	// Index has an entry for each place in which the document is listed. It is
	// written with the document and replaces the entries that it had. Get,
	// List and Claim do not return it.
	Index []Entry
	// Terms are what Find finds the document by. Nil leaves those that are
	// stored, none and not nil removes them. Get, List and Claim do not return them.
	Terms []string
	// Due, if set, makes the document work that Claim hands out from that time
	// on (of the database's clock, to the millisecond). The zero time is no work.
	// Due and Owner written by a Put are what a claim would have set.
	Due time.Time
	// Owner is the one whom the last claim was made by; "" if none.
	Owner string
}

// Entry is one place of a document in one index of its kind: the document is
// listed under Partition, in the order of Sort and then of the document's id,
// both compared as bytes.
type Entry struct {
	Index     string // names the index, such as "visibility/name": which filter, which order
	Partition string // lists never leave a partition: the account, the entity type, the filter's value
	Sort      string // up to 512 bytes; longer values are cut by the store
	// Cover is compared by Query.Match for combinations of filters, without
	// touching the document. Nil where an index serves no combination.
	Cover []byte
}

// Query walks one index within one partition.
type Query struct {
	Kind      string
	Index     string
	Partition string
	Backward  bool // descending order

	// From and To bound the Sort values: From <= Sort < To; "" is no bound.
	From, To string
	// After continues behind a Position that an earlier page returned.
	// Documents written or deleted between the two pages neither repeat nor
	// hide others.
	After Position
	// Limit is the number of documents in a page, at least 1.
	Limit int
	// Match, if set, keeps only the entries that it says yes to. It is pure
	// and quick. At most Scan entries are looked at; then the page ends short.
	Match func(sort, id string, cover []byte) bool
	Scan  int // 0 means 2,000
}

// Position is a place in an index: behind the entry with this Sort and ID. The
// zero value is the beginning.
type Position struct {
	Sort string
	ID   string
}

// Page is a part of a list.
type Page struct {
	Documents []Document // Key, Revision and Summary are set
	// Next is where the next page starts; More is false at the end of the list.
	Next Position
	More bool
}

// Any is the expectation of a write that does not care what is stored.
const Any int64 = -1

// Write puts a document in the place of revision Was.
type Write struct {
	Document
	// Was is the revision that must be stored now: 0 means no such document,
	// Any means whatever is there. The new revision is one more than the one
	// that was stored.
	Was int64
}

// Removal deletes a document of revision Was (Any: whatever is there, also nothing).
type Removal struct {
	Key
	Was int64
}

// Expectation is a document that the batch relies on without writing it: it
// must have this revision (0: it must be absent) in the moment of the commit.
type Expectation struct {
	Key
	Revision int64
}

// Bound says that, after the batch, an index may have at most Most entries in a partition.
// A batch that has bounds bounds every partition into which it puts and that others
// bound: of two at once that put each where the other bounds, and not where they bound
// themselves, neither need see what the other puts.
type Bound struct {
	Kind      string
	Index     string
	Partition string
	Most      int
}

// Batch is a set of writes that happen together or not at all. A key stands at
// most once among Put and Delete.
type Batch struct {
	Expect []Expectation
	Bounds []Bound
	Put    []Write
	Delete []Removal
}

// Store is what an engine offers. All methods may be called concurrently.
type Store interface {
	// Get returns a document with its Body. It sees every commit that had
	// returned before Get was called, from whichever node. The caller must not
	// change the returned slices. ErrNotFound if there is none.
	Get(ctx context.Context, key Key) (Document, error)

	// GetAll is Get of several documents in one go. What is not there is
	// missing in the answer, which is in no order.
	GetAll(ctx context.Context, keys []Key) ([]Document, error)

	// List returns a page of an index. It sees every commit that returned before.
	List(ctx context.Context, q Query) (Page, error)

	// Find returns documents, in no order, with Key, Revision and Summary: all
	// that have the terms, and perhaps others, so that the caller looks at their
	// summaries. If they are more than the limit, whole is false and nothing is
	// returned. It sees every commit that returned before.
	Find(ctx context.Context, s Search) (found []Document, whole bool, err error)

	// Commit does the batch atomically, serialisable with every other Commit
	// and Claim that touches the same documents or bounds. When it returns nil
	// the batch is durable (fsynced). ErrConflict and ErrLimit: nothing was
	// written. Any other error: the batch may or may not have been written
	// (the answer may be lost); the caller must find out by reading.
	Commit(ctx context.Context, b Batch) error

	// Claim hands out up to n documents of the kind whose Due has come, oldest
	// first, to one owner: it sets Owner and Due = now + lease, adds 1 to the
	// revision, and returns them with Body and their new Revision. A claim ends by
	// a Put of the document with Was = that revision: if another has claimed it
	// meanwhile, that Put conflicts, so work is never completed twice. A worker
	// prolongs its lease by such a Put with a later Due.
	Claim(ctx context.Context, kind string, n int, owner string, lease time.Duration) ([]Document, error)

	// Now returns the time of the database, by which Due is compared.
	Now(ctx context.Context) (time.Time, error)

	// Close ends the engine after the commits under way.
	Close() error
}

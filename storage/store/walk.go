package store

import "context"

// Walker is what every engine offers beside Store, for those who check a whole
// store or copy it.
type Walker interface {
	// Walk calls look with every document of a kind, whole but for Index, in
	// any order, until look returns an error, which it returns. Documents that
	// are written meanwhile may or may not be seen. look may use the store.
	Walk(ctx context.Context, kind string, look func(Document) error) error

	// WalkIndex calls look with every entry of every index, in any order, as
	// Walk does with documents. What it passes is valid until look returns.
	WalkIndex(ctx context.Context, look func(*Listing) error) error

	// WalkTerms calls look with each document of a kind that has terms, and a
	// sum of them (storage/store/audit knows it), as Walk does.
	WalkTerms(ctx context.Context, kind string, look func(id string, sum uint64) error) error
}

// Listing is an entry of an index as it is stored, with what lists show by it.
type Listing struct {
	// Place is the key of the entry: the document's kind, the Index, Partition
	// and Sort of the Entry, then the document's id, in the engines' own form;
	// storage/store/audit knows it.
	Place []byte
	Cover []byte
	// Kind is that of the document; "" if there is no such document.
	Kind string
	// Revision and Summary are what List returns of the document.
	Revision int64
	Summary  []byte
}

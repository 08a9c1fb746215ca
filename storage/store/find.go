package store

import "context"

// Search finds documents by their terms, wherever they are listed.
type Search struct {
	Kind string
	// All are groups of terms. A document has the terms if it has one at least
	// of each group.
	All [][]string
	// Limit is the number of documents that are of use to the caller, at least 1.
	Limit int
}

// Terms are the terms of a document of a revision.
type Terms struct {
	Key
	Revision int64
	Terms    []string
}

// Indexer is what every engine offers beside Store, for those who find other
// terms for documents that are stored already.
type Indexer interface {
	// SetTerms replaces the terms of documents and writes nothing else: they
	// keep their revisions. Documents that don't have the revision any more are
	// passed over, for their last write has set their terms.
	SetTerms(ctx context.Context, all []Terms) error
}

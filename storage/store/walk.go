package store

import "context"

// Walker is what every engine offers beside Store, for those who check a whole
// store or copy it. It sees no single moment: documents that are written while
// it is walked may be seen before or after.
type Walker interface {
	// Walk returns up to n documents of a kind whose ids are greater than
	// after, in the order of their ids, whole but for Index. Fewer than n are the last.
	Walk(ctx context.Context, kind, after string, n int) ([]Document, error)
}

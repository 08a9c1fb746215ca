package store

import "context"

// Walker is what every engine offers beside Store, for those who check a whole
// store or copy it.
type Walker interface {
	// Walk calls look with every document of a kind, whole but for Index, in
	// any order, until look returns an error, which it returns. Documents that
	// are written meanwhile may or may not be seen. look may use the store.
	Walk(ctx context.Context, kind string, look func(Document) error) error
}

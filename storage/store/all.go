package store

import (
	"context"
	"iter"
)

// All returns what List returns of q and of all pages after it, page by page:
// q.Limit bounds a page. An error is the last that it yields. What is written
// meanwhile may or may not be seen.
func All(ctx context.Context, s Store, q Query) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		for {
			page, err := s.List(ctx, q)
			if err != nil {
				yield(Document{}, err)
				return
			}
			for _, d := range page.Documents {
				if !yield(d, nil) {
					return
				}
			}
			if !page.More {
				return
			}
			q.After = page.Next
		}
	}
}

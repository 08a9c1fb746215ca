package server

import (
	"context"
	"errors"
	"fmt"

	"souk/catalog/change"
	"souk/egress/fetch"
)

// pages are the pages of sellers as change types see them.
type pages struct{ fetcher *fetch.Fetcher }

// newPages returns nil where they are not to be asked.
func newPages(config Config, fetcher *fetch.Fetcher) change.Pages {
	if !config.CheckPages {
		return nil
	}
	return pages{fetcher}
}

// Status implements change.Pages.
func (p pages) Status(ctx context.Context, url string) (int, error) {
	status, err := p.fetcher.Status(ctx, url)
	switch {
	case errors.Is(err, fetch.ErrRefused):
		return 0, fmt.Errorf("%w: %w", change.ErrPageUnreachable, err)
	case err != nil:
		return 0, fmt.Errorf("asking a seller's page: %w", err)
	}
	return status, nil
}

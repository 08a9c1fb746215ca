package control

import (
	"context"

	"souk/artifact/scan/advisory"
)

// Advisories asks a market for its security advisories.
type Advisories struct{ Caller }

// OfferAdvisories offers what Advisories asks for.
func OfferAdvisories(d *Door, x *advisory.Index) {
	Offer(d, "advisories/import", func(ctx context.Context, q question) (advisory.Imported, error) {
		return x.Import(ctx, q.Name)
	})
	Offer(d, "advisories/list", func(ctx context.Context, _ question) ([]advisory.Ecosystem, error) {
		return x.List(ctx)
	})
	Offer(d, "advisories/remove", func(ctx context.Context, q question) (bool, error) {
		return x.Remove(ctx, q.Name)
	})
}

// Import loads the OSV files of a folder or a ZIP archive. The market opens it
// itself: source is an absolute path.
func (a Advisories) Import(ctx context.Context, source string) (advisory.Imported, error) {
	return ask[advisory.Imported](ctx, a.Caller, "advisories/import", question{Name: source})
}

// List returns what is loaded.
func (a Advisories) List(ctx context.Context) ([]advisory.Ecosystem, error) {
	return ask[[]advisory.Ecosystem](ctx, a.Caller, "advisories/list", question{})
}

// Remove forgets an ecosystem, and says whether anything of it was loaded.
func (a Advisories) Remove(ctx context.Context, ecosystem string) (bool, error) {
	return ask[bool](ctx, a.Caller, "advisories/remove", question{Name: ecosystem})
}

package marketplacediscovery

import (
	"context"

	"souk/access/iam"
	"souk/catalog/listing"
	"souk/catalog/product"
	"souk/gateway"
)

// GetListingInput names a listing.
type GetListingInput struct {
	ListingID string `json:"listingId" required:"" len:"1,255" pattern:"^[\\w\\-]+$"`
}

// GetListingOutput is a listing with all that describes it.
type GetListingOutput struct {
	ListingSummary
	IntegrationGuide  string             `json:"integrationGuide,omitempty"`
	LongDescription   string             `json:"longDescription"`
	Highlights        []string           `json:"highlights"`
	PromotionalMedia  []PromotionalMedia `json:"promotionalMedia"`
	Resources         []Resource         `json:"resources"`
	SellerEngagements []struct{}         `json:"sellerEngagements"` // always empty
	UseCases          []struct{}         `json:"useCases"`          // always empty
}

// getListing shows a listing that the caller sees.
//
// AWS Marketplace API Reference, "GetListing".
func (s *service) getListing() gateway.Operation {
	return gateway.Op(gateway.Def[GetListingInput, *GetListingOutput]{
		Name: "GetListing", Method: "POST", Path: "/2026-02-05/getListing", ReadOnly: true,
		Authorize: func(_ context.Context, _ *gateway.Caller, in *GetListingInput) ([]iam.Question, error) {
			return question("GetListing", "listing", in.ListingID), nil
		},
		Call: func(ctx context.Context, c *gateway.Caller, in *GetListingInput) (*GetListingOutput, error) {
			id, ok := listing.ProductOf(in.ListingID)
			var f found
			var err error
			if ok {
				f, ok, err = s.find(ctx, c.Principal.Account, id)
			}
			if err != nil {
				return nil, err
			}
			if !ok {
				return nil, notFound("listing", in.ListingID)
			}
			summary, err := s.summary(ctx, c.Principal.Account, &f.listing)
			if err != nil {
				return nil, err
			}
			_, state, err := s.config.Product(ctx, id)
			if err != nil {
				return nil, err
			}
			facets, _ := product.Of(state)
			return &GetListingOutput{
				ListingSummary: summary, LongDescription: facets.Description.LongDescription, Highlights: list(facets.Description.Highlights),
				PromotionalMedia: media(facets), Resources: resources(facets), SellerEngagements: []struct{}{}, UseCases: []struct{}{},
			}, nil
		},
	})
}

package marketplacediscovery

import (
	"context"

	"souk/access/iam"
	"souk/catalog/product"
	"souk/gateway"
)

// GetProductInput names a product.
type GetProductInput struct {
	ProductID string `json:"productId" required:"" len:"1,255" pattern:"^[\\w\\-]+$"`
}

// GetProductOutput is a product as buyers see it.
type GetProductOutput struct {
	ProductID                  string                     `json:"productId"`
	Catalog                    string                     `json:"catalog"`
	ProductName                string                     `json:"productName"`
	DeployedOnAws              string                     `json:"deployedOnAws"`
	ShortDescription           string                     `json:"shortDescription"`
	LongDescription            string                     `json:"longDescription"`
	Manufacturer               SellerInformation          `json:"manufacturer"`
	LogoThumbnailURL           string                     `json:"logoThumbnailUrl"`
	FulfillmentOptionSummaries []FulfillmentOptionSummary `json:"fulfillmentOptionSummaries"`
	Categories                 []CategoryInformation      `json:"categories"`
	Highlights                 []string                   `json:"highlights"`
	PromotionalMedia           []PromotionalMedia         `json:"promotionalMedia"`
	Resources                  []Resource                 `json:"resources"`
	SellerEngagements          []struct{}                 `json:"sellerEngagements"` // always empty
	Procurement                Procurement                `json:"procurement"`
}

// getProduct shows a product that the caller sees.
//
// AWS Marketplace API Reference, "GetProduct".
func (s *service) getProduct() gateway.Operation {
	return gateway.Op(gateway.Def[GetProductInput, *GetProductOutput]{
		Name: "GetProduct", Method: "POST", Path: "/2026-02-05/getProduct", ReadOnly: true,
		Authorize: func(_ context.Context, _ *gateway.Caller, in *GetProductInput) ([]iam.Question, error) {
			return question("GetProduct", "product", in.ProductID), nil
		},
		Call: func(ctx context.Context, c *gateway.Caller, in *GetProductInput) (*GetProductOutput, error) {
			f, ok, err := s.find(ctx, c.Principal.Account, in.ProductID)
			if err != nil {
				return nil, err
			}
			if !ok {
				return nil, notFound("product", in.ProductID)
			}
			seller, err := s.seller(ctx, f.listing.Owner)
			if err != nil {
				return nil, err
			}
			_, state, err := s.config.Product(ctx, in.ProductID)
			if err != nil {
				return nil, err
			}
			facets, _ := product.Of(state)
			return &GetProductOutput{
				ProductID: in.ProductID, Catalog: theCatalog, ProductName: f.listing.Title, DeployedOnAws: notApplicable,
				ShortDescription: f.listing.ShortDescription, LongDescription: facets.Description.LongDescription, Manufacturer: seller,
				LogoThumbnailURL: f.listing.Logo, FulfillmentOptionSummaries: optionSummaries(f.listing.Options),
				Categories: categories(f.listing.Categories), Highlights: list(facets.Description.Highlights),
				PromotionalMedia: media(facets), Resources: resources(facets), SellerEngagements: []struct{}{},
				Procurement: said(f.kase.Obtain()),
			}, nil
		},
	})
}

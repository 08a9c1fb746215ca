package marketplacediscovery

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"souk/access/iam"
	"souk/catalog/listing"
	"souk/gateway"
)

// SearchListingsInput asks for a page of listings.
type SearchListingsInput struct {
	SearchText string         `json:"searchText" len:"1,512" pattern:"^.*[^ ]*.*$"`
	Filters    []SearchFilter `json:"filters" size:"1,30"` // all must hold
	MaxResults *int           `json:"maxResults" range:"1,100"`
	SortBy     *string        `json:"sortBy" enum:"RELEVANCE,AVERAGE_CUSTOMER_RATING"`
	SortOrder  *string        `json:"sortOrder" enum:"DESCENDING,ASCENDING"`
	NextToken  string         `json:"nextToken" len:"0,8192" pattern:"^[a-zA-Z0-9+/=]+$"`
}

// SearchFilter keeps listings that have one of the values.
type SearchFilter struct {
	FilterType   string   `json:"filterType" required:"" enum:"MIN_AVERAGE_CUSTOMER_RATING,MAX_AVERAGE_CUSTOMER_RATING,CATEGORY,PUBLISHER,FULFILLMENT_OPTION_TYPE,PRICING_MODEL,PRICING_UNIT,DEPLOYED_ON_AWS,NUMBER_OF_PRODUCTS"`
	FilterValues []string `json:"filterValues" required:"" size:"1,30" memberlen:"1,128" memberpattern:"^[\\w\\-\\.]+$"`
}

// SearchListingsOutput is a page of listings.
type SearchListingsOutput struct {
	TotalResults     int              `json:"totalResults"` // of more than 1,000, a lower bound
	ListingSummaries []ListingSummary `json:"listingSummaries"`
	NextToken        string           `json:"nextToken,omitempty"`
}

// ListingSummary is a listing as a search shows it.
type ListingSummary struct {
	ListingID                  string                     `json:"listingId"`
	ListingName                string                     `json:"listingName"`
	Publisher                  SellerInformation          `json:"publisher"`
	Catalog                    string                     `json:"catalog"`
	ShortDescription           string                     `json:"shortDescription"`
	LogoThumbnailURL           string                     `json:"logoThumbnailUrl"`
	Categories                 []CategoryInformation      `json:"categories"`
	FulfillmentOptionSummaries []FulfillmentOptionSummary `json:"fulfillmentOptionSummaries"`
	Badges                     []struct{}                 `json:"badges"` // always empty
	ReviewSummary              ReviewSummary              `json:"reviewSummary"`
	PricingModels              []PricingModelInformation  `json:"pricingModels"`
	PricingUnits               []PricingUnitInformation   `json:"pricingUnits"`
	AssociatedEntities         []AssociatedEntity         `json:"associatedEntities"`
	Procurement                Procurement                `json:"procurement"`
}

// defaultResults is the size of a page where none is asked for.
const defaultResults = 20

// searchListings finds the listings of products that are Public, and of those
// that are Limited to the caller, also where the caller's private marketplace
// denies them: its administrators must find what they allow.
//
// AWS Marketplace API Reference, "SearchListings".
func (s *service) searchListings() gateway.Operation {
	return gateway.Op(gateway.Def[SearchListingsInput, *SearchListingsOutput]{
		Name: "SearchListings", Method: "POST", Path: "/2026-02-05/searchListings", ReadOnly: true,
		Authorize: func(context.Context, *gateway.Caller, *SearchListingsInput) ([]iam.Question, error) {
			return question("SearchListings", "listing", "*"), nil
		},
		Call: s.callSearchListings,
	})
}

func (s *service) callSearchListings(ctx context.Context, c *gateway.Caller, in *SearchListingsInput) (*SearchListingsOutput, error) {
	out := &SearchListingsOutput{ListingSummaries: []ListingSummary{}}
	q := listing.Query{Account: c.Principal.Account, Text: in.SearchText, Max: defaultResults, Token: in.NextToken}
	if in.MaxResults != nil {
		q.Max = *in.MaxResults
	}
	q.Ascending = in.SortOrder != nil && *in.SortOrder == "ASCENDING"
	for _, f := range in.Filters {
		holds, ofAll, err := f.ofAll()
		if err != nil {
			return nil, err
		}
		if !ofAll {
			values := slices.Clone(f.FilterValues)
			slices.Sort(values)
			q.Filters = append(q.Filters, listing.Filter{Name: f.FilterType, Values: slices.Compact(values)})
		} else if !holds {
			return out, nil
		}
	}
	page, err := s.config.Listings.Search(ctx, q)
	if errors.Is(err, listing.ErrToken) {
		return nil, invalid(badToken, "The nextToken is not valid for this request.")
	}
	if err != nil {
		return nil, err
	}
	out.TotalResults, out.NextToken = page.Total, page.Next
	for i := range page.Listings {
		summary, err := s.summary(ctx, c.Principal.Account, &page.Listings[i])
		if err != nil {
			return nil, err
		}
		out.ListingSummaries = append(out.ListingSummaries, summary)
	}
	return out, nil
}

// ofAll answers the filters that hold for all listings of the market, or for
// none: nothing has been reviewed, which counts as 0; where a product runs is not
// known; and each listing is of one product.
func (f *SearchFilter) ofAll() (holds, ofAll bool, err error) {
	switch f.FilterType {
	case "MIN_AVERAGE_CUSTOMER_RATING", "MAX_AVERAGE_CUSTOMER_RATING":
		rating, err := strconv.ParseFloat(f.FilterValues[0], 64)
		if err != nil || len(f.FilterValues) > 1 || !(rating >= 0 && rating <= 5) {
			return false, true, invalid(badRequest, "The filter %s takes a single value between 0.0 and 5.0.", f.FilterType)
		}
		return f.FilterType[:3] == "MAX" || rating == 0, true, nil
	case "DEPLOYED_ON_AWS":
		return slices.Contains(f.FilterValues, notApplicable), true, nil
	case "NUMBER_OF_PRODUCTS":
		return slices.Contains(f.FilterValues, "1"), true, nil
	}
	return false, false, nil
}

// notApplicable is the DeployedOnAwsStatus of all products.
const notApplicable = "NOT_APPLICABLE"

func (s *service) summary(ctx context.Context, account string, l *listing.Listing) (ListingSummary, error) {
	seller, err := s.seller(ctx, l.Owner)
	if err != nil {
		return ListingSummary{}, err
	}
	k, err := s.config.Case(ctx, account, l.Product)
	if err != nil {
		return ListingSummary{}, err
	}
	return ListingSummary{
		ListingID: listing.ID(l.Product), ListingName: l.Title, Publisher: seller, Catalog: theCatalog,
		ShortDescription: l.ShortDescription, LogoThumbnailURL: l.Logo,
		Categories: categories(l.Categories), FulfillmentOptionSummaries: optionSummaries(l.Options), Badges: []struct{}{},
		ReviewSummary: ReviewSummary{[]struct{}{}}, PricingModels: pricingModels(l), PricingUnits: pricingUnits(l),
		AssociatedEntities: []AssociatedEntity{{ProductInformation{l.Product, l.Title, seller}}},
		Procurement:        said(k.Obtain()),
	}, nil
}

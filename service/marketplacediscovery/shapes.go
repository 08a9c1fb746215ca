package marketplacediscovery

import (
	"souk/catalog/listing"
	"souk/catalog/product"
)

// SellerInformation names who sells, or made, a product.
type SellerInformation struct {
	SellerProfileID string `json:"sellerProfileId"`
	DisplayName     string `json:"displayName"`
}

// CategoryInformation is a category of products.
type CategoryInformation struct {
	CategoryID  string `json:"categoryId"`
	DisplayName string `json:"displayName"`
}

// FulfillmentOptionSummary is a way to get a product.
type FulfillmentOptionSummary struct {
	FulfillmentOptionType string `json:"fulfillmentOptionType"`
	DisplayName           string `json:"displayName"`
}

// PricingModelInformation is a way to pay for a product.
type PricingModelInformation struct {
	PricingModelType string `json:"pricingModelType"`
	DisplayName      string `json:"displayName"`
}

// PricingUnitInformation is what is paid for.
type PricingUnitInformation struct {
	PricingUnitType string `json:"pricingUnitType"`
	DisplayName     string `json:"displayName"`
}

// ProductInformation names a product.
type ProductInformation struct {
	ProductID    string            `json:"productId"`
	ProductName  string            `json:"productName"`
	Manufacturer SellerInformation `json:"manufacturer"`
}

// AssociatedEntity is what a listing is of: one product.
type AssociatedEntity struct {
	Product ProductInformation `json:"product"`
}

// ReviewSummary is what reviewers say. There are no reviews.
type ReviewSummary struct {
	ReviewSourceSummaries []struct{} `json:"reviewSourceSummaries"` // always empty
}

// PromotionalMedia has one of its members.
type PromotionalMedia struct {
	EmbeddedVideo *EmbeddedVideo `json:"embeddedVideo,omitempty"`
}

// EmbeddedVideo is a link to a video. Souk keeps no pictures of it.
type EmbeddedVideo struct {
	Title     string `json:"title"`
	URL       string `json:"url"`
	Preview   string `json:"preview"`   // the video itself
	Thumbnail string `json:"thumbnail"` // the video itself
}

// Resource is a link or text beside a product.
type Resource struct {
	ResourceType string `json:"resourceType"` // MANUFACTURER_SUPPORT or MANUFACTURER_INSTRUCTIONS
	ContentType  string `json:"contentType"`  // LINK or OTHER
	Value        string `json:"value"`
	DisplayName  string `json:"displayName,omitempty"`
}

func categories(names []string) []CategoryInformation {
	all := []CategoryInformation{}
	for _, name := range names {
		all = append(all, CategoryInformation{listing.CategoryID(name), name})
	}
	return all
}

// optionNames are the types of fulfillment options as people read them.
var optionNames = map[string]string{
	listing.AMI: "Amazon Machine Image", listing.API: "API", listing.Container: "Container image",
	listing.AddOn: "Amazon EKS add-on", listing.Helm: "Helm chart", listing.SaaS: "Software as a Service", listing.Component: "EC2 Image Builder component",
}

func optionSummaries(kinds []string) []FulfillmentOptionSummary {
	all := []FulfillmentOptionSummary{}
	for _, kind := range kinds {
		all = append(all, FulfillmentOptionSummary{kind, optionNames[kind]})
	}
	return all
}

func pricingModels(l *listing.Listing) []PricingModelInformation {
	names := map[string]string{"USAGE": "Usage-based", "CONTRACT": "Contract", "FREE": "Free"}
	all := []PricingModelInformation{}
	for _, m := range l.Models {
		all = append(all, PricingModelInformation{m, names[m]})
	}
	return all
}

func pricingUnits(l *listing.Listing) []PricingUnitInformation {
	names := map[string]string{
		"USERS": "Users", "HOSTS": "Hosts", "BANDWIDTH": "Bandwidth", "DATA": "Data", "TIERS": "Tiers", "REQUESTS": "Requests", "UNITS": "Units",
	}
	all := []PricingUnitInformation{}
	for _, u := range l.Units {
		all = append(all, PricingUnitInformation{u, names[u]})
	}
	return all
}

func media(f *product.Facets) []PromotionalMedia {
	all := []PromotionalMedia{}
	for _, v := range f.PromotionalResources.Videos {
		all = append(all, PromotionalMedia{&EmbeddedVideo{Title: v.Title, URL: v.Url, Preview: v.Url, Thumbnail: v.Url}})
	}
	return all
}

func resources(f *product.Facets) []Resource {
	all := []Resource{}
	for _, r := range f.PromotionalResources.AdditionalResources {
		all = append(all, Resource{"MANUFACTURER_INSTRUCTIONS", "LINK", r.Url, r.Text})
	}
	if text := f.SupportInformation.Description; text != "" {
		all = append(all, Resource{ResourceType: "MANUFACTURER_SUPPORT", ContentType: "OTHER", Value: text})
	}
	return all
}

// list returns a copy that is never nil, so that it is shown as [].
func list(values []string) []string { return append([]string{}, values...) }

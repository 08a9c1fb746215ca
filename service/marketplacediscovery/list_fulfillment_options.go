package marketplacediscovery

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"souk/access/iam"
	"souk/catalog/amiproduct"
	"souk/catalog/containerproduct"
	"souk/catalog/listing"
	"souk/catalog/procurement"
	"souk/catalog/saasproduct"
	"souk/gateway"
)

// ListFulfillmentOptionsInput asks for a page of the ways to get a product.
type ListFulfillmentOptionsInput struct {
	ProductID  string `json:"productId" required:"" len:"1,255" pattern:"^[\\w\\-]+$"`
	MaxResults *int   `json:"maxResults" range:"1,50"`
	NextToken  string `json:"nextToken" len:"0,8192" pattern:"^[a-zA-Z0-9+/=]+$"`
}

// ListFulfillmentOptionsOutput is a page of fulfillment options, of the oldest
// version first.
type ListFulfillmentOptionsOutput struct {
	FulfillmentOptions []FulfillmentOption `json:"fulfillmentOptions"`
	NextToken          string              `json:"nextToken,omitempty"`
}

// FulfillmentOption has the one member that is its type's.
type FulfillmentOption struct {
	AMI       *Option `json:"amazonMachineImageFulfillmentOption,omitempty"`
	API       *Option `json:"apiFulfillmentOption,omitempty"`
	Container *Option `json:"containerFulfillmentOption,omitempty"`
	Helm      *Option `json:"helmFulfillmentOption,omitempty"`
	AddOn     *Option `json:"eksAddOnFulfillmentOption,omitempty"`
	SaaS      *Option `json:"saasFulfillmentOption,omitempty"`
	Component *Option `json:"ec2ImageBuilderComponentFulfillmentOption,omitempty"`
}

// Option is a fulfillment option of any type; what a type does not have is absent.
type Option struct {
	ID                   string                `json:"fulfillmentOptionId"`
	Name                 string                `json:"fulfillmentOptionName,omitempty"`
	Version              string                `json:"fulfillmentOptionVersion,omitempty"` // its title
	Type                 string                `json:"fulfillmentOptionType"`
	DisplayName          string                `json:"fulfillmentOptionDisplayName"`
	OperatingSystems     []OperatingSystem     `json:"operatingSystems,omitempty"`
	Recommendation       *Recommendation       `json:"recommendation,omitempty"`
	AwsSupportedServices []AwsSupportedService `json:"awsSupportedServices,omitzero"`
	ReleaseNotes         string                `json:"releaseNotes,omitempty"`
	UsageInstructions    string                `json:"usageInstructions,omitempty"`
	FulfillmentURL       string                `json:"fulfillmentUrl,omitempty"`
	Procurement          Procurement           `json:"procurement"`

	option string // id of the delivery option, where ID is another: that of StartBuild
}

// OperatingSystem is one that a fulfillment option runs.
type OperatingSystem struct {
	FamilyName string `json:"operatingSystemFamilyName"`
	Name       string `json:"operatingSystemName"`
	Version    string `json:"operatingSystemVersion,omitempty"`
}

// Recommendation is the instance type that an AMI's seller recommends.
type Recommendation struct {
	InstanceType string `json:"instanceType"`
}

// AwsSupportedService is a service on which a fulfillment option runs.
type AwsSupportedService struct {
	SupportedServiceType string `json:"supportedServiceType"`
	DisplayName          string `json:"displayName"`
	Description          string `json:"description"`
}

// mostOptions is the size of a page where none is asked for.
const mostOptions = 50

// listFulfillmentOptions lists the delivery options of a product that the caller
// sees: those that are offered to it, and those that it has already. Where a
// private marketplace denies the product they are shown, and say so.
//
// AWS Marketplace API Reference, "ListFulfillmentOptions".
func (s *service) listFulfillmentOptions() gateway.Operation {
	return gateway.Op(gateway.Def[ListFulfillmentOptionsInput, *ListFulfillmentOptionsOutput]{
		Name: "ListFulfillmentOptions", Method: "POST", Path: "/2026-02-05/listFulfillmentOptions", ReadOnly: true,
		Authorize: func(_ context.Context, _ *gateway.Caller, in *ListFulfillmentOptionsInput) ([]iam.Question, error) {
			return question("ListFulfillmentOptions", "product", in.ProductID), nil
		},
		Call: func(ctx context.Context, c *gateway.Caller, in *ListFulfillmentOptionsInput) (*ListFulfillmentOptionsOutput, error) {
			f, ok, err := s.find(ctx, c.Principal.Account, in.ProductID)
			if err != nil {
				return nil, err
			}
			if !ok {
				return nil, notFound("product", in.ProductID)
			}
			_, state, err := s.config.Product(ctx, in.ProductID)
			if err != nil {
				return nil, err
			}
			return s.page(c.Principal.Account, in, shown(f.kase, options(state)))
		},
	})
}

// page is the part of all options that was asked for. A token has the id of the
// option that came last.
func (s *service) page(account string, in *ListFulfillmentOptionsInput, all []Option) (*ListFulfillmentOptionsOutput, error) {
	bound := []byte(account + "/" + in.ProductID)
	if in.NextToken != "" {
		sealed, err := base64.StdEncoding.Strict().DecodeString(in.NextToken)
		var last []byte
		if err == nil {
			last, err = s.config.Keys.Open(optionsPurpose, sealed, bound)
		}
		at := slices.IndexFunc(all, func(o Option) bool { return o.ID == string(last) })
		if err != nil || at < 0 {
			return nil, invalid(badToken, "The nextToken is not valid for this request.")
		}
		all = all[at+1:]
	}
	most := mostOptions
	if in.MaxResults != nil {
		most = *in.MaxResults
	}
	out := &ListFulfillmentOptionsOutput{FulfillmentOptions: []FulfillmentOption{}}
	if len(all) > most {
		all = all[:most]
		out.NextToken = base64.StdEncoding.EncodeToString(s.config.Keys.Seal(optionsPurpose, []byte(all[most-1].ID), bound))
	}
	for i := range all {
		out.FulfillmentOptions = append(out.FulfillmentOptions, union(&all[i]))
	}
	return out, nil
}

// optionsPurpose names page tokens among what is sealed.
const optionsPurpose = "fulfillment-options-page"

func union(o *Option) FulfillmentOption {
	switch o.Type {
	case listing.AMI:
		return FulfillmentOption{AMI: o}
	case listing.API:
		return FulfillmentOption{API: o}
	case listing.Helm:
		return FulfillmentOption{Helm: o}
	case listing.AddOn:
		return FulfillmentOption{AddOn: o}
	case listing.SaaS:
		return FulfillmentOption{SaaS: o}
	case listing.Component:
		return FulfillmentOption{Component: o}
	}
	return FulfillmentOption{Container: o}
}

// shown keeps the options that an account sees, with what procurement says of
// each: those that it would get if its private marketplace let it.
func shown(k *procurement.Case, all []Option) []Option {
	open := *k
	open.Private = nil
	var kept []Option
	for i := range k.Product.Versions {
		v := &k.Product.Versions[i]
		for j := range v.Options {
			o := &v.Options[j]
			at := slices.IndexFunc(all, func(a Option) bool { return cmp.Or(a.option, a.ID) == o.ID })
			if at < 0 || !open.ObtainOption(v, o).OK {
				continue
			}
			all[at].Procurement = said(k.ObtainOption(v, o))
			kept = append(kept, all[at])
		}
	}
	return kept
}

// options are all delivery options of a product.
func options(state any) []Option {
	var all []Option
	switch p := state.(type) {
	case *containerproduct.Product:
		for _, v := range p.Versions {
			for i := range v.DeliveryOptions {
				o := &v.DeliveryOptions[i]
				kind := listing.ContainerKind(o)
				all = append(all, Option{
					ID: o.ID, Name: o.Title, Version: v.Title, Type: kind, DisplayName: optionNames[kind],
					OperatingSystems: []OperatingSystem{{FamilyName: "Linux", Name: "Linux"}}, AwsSupportedServices: services(o.CompatibleServices),
					ReleaseNotes: v.ReleaseNotes, UsageInstructions: o.UsageInstructions,
				})
			}
		}
	case *amiproduct.Product:
		for _, v := range p.Versions {
			for i := range v.DeliveryOptions {
				o := &v.DeliveryOptions[i]
				kind := listing.AMIKind(o)
				option := Option{
					ID: cmp.Or(o.FulfillmentOptionID, o.ID), option: o.ID, Name: o.Title, Version: v.Title, Type: kind, DisplayName: optionNames[kind],
					ReleaseNotes: v.ReleaseNotes, UsageInstructions: o.UsageInstructions,
				}
				if o.RecommendedInstanceType != "" {
					option.Recommendation = &Recommendation{o.RecommendedInstanceType}
				}
				for _, source := range v.Sources {
					if source.ID == o.SourceID {
						option.OperatingSystems = []OperatingSystem{system(source.OperatingSystem)}
					}
				}
				for _, component := range v.Components {
					if component.ID == o.SourceID {
						option.OperatingSystems = []OperatingSystem{{FamilyName: "Linux", Name: strings.Join(component.SupportedOSVersions, ", ")}}
					}
				}
				all = append(all, option)
			}
		}
	case *saasproduct.Product:
		for _, v := range p.Versions {
			for i := range v.DeliveryOptions {
				o := &v.DeliveryOptions[i]
				kind := listing.SaaSKind(o)
				option := Option{ID: o.ID, Type: kind, DisplayName: optionNames[kind]}
				if o.API != nil {
					option.UsageInstructions = o.API.UsageInstructions
					option.AwsSupportedServices = append([]AwsSupportedService{}, services(o.API.CompatibleServices)...)
				} else {
					option.UsageInstructions, option.FulfillmentURL = o.Registration.UsageInstructions, o.Registration.FulfillmentUrl
				}
				all = append(all, option)
			}
		}
	}
	return all
}

func system(o amiproduct.OperatingSystem) OperatingSystem {
	family := "Linux"
	if strings.HasPrefix(strings.ToUpper(o.Name), "WINDOWS") {
		family = "Windows"
	}
	return OperatingSystem{family, o.Name, o.Version}
}

func services(names []string) []AwsSupportedService {
	var all []AwsSupportedService
	for _, name := range names {
		all = append(all, AwsSupportedService{name, "Amazon " + name, fmt.Sprintf("The software runs on Amazon %s.", name)})
	}
	return all
}

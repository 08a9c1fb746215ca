package saasproduct

import (
	"slices"

	"souk/catalog/change"
	"souk/catalog/product"
)

// Product is the state of a SaaS product as it is stored.
type Product struct {
	product.Facets
	// Versions is empty before the first delivery option and then has one
	// version, which holds all of them: SaaS products have no releases.
	Versions []Version
}

// Version holds the ways to get the software.
type Version struct {
	ID              string // version- and 13 lower-case letters and digits
	DeliveryOptions []DeliveryOption
}

// DeliveryOption is one way to get the software. It is one of two kinds: a
// registration leads buyers to the seller's page, an API option says how
// programs call the seller's service. Exactly one of the two is not nil.
type DeliveryOption struct {
	ID           string                    // do- and 13 lower-case letters and digits
	Visibility   product.Visibility        // Public, Limited or Unavailable
	Targeting    *product.Targeting        `json:",omitempty"` // who may use a Limited option; nil: its seller alone
	Registration *Registration             `json:",omitempty"`
	API          *ApiDeliveryOptionDetails `json:",omitempty"`
}

// Unavailable is the state of a delivery option that nobody gets any more.
const Unavailable product.Visibility = "Unavailable"

// Registration is what an option that was made of SaaSUrlDeliveryOptionDetails has.
type Registration struct {
	FulfillmentUrl      string
	QuickLaunchEnabled  bool
	LaunchUrl           string
	UsageInstructions   string
	DeploymentTemplates []DeploymentTemplate `json:",omitempty"`
}

// options returns the delivery options of the only version.
func (p *Product) options() []DeliveryOption {
	if len(p.Versions) == 0 {
		return nil
	}
	return p.Versions[0].DeliveryOptions
}

// find returns the delivery option with an id, or nil.
func (p *Product) find(id string) *DeliveryOption {
	options := p.options()
	for i := range options {
		if options[i].ID == id {
			return &options[i]
		}
	}
	return nil
}

// registrations counts the options that lead to the seller's page, and those
// of them with or without Quick Launch.
func (p *Product) registrations(quickLaunch bool) (all, same int) {
	for _, option := range p.options() {
		if option.Registration == nil {
			continue
		}
		all++
		if option.Registration.QuickLaunchEnabled == quickLaunch {
			same++
		}
	}
	return all, same
}

// deliveryOptionTypes is the field of a Listing that SaaSProductSort names.
const deliveryOptionTypes = "DeliveryOptionTypes"

// listing is what ListEntities shows of the product, and sorts it by.
func (p *Product) listing() change.Listing {
	l := p.Listing()
	var types []string
	for _, option := range p.options() {
		if kind := option.kind(); !slices.Contains(types, kind) {
			types = append(types, kind)
		}
	}
	if types != nil {
		l.Fields = map[string][]string{deliveryOptionTypes: types}
	}
	return l
}

// kind is the option's Type as DescribeEntity shows it.
func (o *DeliveryOption) kind() string {
	if o.API != nil {
		return "ApiDelivery"
	}
	return "SoftwareRegistration"
}

// public says whether new buyers can get the software.
func (p *Product) public() bool {
	for _, option := range p.options() {
		if option.Visibility == product.Public {
			return true
		}
	}
	return false
}

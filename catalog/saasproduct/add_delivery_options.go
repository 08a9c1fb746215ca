package saasproduct

import (
	"context"
	"strconv"

	"souk/catalog/change"
	"souk/catalog/product"
)

// AddDeliveryOptions adds ways to get a SaaS product.
//
// Work with SaaS products, "Add delivery options". A product has at most one
// registration without and one with Quick Launch, and one API option. The first
// registration is public at once, a second one Limited until
// UpdateDeliveryOptionsVisibility changes that.
type AddDeliveryOptions struct {
	DeliveryOptions []NewDeliveryOption
}

// NewDeliveryOption is a delivery option to be added.
type NewDeliveryOption struct {
	Details *DeliveryOptionDetails
}

// Valid states what the page refuses at once.
func (r *AddDeliveryOptions) Valid(c *change.Checks) {
	var missing product.Missing
	if len(r.DeliveryOptions) == 0 {
		missing.Require("/", "DeliveryOptions", "")
	}
	var details []*DeliveryOptionDetails
	for i, option := range r.DeliveryOptions {
		at := "/DeliveryOptions/" + strconv.Itoa(i)
		if option.Details == nil {
			missing.Require(at, "Details", "")
			continue
		}
		details = append(details, option.Details)
		if given := option.Details.SaaSUrlDeliveryOptionDetails; given != nil && !given.FulfillmentUrl.Given {
			missing.Require(at+"/Details/SaaSUrlDeliveryOptionDetails", "FulfillmentUrl", "")
		}
	}
	refuseDetails(c, missing, details)
}

// Check states the page's errors.
func (r *AddDeliveryOptions) Check(p *Product, c *change.Checks) {
	var added []DeliveryOption
	known := false
	for _, option := range r.options() {
		known = known || p.has(option) || (&Product{Versions: []Version{{DeliveryOptions: added}}}).has(option)
		added = append(added, option)
	}
	c.Refuse(known, "DUPLICATE_DELIVERY_OPTIONS", "You provided one or more delivery option types that already exist for this product. Provide a unique delivery option type or use UpdateDeliveryOptions if you intended to change an existing delivery option.")
	checkTemplates(c, added)
}

// Probe looks whether the pages are there that buyers are led to.
func (r *AddDeliveryOptions) Probe(ctx context.Context, _ *Product, c *change.Checks) error {
	var fulfillment, endpoint, schema pages
	for _, option := range r.DeliveryOptions {
		fulfillment.add(option.Details.fulfillment())
		if api := option.Details.ApiDeliveryOptionDetails; api != nil {
			for _, e := range api.Endpoints {
				endpoint.add(e.address())
				for _, s := range e.Schemas {
					schema.add(s.SchemaUrl)
				}
			}
		}
	}
	noRegistration, fulfillmentWrong, err := fulfillment.failing(ctx, c, "FulfillmentUrl")
	if err != nil {
		return err
	}
	noEndpoint, endpointWrong, err := endpoint.failing(ctx, c, "EndpointUrl")
	if err != nil {
		return err
	}
	noSchema, schemaWrong, err := schema.failing(ctx, c, "SchemaUrl")
	if err != nil {
		return err
	}
	c.Refuse(len(noRegistration) > 0, "INVALID_FULFILLMENT_URL", "The URL you provided returned HTTP status code [x]. Provide a fulfillment URL that renders with a 200.", noRegistration, fulfillmentWrong)
	c.Refuse(len(noEndpoint) > 0, "INVALID_ENDPOINT_URL", "The URL you provided returned HTTP status code [x]. Provide an endpoint URL that renders with a 200.", noEndpoint, endpointWrong)
	c.Refuse(len(noSchema) > 0, "INVALID_SCHEMA_URL", "The schema URL you provided is invalid or inaccessible. Provide a valid schema URL that points to an Amazon S3 bucket owned by AWS Marketplace.", schemaWrong)
	return nil
}

// Apply adds the options, to the product's only version.
func (r *AddDeliveryOptions) Apply(p *Product, a *change.Applying) {
	if len(p.Versions) == 0 {
		p.Versions = []Version{{ID: a.IDs.New("version-", 13), DeliveryOptions: []DeliveryOption{}}}
	}
	for _, option := range r.options() {
		option.ID = a.IDs.New("do-", 13)
		option.Visibility = product.Public
		if all, _ := p.registrations(false); option.Registration != nil && all > 0 {
			option.Visibility = product.Limited
		}
		p.Versions[0].DeliveryOptions = append(p.Versions[0].DeliveryOptions, option)
	}
}

// options returns the options as they would become, without ids and visibility.
func (r *AddDeliveryOptions) options() []DeliveryOption {
	var options []DeliveryOption
	for _, given := range r.DeliveryOptions {
		if !given.Details.one() {
			continue
		}
		var option DeliveryOption
		if given.Details.SaaSUrlDeliveryOptionDetails != nil {
			option.Registration = &Registration{}
		}
		given.Details.update(&option)
		options = append(options, option)
	}
	return options
}

// has says whether the product has an option of the same type as a new one.
func (p *Product) has(option DeliveryOption) bool {
	if option.Registration != nil {
		all, same := p.registrations(option.Registration.QuickLaunchEnabled)
		return all > 1 || same > 0
	}
	for _, other := range p.options() {
		if other.API != nil {
			return true
		}
	}
	return false
}

package saasproduct

import (
	"context"
	"regexp"
	"strconv"

	"souk/catalog/change"
	"souk/catalog/product"
)

// UpdateDeliveryOptions changes delivery options of a SaaS product.
//
// Work with SaaS products, "Update delivery options".
type UpdateDeliveryOptions struct {
	DeliveryOptions []DeliveryOptionUpdate
}

// DeliveryOptionUpdate has what is to change in an option.
type DeliveryOptionUpdate struct {
	Id      change.Optional[string] // "Unique identifier for the DeliveryOption", as DescribeEntity shows it
	Details *DeliveryOptionDetails  // of the option's own kind
}

// optionID is what an id of a delivery option looks like, in the words of the
// page's own schema error.
var optionID = regexp.MustCompile(`^do-[a-zA-Z0-9]+$`)

// Valid states what the page refuses at once.
func (u *UpdateDeliveryOptions) Valid(c *change.Checks) {
	c.Refuse(len(u.DeliveryOptions) == 0, "422", "The delivery option ID is missing. Provide one or more valid delivery option IDs that you wish to update, or use AddDeliveryOptions if you intended to add a new delivery option.")
	var missing product.Missing
	var ids []givenID
	var details []*DeliveryOptionDetails
	for i, option := range u.DeliveryOptions {
		at := "/DeliveryOptions/" + strconv.Itoa(i)
		ids = append(ids, givenID{at + "/Id", option.Id})
		if !option.Id.Given {
			missing.Require(at, "Id", "")
		}
		if option.Details == nil {
			missing.Require(at, "Details", "")
			continue
		}
		details = append(details, option.Details)
	}
	refuseIDs(c, ids)
	refuseDetails(c, missing, details)
}

// Check states the page's errors.
func (u *UpdateDeliveryOptions) Check(p *Product, c *change.Checks) {
	var unknown, otherKinds []string
	var updated []DeliveryOption
	var undelivered undelivered
	for _, given := range u.DeliveryOptions {
		present := p.find(given.Id.Value)
		switch {
		case present == nil:
			unknown = append(unknown, given.Id.Value)
		case !given.Details.one() || (given.Details.ApiDeliveryOptionDetails == nil) != (present.API == nil):
			otherKinds = append(otherKinds, given.Id.Value)
		default:
			wanted := present.clone()
			given.Details.update(&wanted)
			updated = append(updated, wanted)
			undelivered.compare(present, &wanted)
		}
	}
	c.Refuse(len(unknown) > 0, "INVALID_DELIVERY_OPTION_IDS", "Provide delivery option IDs that can be found in the product. IDs not found: [x]", unknown)
	c.Refuse(len(otherKinds) > 0, "INVALID_DELIVERY_OPTION_IDS", "Provide details of the delivery option's own type. IDs of options of another type: [x]", otherKinds)
	checkTemplates(c, updated)
	c.Refuse(p.Description.Visibility == product.Public && undelivered.found, "DEFAULT_VALUE_REQUIRED_FOR_NEW_PARAMETER", "Endpoint '[x]' has parameter '[x]' with no DefaultValue. A DefaultValue is required when the product is already Public and this update either introduces the parameter or removes a DefaultValue the parameter previously had. Provide a DefaultValue for the parameter.", undelivered.endpoint, undelivered.parameter)
}

// Probe looks whether the pages are there that buyers are newly led to.
func (u *UpdateDeliveryOptions) Probe(ctx context.Context, _ *Product, c *change.Checks) error {
	var fulfillment, launch pages
	for _, given := range u.DeliveryOptions {
		fulfillment.add(given.Details.fulfillment())
		if registration := given.Details.SaaSUrlDeliveryOptionDetails; registration != nil {
			launch.add(registration.LaunchUrl.Value)
		}
	}
	noRegistration, fulfillmentWrong, err := fulfillment.failing(ctx, c, "FulfillmentUrl")
	if err != nil {
		return err
	}
	noLaunch, launchWrong, err := launch.failing(ctx, c, "LaunchUrl")
	if err != nil {
		return err
	}
	c.Refuse(len(noRegistration) > 0, "INVALID_FULFILLMENT_URL", "The URL you provided returned HTTP status code [x]. Provide a fulfillment URL that renders with a 200.", noRegistration, fulfillmentWrong)
	c.Refuse(len(noLaunch) > 0, "INVALID_LAUNCH_URL", "The URL you provided returned HTTP status code [x]. Provide a launch URL that renders with a 200.", noLaunch, launchWrong)
	return nil
}

// Apply writes what was given.
func (u *UpdateDeliveryOptions) Apply(p *Product, _ *change.Applying) {
	for _, given := range u.DeliveryOptions {
		if present := p.find(given.Id.Value); present != nil {
			given.Details.update(present)
		}
	}
}

// clone copies an option as deep as an update writes.
func (o *DeliveryOption) clone() DeliveryOption {
	c := *o
	if o.Registration != nil {
		r := *o.Registration
		c.Registration = &r
	}
	return c
}

// undelivered is the first parameter of an endpoint's URL for which present
// buyers would have neither a value nor a default.
type undelivered struct {
	found               bool
	endpoint, parameter string
}

func (u *undelivered) compare(present, wanted *DeliveryOption) {
	if present.API == nil || wanted.API == nil {
		return
	}
	before := map[string]EndpointUrlParameter{}
	for _, endpoint := range present.API.Endpoints {
		for _, parameter := range endpoint.EndpointUrlParameters {
			before[parameter.Name] = parameter
		}
	}
	for _, endpoint := range wanted.API.Endpoints {
		for _, parameter := range endpoint.EndpointUrlParameters {
			old, known := before[parameter.Name]
			if !u.found && parameter.DefaultValue == "" && (!known || old.DefaultValue != "") {
				*u = undelivered{true, endpoint.shownAs(), parameter.Name}
			}
		}
	}
}

// shownAs names an endpoint, whose name may be missing.
func (e *Endpoint) shownAs() string {
	if e.Name != "" {
		return e.Name
	}
	return e.EndpointUrl
}

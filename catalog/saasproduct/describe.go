package saasproduct

import "souk/catalog/product"

// document is the DetailsDocument that DescribeEntity shows: the published shape
// SaaSProductEntityDetail. Lists are [] and never null where a program may read
// them unasked.
type document struct {
	Versions             []versionDocument
	Description          product.Description
	PromotionalResources product.PromotionalResources
	SupportInformation   product.SupportInformation
	Dimensions           []product.Dimension `json:",omitempty"`
	Targeting            *product.Targeting  `json:",omitempty"`
}

type versionDocument struct {
	Id              string
	DeliveryOptions []optionDocument
}

type optionDocument struct {
	Id                 string
	Type               string // SoftwareRegistration or ApiDelivery
	FulfillmentUrl     string
	QuickLaunchEnabled bool
	UsageInstructions  string `json:",omitempty"`
	Visibility         product.Visibility
	Targeting          *product.Targeting `json:",omitempty"`
	// What only a registration has.
	LaunchUrl           string             `json:",omitempty"`
	DeploymentTemplates []templateDocument `json:",omitempty"`
	// What only an API option has.
	ApiType            string     `json:",omitempty"`
	CompatibleServices []string   `json:",omitempty"`
	Endpoints          []Endpoint `json:",omitempty"`
}

type templateDocument struct {
	Type             string // always CloudFormation@1.0
	Title            string
	Description      string
	IamPolicy        string
	DefaultStackName string
	TemplateUrl      string
}

// describe renders the product.
func (p *Product) describe() document {
	d := document{
		Versions:             []versionDocument{},
		Description:          p.Description,
		PromotionalResources: p.PromotionalResources,
		SupportInformation:   p.SupportInformation,
		Dimensions:           p.Dimensions,
		Targeting:            p.Targeting,
	}
	for _, version := range p.Versions {
		v := versionDocument{Id: version.ID, DeliveryOptions: []optionDocument{}}
		for _, option := range version.DeliveryOptions {
			v.DeliveryOptions = append(v.DeliveryOptions, option.describe())
		}
		d.Versions = append(d.Versions, v)
	}
	return d
}

func (o *DeliveryOption) describe() optionDocument {
	d := optionDocument{Id: o.ID, Type: o.kind(), Visibility: o.Visibility, Targeting: o.Targeting}
	if r := o.Registration; r != nil {
		d.FulfillmentUrl, d.LaunchUrl = r.FulfillmentUrl, r.LaunchUrl
		d.QuickLaunchEnabled, d.UsageInstructions = r.QuickLaunchEnabled, r.UsageInstructions
		for _, t := range r.DeploymentTemplates {
			d.DeploymentTemplates = append(d.DeploymentTemplates, templateDocument{
				Type: "CloudFormation@1.0", Title: t.Title, Description: t.Description, IamPolicy: t.IamPolicy,
				DefaultStackName: t.CloudFormationDetails.DefaultStackName, TemplateUrl: t.CloudFormationDetails.TemplateUrl,
			})
		}
	}
	if api := o.API; api != nil {
		d.FulfillmentUrl, d.UsageInstructions = api.FulfillmentUrl, api.UsageInstructions
		d.QuickLaunchEnabled = *api.QuickLaunchEnabled
		d.ApiType, d.CompatibleServices = api.ApiType, api.CompatibleServices
		for _, endpoint := range api.Endpoints {
			endpoint.Schemas = append([]Schema{}, endpoint.Schemas...)
			endpoint.IntegrationProtocols = append([]IntegrationProtocol{}, endpoint.IntegrationProtocols...)
			d.Endpoints = append(d.Endpoints, endpoint)
		}
	}
	return d
}

package saasproduct

import (
	"slices"

	"souk/catalog/change"
)

// DeliveryOptionDetails holds the details of one kind of delivery option:
// exactly one member is given.
type DeliveryOptionDetails struct {
	SaaSUrlDeliveryOptionDetails *SaaSUrlDeliveryOptionDetails
	ApiDeliveryOptionDetails     *ApiDeliveryOptionDetails
}

// SaaSUrlDeliveryOptionDetails leads buyers to the seller's page. What an update
// does not give stays.
type SaaSUrlDeliveryOptionDetails struct {
	// Where buyers register. 8 to 2,048 characters, https.
	FulfillmentUrl change.Optional[string]
	// Whether buyers can use Quick Launch to set the product up.
	QuickLaunchEnabled change.Optional[bool]
	// "The URL to your SaaS product's landing page. This is required if
	// QuickLaunchEnabled is set to True."
	LaunchUrl change.Optional[string]
	// "Instructions for using this delivery option", in Markdown. At most 30,000
	// characters.
	UsageInstructions change.Optional[string]
	// "Deployment templates that customers can use to set up and configure the
	// SaaS product and any related AWS resources." 1 to 20.
	DeploymentTemplates change.Optional[[]DeploymentTemplate]
}

// DeploymentTemplate sets up what the product needs in a buyer's account.
type DeploymentTemplate struct {
	Title       string // "The display name of the deployment template." At most 128 characters.
	Description string // "A description for what the deployment template contains."
	// "An IAM policy describing the permissions needed to deploy the template."
	// At most 6,144 characters.
	IamPolicy             string
	CloudFormationDetails *CloudFormationDetails
}

// CloudFormationDetails are the details of a CloudFormation template.
type CloudFormationDetails struct {
	DefaultStackName string // "The default name used in CloudFormation when the customer creates the template." At most 128 characters.
	TemplateUrl      string // "The URL for the deployment template", in Amazon S3
}

// ApiDeliveryOptionDetails says how programs call the seller's service. An
// update gives it whole. It is stored and shown as it was given.
type ApiDeliveryOptionDetails struct {
	ApiType            string   // MCP_SERVER, KNOWLEDGE_BASE, AGENT, GUARDRAIL or OTHER
	QuickLaunchEnabled *bool    // nil: not given, which is refused
	FulfillmentUrl     string   // "The URL to the seller's software registration landing page."
	UsageInstructions  string   // Markdown. At most 30,000 characters.
	CompatibleServices []string `json:",omitempty"` // Bedrock-AgentCore
	Endpoints          []Endpoint
}

// Endpoint is where the service answers. There is exactly one.
type Endpoint struct {
	Name string `json:",omitempty"` // a letter, then letters, digits and hyphens. At most 100 characters.
	// https; of a DYNAMIC endpoint with placeholders such as {tenantId}.
	EndpointUrl           string
	EndpointType          string                 `json:",omitempty"` // STATIC (if it is not given) or DYNAMIC
	EndpointUrlParameters []EndpointUrlParameter `json:",omitempty"` // of a DYNAMIC endpoint: 1 to 5
	Description           string                 `json:",omitempty"` // At most 4,000 characters.
	AuthorizationTypes    []string               // API_KEY, OAUTH2: one or both
	Schemas               []Schema               // at most 1
	IntegrationProtocols  []IntegrationProtocol  // at most 2
}

// EndpointUrlParameter is a placeholder of a DYNAMIC endpoint's URL.
type EndpointUrlParameter struct {
	Name         string // "Must match a {paramName} placeholder in the EndpointUrl." At most 100 characters.
	Description  string `json:",omitempty"` // At most 1,000 characters.
	DefaultValue string `json:",omitempty"` // until the seller delivers a value for the buyer. At most 256 characters.
}

// Schema describes an endpoint's requests and answers.
type Schema struct {
	Type      string // OPEN_API
	SchemaUrl string
}

// IntegrationProtocol is a protocol that an endpoint speaks.
type IntegrationProtocol struct {
	Type              string // MCP or A2A
	UsageInstructions string // At most 30,000 characters.
}

// one says whether exactly one kind is given.
func (d *DeliveryOptionDetails) one() bool {
	return d != nil && (d.SaaSUrlDeliveryOptionDetails == nil) != (d.ApiDeliveryOptionDetails == nil)
}

// quickLaunch says whether the details of a registration ask for Quick Launch.
func (d *SaaSUrlDeliveryOptionDetails) quickLaunch() bool { return d.QuickLaunchEnabled.Value }

// update writes what was given into an option of the same kind.
func (d *DeliveryOptionDetails) update(o *DeliveryOption) {
	if given := d.ApiDeliveryOptionDetails; given != nil {
		api := *given
		o.API = &api
		return
	}
	given, r := d.SaaSUrlDeliveryOptionDetails, o.Registration
	given.FulfillmentUrl.Update(&r.FulfillmentUrl)
	given.QuickLaunchEnabled.Update(&r.QuickLaunchEnabled)
	given.LaunchUrl.Update(&r.LaunchUrl)
	given.UsageInstructions.Update(&r.UsageInstructions)
	if given.DeploymentTemplates.Given {
		r.DeploymentTemplates = slices.Clone(given.DeploymentTemplates.Value)
	}
}

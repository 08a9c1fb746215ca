package saasproduct

import (
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"souk/catalog/change"
	"souk/catalog/product"
)

var (
	apiTypes           = []string{"MCP_SERVER", "KNOWLEDGE_BASE", "AGENT", "GUARDRAIL", "OTHER"}
	authorizationTypes = []string{"API_KEY", "OAUTH2"}
	integrations       = []string{"MCP", "A2A"}
	services           = []string{"Bedrock-AgentCore"}
	linkSchemes        = []string{"http", "https", "tel", "mailto"}
)

var (
	stackName     = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9-]{0,127}$`) })
	endpointName  = regexp.MustCompile(`^[A-Za-z][a-zA-Z0-9-]+$`)
	parameterName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_]{0,99}$`) })
	defaultValue  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z0-9._~-]{0,256}$`) })
	placeholder   = regexp.MustCompile(`\{([^{}]*)\}`)
	// markdownLink is a link or, with an exclamation mark, an image of Markdown.
	markdownLink = regexp.MustCompile(`(!?)\[[^\]\n]*\]\(\s*<?([^)\s>]*)`)
	// templateHost is a host of Amazon S3, in either style of its addresses.
	templateHost = regexp.MustCompile(`^([a-z0-9.-]+\.)?s3([.-][a-z0-9-]+)?\.amazonaws\.com$`)
)

// givenID is an id of a request and where it stands.
type givenID struct {
	at string
	id change.Optional[string]
}

// refuseIDs states what is refused at once of ids of delivery options.
func refuseIDs(c *change.Checks, given []givenID) {
	var bad givenID
	var ids []string
	for _, g := range given {
		if g.id.Given && bad.at == "" && !optionID.MatchString(g.id.Value) {
			bad = g
		}
		ids = append(ids, g.id.Value)
	}
	c.Refuse(bad.at != "", "422", "Provided Details is not valid. String '[x]' at [path] does not match required schema regex, '^do-[a-zA-Z0-9]+$'", bad.id.Value, bad.at)
	repeated := product.Repeated(slices.DeleteFunc(ids, func(id string) bool { return id == "" }))
	c.Refuse(len(repeated) > 0, "422", "Provide unique delivery option IDs.", change.In("Id", repeated...))
}

// refuseDetails states what is refused at once of the details of delivery
// options, new ones and updates alike. missing is what the document lacks
// around them.
func refuseDetails(c *change.Checks, missing product.Missing, details []*DeliveryOptionDetails) {
	faults := []string(missing)
	var registrations []*SaaSUrlDeliveryOptionDetails
	var apis []*ApiDeliveryOptionDetails
	for _, d := range details {
		if !d.one() {
			faults = append(faults, "Details must have one of SaaSUrlDeliveryOptionDetails and ApiDeliveryOptionDetails")
			continue
		}
		if d.SaaSUrlDeliveryOptionDetails != nil {
			registrations = append(registrations, d.SaaSUrlDeliveryOptionDetails)
		} else {
			apis = append(apis, d.ApiDeliveryOptionDetails)
		}
	}
	faults = append(faults, templateFaults(registrations)...)
	faults = append(faults, endpointFaults(apis)...)
	c.Refuse(len(faults) > 0, "422", "Provided Details is not valid. [x].", faults)

	refuseFulfillment(c, registrations, apis)
	refuseRegistrations(c, registrations)
	refuseAPIs(c, apis)
	refuseUsage(c, registrations, apis)
}

// refuseFulfillment states the rule of the URL that both kinds have.
func refuseFulfillment(c *change.Checks, registrations []*SaaSUrlDeliveryOptionDetails, apis []*ApiDeliveryOptionDetails) {
	var bad change.Wrong
	for _, r := range registrations {
		bad.If(r.FulfillmentUrl.Given && !isHTTPS(r.FulfillmentUrl.Value), "FulfillmentUrl", r.FulfillmentUrl.Value)
	}
	for _, api := range apis {
		bad.If(api.FulfillmentUrl != "" && !isHTTPS(api.FulfillmentUrl), "FulfillmentUrl", api.FulfillmentUrl)
	}
	c.Refuse(len(bad) > 0, "422", `Provide a valid fulfillment URL beginning with "https://".`, bad)
}

func refuseRegistrations(c *change.Checks, registrations []*SaaSUrlDeliveryOptionDetails) {
	var launchMissing, none, tooMany bool
	var launchBad, stack, titles, urls, kind, policy change.Wrong
	for _, r := range registrations {
		launchMissing = launchMissing || r.quickLaunch() && r.LaunchUrl.Value == "" || r.LaunchUrl.Null && !r.QuickLaunchEnabled.Given
		launchBad.If(r.LaunchUrl.Given && !r.LaunchUrl.Null && !isHTTPS(r.LaunchUrl.Value), "LaunchUrl", r.LaunchUrl.Value)
		templates := r.DeploymentTemplates.Value
		none = none || r.DeploymentTemplates.Given && len(templates) == 0
		tooMany = tooMany || len(templates) > 20
		var givenTitles, givenURLs []string
		for _, t := range templates {
			givenTitles = append(givenTitles, t.Title)
			policy.If(!isPolicy(t.IamPolicy), "IamPolicy of", t.Title)
			if t.CloudFormationDetails == nil {
				kind.If(true, "CloudFormationDetails of", t.Title)
				continue
			}
			givenURLs = append(givenURLs, t.CloudFormationDetails.TemplateUrl)
			stack.If(!stackName().MatchString(t.CloudFormationDetails.DefaultStackName), "DefaultStackName", t.CloudFormationDetails.DefaultStackName)
		}
		titles = append(titles, change.In("Title", product.Repeated(givenTitles)...)...)
		urls = append(urls, change.In("TemplateUrl", product.Repeated(givenURLs)...)...)
	}
	c.Refuse(len(registrations) > 1, "422", "You provided more than one URL delivery option. Provide one URL delivery option.")
	c.Refuse(launchMissing, "422", "Required parameter LaunchUrl is missing. You must provide a LaunchUrl.")
	c.Refuse(len(launchBad) > 0, "422", `Provide a valid launch URL beginning with "https://".`, launchBad)
	c.Refuse(none, "422", "The deployment template is missing. Provide at least one deployment template.")
	c.Refuse(tooMany, "422", "You cannot provide more than 20 deployment templates.")
	c.Refuse(len(kind) > 0, "422", `The deployment template type is invalid. Provide a valid deployment template type. Supported values are ["CloudFormation@1.0"].`, kind)
	c.Refuse(len(stack) > 0, "422", "The deployment template stack name is invalid. Provide a valid stack name using only alphanumeric characters and hyphens. It must start with an alphabetical character and can't be longer than 128 characters.", stack)
	c.Refuse(len(titles) > 0, "422", "You provided duplicate deployment template titles. Provide unique deployment template titles.", titles)
	c.Refuse(len(urls) > 0, "422", "You provided duplicate deployment template urls. Provide unique deployment template urls.", urls)
	c.Refuse(len(policy) > 0, "422", "The deployment template IAM policy is invalid. Provide a valid IAM policy.", policy)
}

func refuseAPIs(c *change.Checks, apis []*ApiDeliveryOptionDetails) {
	var missing, tooMany bool
	var kind, service change.Wrong
	var e endpointRules
	for _, api := range apis {
		missing = missing || api.ApiType == "" || api.QuickLaunchEnabled == nil || api.FulfillmentUrl == "" || api.UsageInstructions == "" || len(api.Endpoints) == 0
		kind.If(api.ApiType != "" && !slices.Contains(apiTypes, api.ApiType), "ApiType", api.ApiType)
		service.If(!unique(api.CompatibleServices, services), "CompatibleServices", api.CompatibleServices)
		tooMany = tooMany || len(api.Endpoints) > 1
		for _, endpoint := range api.Endpoints {
			e.note(&endpoint, api.QuickLaunchEnabled != nil && *api.QuickLaunchEnabled)
		}
	}
	c.Refuse(missing, "422", "Required parameter is missing. You must provide ApiType, QuickLaunchEnabled, FulfillmentUrl, UsageInstructions, and Endpoints.")
	c.Refuse(len(kind) > 0, "422", "You provided an invalid API type. Valid values are: MCP_SERVER, KNOWLEDGE_BASE, AGENT, GUARDRAIL, OTHER.", kind)
	c.Refuse(len(service) > 0, "422", "You provided invalid compatible services. Valid values are: Bedrock-AgentCore.", service)
	c.Refuse(tooMany, "422", "You cannot provide more than 1 endpoint for API delivery options.")
	c.Refuse(len(e.kind) > 0, "422", "EndpointType must be STATIC or DYNAMIC.", e.kind)
	c.Refuse(e.parametersMissing, "422", "EndpointUrlParameters is required when EndpointType is DYNAMIC.")
	c.Refuse(e.parametersUnasked, "422", "EndpointUrlParameters is not allowed when EndpointType is STATIC or absent.")
	c.Refuse(e.parametersCount, "422", "EndpointUrlParameters must contain between 1 and 5 parameters.")
	c.Refuse(len(e.parametersBad) > 0, "422", "EndpointUrlParameters contains an invalid entry. Check that Name starts with a letter (letters, digits, underscores only) and DefaultValue uses only unreserved characters.", e.parametersBad)
	c.Refuse(len(e.parametersTwice) > 0, "422", "EndpointUrlParameters must not contain duplicate parameter names.", e.parametersTwice)
	c.Refuse(e.noQuickLaunch, "422", "QuickLaunchEnabled must be true when EndpointType is DYNAMIC.")
	c.Refuse(len(e.url) > 0, "422", `Provide a valid endpoint URL beginning with "https://".`, e.url)
	c.Refuse(e.noAuthorization, "422", "You must provide at least one authorization type. Valid values are: API_KEY, OAUTH2.")
	c.Refuse(len(e.authorization) > 0, "422", "You provided invalid authorization types. Valid values are: API_KEY, OAUTH2.", e.authorization)
	c.Refuse(len(e.schemaType) > 0, "422", "You provided an invalid schema type. Valid value is: OPEN_API.", e.schemaType)
	c.Refuse(len(e.schemaURL) > 0, "422", "Provide a valid schema URL that points to a Marketplace owned S3 bucket.", e.schemaURL)
	c.Refuse(e.protocols, "422", "You cannot provide more than 2 integration protocols.")
	c.Refuse(len(e.protocol) > 0, "422", "You provided an invalid integration protocol type. Valid values are: MCP, A2A.", e.protocol)
}

// endpointRules are the rules of the page that an endpoint breaks.
type endpointRules struct {
	noQuickLaunch, parametersMissing, parametersUnasked, parametersCount, noAuthorization, protocols bool

	kind, url, parametersBad, parametersTwice, authorization, schemaType, schemaURL, protocol change.Wrong
}

func (r *endpointRules) note(e *Endpoint, quickLaunch bool) {
	dynamic := e.EndpointType == "DYNAMIC"
	r.kind.If(e.EndpointType != "" && e.EndpointType != "STATIC" && !dynamic, "EndpointType", e.EndpointType)
	r.noQuickLaunch = r.noQuickLaunch || dynamic && !quickLaunch
	r.parametersMissing = r.parametersMissing || dynamic && e.EndpointUrlParameters == nil
	r.parametersUnasked = r.parametersUnasked || !dynamic && e.EndpointUrlParameters != nil
	n := len(e.EndpointUrlParameters)
	r.parametersCount = r.parametersCount || dynamic && e.EndpointUrlParameters != nil && (n < 1 || n > 5)

	var names []string
	for _, parameter := range e.EndpointUrlParameters {
		names = append(names, parameter.Name)
		r.parametersBad.If(!parameterName().MatchString(parameter.Name) || !defaultValue().MatchString(parameter.DefaultValue) ||
			!strings.Contains(e.EndpointUrl, "{"+parameter.Name+"}"), "Name", parameter.Name)
	}
	r.parametersTwice = append(r.parametersTwice, change.In("Name", product.Repeated(names)...)...)
	r.url.If(!isHTTPS(placeholder.ReplaceAllStringFunc(e.EndpointUrl, func(p string) string {
		if slices.Contains(names, p[1:len(p)-1]) {
			return "x"
		}
		return "\x00" // a placeholder that nothing fills: no URL
	})), "EndpointUrl", e.EndpointUrl)

	r.noAuthorization = r.noAuthorization || len(e.AuthorizationTypes) == 0
	r.authorization.If(!unique(e.AuthorizationTypes, authorizationTypes), "AuthorizationTypes", e.AuthorizationTypes)
	for _, schema := range e.Schemas {
		r.schemaType.If(schema.Type != "OPEN_API", "Type", schema.Type)
		r.schemaURL.If(!isHTTPS(schema.SchemaUrl), "SchemaUrl", schema.SchemaUrl)
	}
	r.protocols = r.protocols || len(e.IntegrationProtocols) > 2
	for _, protocol := range e.IntegrationProtocols {
		r.protocol.If(!slices.Contains(integrations, protocol.Type), "Type", protocol.Type)
	}
}

// refuseUsage states the rules of instructions.
func refuseUsage(c *change.Checks, registrations []*SaaSUrlDeliveryOptionDetails, apis []*ApiDeliveryOptionDetails) {
	var texts []string
	for _, r := range registrations {
		texts = append(texts, r.UsageInstructions.Value)
	}
	for _, api := range apis {
		texts = append(texts, api.UsageInstructions)
		for _, endpoint := range api.Endpoints {
			for _, protocol := range endpoint.IntegrationProtocols {
				texts = append(texts, protocol.UsageInstructions)
			}
		}
	}
	var long bool
	var scheme change.Wrong
	var images, links []string
	for _, text := range texts {
		long = long || utf8.RuneCountInString(text) > 30000
		for _, found := range markdownLink.FindAllStringSubmatch(text, -1) {
			u, err := url.Parse(found[2])
			switch {
			case found[1] != "":
				images = append(images, found[2])
			case err != nil || u.Scheme == "" || u.Host == "" && u.Opaque == "":
				links = append(links, found[2])
			default:
				scheme.If(!slices.Contains(linkSchemes, u.Scheme), "link", found[2])
			}
		}
	}
	c.Refuse(long, "422", "Usage instructions exceed the maximum length of 30,000 characters.")
	c.Refuse(len(images) > 0, "422", "Images aren't supported by the usage instructions. Remove the image [x].", images)
	c.Refuse(len(links) > 0, "422", "You provided a link to an invalid URL in the usage instructions: [x]. Provide a valid URL.", links)
	c.Refuse(len(scheme) > 0, "422", `You provided a link with an unsupported URI scheme in the usage instructions. Use a supported scheme: ["http", "https", "tel", "mailto"].`, scheme)
}

// checkTemplates states the rule of deployment templates that the page has
// among the errors of a change set.
func checkTemplates(c *change.Checks, options []DeliveryOption) {
	var bad []string
	for _, option := range options {
		if option.Registration == nil {
			continue
		}
		for _, t := range option.Registration.DeploymentTemplates {
			u, err := url.Parse(t.CloudFormationDetails.TemplateUrl)
			if err != nil || u.Scheme != "https" || !templateHost.MatchString(u.Hostname()) {
				bad = append(bad, t.CloudFormationDetails.TemplateUrl)
			}
		}
	}
	c.Refuse(len(bad) > 0, "INVALID_TEMPLATE_URL", "Quick Start URL is invalid. Provide deployment template URL that is published through AWS QuickStarts to Amazon S3. Invalid deployment templates URL: [x]", bad)
}

// templateFaults lists what deployment templates lack or have too much of, in
// the words of AWS's schema errors.
func templateFaults(registrations []*SaaSUrlDeliveryOptionDetails) []string {
	var missing product.Missing
	var limits product.Limits
	for _, r := range registrations {
		for i, t := range r.DeploymentTemplates.Value {
			at := "/DeploymentTemplates/" + strconv.Itoa(i)
			missing.Require(at, "Title", t.Title)
			limits.Characters(at+"/Title", t.Title, 128)
			limits.Characters(at+"/IamPolicy", t.IamPolicy, 6144)
			if t.CloudFormationDetails != nil {
				missing.Require(at+"/CloudFormationDetails", "TemplateUrl", t.CloudFormationDetails.TemplateUrl)
			}
		}
	}
	return slices.Concat([]string(missing), []string(limits))
}

// endpointFaults does the same for endpoints.
func endpointFaults(apis []*ApiDeliveryOptionDetails) []string {
	var faults []string
	var missing product.Missing
	var limits product.Limits
	for _, api := range apis {
		for i, e := range api.Endpoints {
			at := "/Endpoints/" + strconv.Itoa(i)
			if e.Name != "" && !endpointName.MatchString(e.Name) {
				faults = append(faults, "String '"+e.Name+"' at "+at+"/Name does not match required schema regex, '"+endpointName.String()+"'")
			}
			limits.Characters(at+"/Name", e.Name, 100)
			limits.Characters(at+"/Description", e.Description, 4000)
			limits.Items(at+"/Schemas", len(e.Schemas), 1)
			for j, parameter := range e.EndpointUrlParameters {
				limits.Characters(at+"/EndpointUrlParameters/"+strconv.Itoa(j)+"/Description", parameter.Description, 1000)
			}
			for j, protocol := range e.IntegrationProtocols {
				missing.Require(at+"/IntegrationProtocols/"+strconv.Itoa(j), "UsageInstructions", protocol.UsageInstructions)
			}
		}
	}
	return slices.Concat(faults, []string(missing), []string(limits))
}

// isHTTPS says whether a text is an https address of 8 to 2,048 characters.
func isHTTPS(text string) bool { return strings.HasPrefix(text, "https://") && product.IsURL(text) }

// unique says whether values are all allowed, each at most once.
func unique(values, allowed []string) bool {
	return len(product.Repeated(values)) == 0 && !slices.ContainsFunc(values, func(v string) bool { return !slices.Contains(allowed, v) })
}

// isPolicy says whether a text is an IAM policy: a JSON object whose statements
// each allow or deny actions.
func isPolicy(text string) bool {
	type statement struct {
		Effect            string
		Action, NotAction json.RawMessage
	}
	var policy struct{ Statement json.RawMessage }
	if json.Unmarshal([]byte(text), &policy) != nil {
		return false
	}
	var statements []statement
	if json.Unmarshal(policy.Statement, &statements) != nil {
		var only statement
		if json.Unmarshal(policy.Statement, &only) != nil {
			return false
		}
		statements = append(statements, only)
	}
	return len(statements) > 0 && !slices.ContainsFunc(statements, func(s statement) bool {
		return s.Effect != "Allow" && s.Effect != "Deny" || s.Action == nil && s.NotAction == nil
	})
}

package containerproduct

import (
	"regexp"
	"slices"
	"sync"
	"unicode/utf8"

	"souk/catalog/change"
	"souk/catalog/product"
)

// Values that the documentation gives a meaning.
const (
	eksAnywhere   = "EKS-Anywhere"
	licenseSecret = "${AWSMP_LICENSE_SECRET}"
)

// compatibleServices are the services that AddDeliveryOptions' page names.
var compatibleServices = []string{"ECS", "EKS", "ECS-Anywhere", eksAnywhere, "Bedrock-AgentCore"}

var (
	// overrideKey is what a key in dot notation is made of; quotation marks
	// stand around a part that has dots of its own.
	overrideKey = regexp.MustCompile(`^[A-Za-z0-9_.\-"+\[\]]+$`)
	// releaseParameter is what Kubernetes and Helm demand of names of namespaces and releases.
	releaseParameter = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,48}[a-z0-9])?$`) })
)

// checkVersion states the rules of a version's texts.
func checkVersion(c *change.Checks, title, notes string) {
	c.Refuse(product.SpaceBeforeTrademark(title), "INVALID_VERSION_TITLE", "Remove spaces before the trademark symbol.")
	bad := product.UnsupportedInTitle(title)
	c.Refuse(len(bad) > 0, "INVALID_VERSION_TITLE", "Remove the following unsupported characters: [x, y, z]", bad)
	c.Refuse(product.SpaceAtBeginning(title), "INVALID_VERSION_TITLE", "Remove spaces from the beginning of the version title.")
	c.Refuse(utf8.RuneCountInString(title) > 64, "INVALID_VERSION_TITLE", "Provide version title with fewer than [x] characters.", 64)

	c.Refuse(product.SpaceBeforeTrademark(notes), "INVALID_RELEASE_NOTES", "Remove spaces before the trademark symbol.")
	bad = product.Unsupported(notes)
	c.Refuse(len(bad) > 0, "INVALID_RELEASE_NOTES", "Remove unsupported characters: [x, y, z]", bad)
	c.Refuse(product.SpaceAtBeginning(notes), "INVALID_RELEASE_NOTES", "Remove spaces from the beginning of release notes.")
	c.Refuse(utf8.RuneCountInString(notes) > 30000, "INVALID_RELEASE_NOTES", "Provide release notes with fewer than (x) characters.", 30000)
}

// checkDeliveryOptions states the rules of delivery options as they would
// become, for a new version and for an updated one alike.
func checkDeliveryOptions(c *change.Checks, options []DeliveryOption) {
	checkServices(c, options)
	checkTexts(c, options)
	checkImages(c, options)
	checkResources(c, options)
	checkHelm(c, options)
}

func checkServices(c *change.Checks, options []DeliveryOption) {
	var unknown, unspecified, repeated change.Wrong
	for _, o := range options {
		for _, service := range o.CompatibleServices {
			unknown.If(!slices.Contains(compatibleServices, service), "CompatibleServices", service)
		}
		unspecified.If(len(o.CompatibleServices) == 0, "DeliveryOptionTitle", o.Title)
		for _, service := range product.Repeated(o.CompatibleServices) {
			repeated.If(true, "CompatibleServices", service)
		}
	}
	c.Refuse(len(unknown) > 0, "INCOMPATIBLE_SERVICES", "Provide a valid list of compatible services.", unknown)
	c.Refuse(len(unspecified) > 0, "NO_SERVICE_SPECIFIED", "Provide at least 1 compatible service.", unspecified)
	c.Refuse(len(repeated) > 0, "DUPLICATE_COMPATIBLE_AWS_SERVICES", "Provide unique list of compatible services.", repeated)
}

func checkTexts(c *change.Checks, options []DeliveryOption) {
	var usages, titles []string
	var usageMissing, usageLong, titleLong, descriptionLong, descriptionMissing change.Wrong
	for _, o := range options {
		usages, titles = append(usages, o.UsageInstructions), append(titles, o.Title)
		usageMissing.If(o.UsageInstructions == "", "DeliveryOptionTitle", o.Title)
		usageLong.If(utf8.RuneCountInString(o.UsageInstructions) > 4000, "DeliveryOptionTitle", o.Title)
		titleLong.If(utf8.RuneCountInString(o.Title) > 72, "DeliveryOptionTitle", o.Title)
		descriptionMissing.If(o.Description == "", "DeliveryOptionTitle", o.Title)
		descriptionLong.If(utf8.RuneCountInString(o.Description) > 1000, "DeliveryOptionTitle", o.Title)
	}
	c.Refuse(product.SpaceBeforeTrademark(usages...), "INVALID_USAGE_INSTRUCTIONS", "Remove spaces before the trademark symbol.")
	bad := product.Unsupported(usages...)
	c.Refuse(len(bad) > 0, "INVALID_USAGE_INSTRUCTIONS", "Remove unsupported characters: [x, y, z]", bad)
	c.Refuse(len(usageLong) > 0, "INVALID_USAGE_INSTRUCTIONS", "Provide usage instructions with fewer than (x) characters.", 4000, usageLong)
	c.Refuse(len(usageMissing) > 0, "INVALID_USAGE_INSTRUCTIONS", "Provide usage instructions.", usageMissing)

	c.Refuse(len(product.Repeated(titles)) > 0, "DUPLICATE_DELIVERY_OPTION_TITLES", "Provide unique delivery option title.", change.In("DeliveryOptionTitle", product.Repeated(titles)...))
	c.Refuse(len(titleLong) > 0, "INVALID_FULFILLMENT_OPTION_TITLE", "Provide delivery option title with fewer than (x) characters.", 72, titleLong)

	c.Refuse(len(descriptionLong) > 0, "INVALID_SHORT_DESCRIPTION", "Provide a short description with fewer than 1,000 characters.", descriptionLong)
	c.Refuse(len(descriptionMissing) > 0, "INVALID_SHORT_DESCRIPTION", "Provide short description.", descriptionMissing)
}

func checkImages(c *change.Checks, options []DeliveryOption) {
	var missing, tooMany, repeated, unfit, malformed, floating change.Wrong
	var charts []string
	for _, o := range options {
		missing.If(len(o.Images) == 0, "DeliveryOptionTitle", o.Title)
		tooMany.If(len(o.Images) > 50, "DeliveryOptionTitle", o.Title)
		for _, uri := range product.Repeated(uris(o.Images)) {
			repeated.If(true, "ContainerImages", uri)
		}
		for _, image := range o.Images {
			ref, ok := parseReference(image.URI)
			short := !unfitLength(image.URI)
			unfit.If(!short, "ContainerImages", image.URI)
			malformed.If(short && !ok, "ContainerImages", image.URI)
			floating.If(ok && ref.floating(), "ContainerImages", image.URI)
		}
		if chart := o.chart(); chart != nil {
			ref, ok := parseReference(chart.URI)
			if !ok || unfitLength(chart.URI) {
				charts = append(charts, chart.URI)
			}
			floating.If(ok && ref.floating(), "HelmChartUri", chart.URI)
		}
	}
	c.Refuse(len(missing) > 0, "MISSING_CONTAINER_IMAGES", "Provide at least 1 container image.", missing)
	c.Refuse(len(tooMany) > 0, "TOO_MANY_CONTAINER_IMAGES", "Provide fewer than 50 container images.", tooMany)
	c.Refuse(len(repeated) > 0, "DUPLICATE_CONTAINER_IMAGES", "Provide a unique list of container images.", repeated)
	c.Refuse(len(unfit) > 0, "INVALID_CONTAINER_IMAGES", "Provide a valid URI for the container image.", unfit)
	c.Refuse(len(malformed) > 0, "INVALID_CONTAINER_IMAGE_URI", "Provide a valid URI for the container image.", malformed)
	c.Refuse(len(floating) > 0, "INVALID_CONTAINER_IMAGE_TAG", "Avoid using 'latest' tag.", floating)
	c.Refuse(len(charts) > 0, "INVALID_HELM_CHART_URI", "The Helm chart URI [invalid_uri] is invalid. Provide the URI of a chart in a repository of this marketplace, with its tag.", charts)
}

func checkResources(c *change.Checks, options []DeliveryOption) {
	var nameMissing, urlMissing, nameLong, urlLong change.Wrong
	for _, o := range options {
		for _, resource := range o.DeploymentResources {
			nameMissing.If(resource.Name == "", "Url", resource.Url)
			urlMissing.If(resource.Url == "", "Name", resource.Name)
			nameLong.If(utf8.RuneCountInString(resource.Name) > 256, "Name", resource.Name)
			urlLong.If(utf8.RuneCountInString(resource.Url) > 256, "Url", resource.Url)
		}
	}
	c.Refuse(len(nameMissing) > 0, "EMPTY_RESOURCE_NAME", "Provide resource name.", nameMissing)
	c.Refuse(len(urlMissing) > 0, "EMPTY_RESOURCE_URL", "Provide resource URL.", urlMissing)
	c.Refuse(len(nameLong) > 0, "INVALID_RESOURCE_NAME", "Provide resource name with fewer than 256 characters.", nameLong)
	c.Refuse(len(urlLong) > 0, "INVALID_RESOURCE_URL", "Provide resource URL with fewer than 256 characters.", urlLong)
}

func checkHelm(c *change.Checks, options []DeliveryOption) {
	var noSecret bool
	var special, repeated, namespaces, releases, bare []string
	var limits product.Limits
	for _, o := range options {
		limits.Items("DeploymentResources of "+o.Title, len(o.DeploymentResources), 4)
		if o.AddOn != nil {
			noteAddOnLimits(&limits, o)
		}
		if o.Helm == nil {
			continue
		}
		var keys []string
		var secret bool
		for _, parameter := range o.Helm.OverrideParameters {
			keys = append(keys, parameter.Key)
			secret = secret || parameter.DefaultValue == licenseSecret
			if !overrideKey.MatchString(parameter.Key) {
				special = append(special, parameter.Key)
			}
			if o.Helm.QuickLaunchEnabled && parameter.Metadata == nil {
				bare = append(bare, parameter.Key)
			}
			noteParameterLimits(&limits, parameter)
		}
		noSecret = noSecret || !secret && slices.Contains(o.CompatibleServices, eksAnywhere)
		repeated = append(repeated, product.Repeated(keys)...)
		if o.Helm.Namespace != "" && !releaseParameter().MatchString(o.Helm.Namespace) {
			namespaces = append(namespaces, o.Helm.Namespace)
		}
		if o.Helm.ReleaseName != "" && !releaseParameter().MatchString(o.Helm.ReleaseName) {
			releases = append(releases, o.Helm.ReleaseName)
		}
		limits.Items("OverrideParameters of "+o.Title, len(keys), 15)
		limits.Characters("MarketplaceServiceAccountName of "+o.Title, o.Helm.ServiceAccountName, 50)
	}
	c.Refuse(noSecret, "NO_LICENSE_SECRET_KEYS", `For Amazon EKS Anywhere products, provide 1 override parameter for license secret. Needs DefaultValue of "${AWSMP_LICENSE_SECRET}".`)
	c.Refuse(len(special) > 0, "OVERRIDE_PARAMETER_KEYS_CONTAINS_SPECIAL_CHARS", "The override parameter keys [invalid_keys] contain invalid characters. Use letters, numbers, dots, hyphens, underscores, square brackets, double quotes and plus signs.", special)
	c.Refuse(len(repeated) > 0, "DUPLICATE_OVERRIDE_PARAMETER_KEYS", "The override parameters contain duplicate keys [duplicate_keys]. Remove the duplicates.", repeated)
	c.Refuse(len(namespaces) > 0, "INVALID_NAMESPACE", "The namespace values [invalid_namespaces] are invalid. Provide values that conform to the {regex} regular expression.", namespaces, releaseParameter())
	c.Refuse(len(releases) > 0, "INVALID_RELEASE_NAME", "The releaseName values [invalid_release_names] are invalid. Provide values that conform to the {regex} regular expression.", releases, releaseParameter())
	c.Refuse(len(bare) > 0, "INVALID_DELIVERY_OPTIONS_INPUT", "Provide Metadata for every override parameter of an option with QuickLaunch. Without Metadata: [x].", bare)
	c.Refuse(len(limits) > 0, "INVALID_DELIVERY_OPTIONS_INPUT", "Provide values within their limits: [x].", []string(limits))
}

func noteParameterLimits(limits *product.Limits, parameter OverrideParameter) {
	limits.Characters("Key "+parameter.Key, parameter.Key, 50)
	limits.Characters("DefaultValue of "+parameter.Key, parameter.DefaultValue, 150)
	if parameter.Metadata != nil {
		limits.Characters("Label of "+parameter.Key, parameter.Metadata.Label, 50)
		limits.Characters("Description of "+parameter.Key, parameter.Metadata.Description, 200)
	}
}

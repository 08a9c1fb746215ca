package containerproduct

import (
	"slices"
	"strconv"

	"souk/catalog/change"
	"souk/catalog/product"
)

// DeliveryOptionDetails holds the details of one kind of delivery option:
// exactly one member is given.
type DeliveryOptionDetails struct {
	EcrDeliveryOptionDetails      *EcrDeliveryOptionDetails
	HelmDeliveryOptionDetails     *HelmDeliveryOptionDetails
	EksAddOnDeliveryOptionDetails *EksAddOnDeliveryOptionDetails
}

// CommonDeliveryOptionDetails are the fields that all kinds have.
type CommonDeliveryOptionDetails struct {
	// UpdateDeliveryOptions only: "A short description that allows your buyer to
	// choose between your delivery options." At most 72 characters.
	DeliveryOptionTitle change.Optional[string]
	// "An array of container image URLs used by this version. [...] The list must
	// include all needed images, even images that have not changed from
	// previous versions." At most 50.
	ContainerImages change.Optional[[]string]
	// "An array of services that the release is compatible with." ECS, EKS,
	// ECS-Anywhere, EKS-Anywhere or Bedrock-AgentCore.
	CompatibleServices change.Optional[[]string]
	// "A longer description of the delivery option to give details to your
	// buyer." At most 1,000 characters.
	Description change.Optional[string]
	// "Provide instructions about the usage for this delivery option. Can be up
	// to 4,000 characters."
	UsageInstructions change.Optional[string]
	// AddDeliveryOptions only: the ARN of an IAM role of the seller by which the
	// marketplace reads the images; not given, it reads them as the seller may.
	// The page has its error codes and not the member; the name is that of AMIs.
	AccessRoleArn change.Optional[string]
}

// EcrDeliveryOptionDetails describes the delivery of container images.
type EcrDeliveryOptionDetails struct {
	CommonDeliveryOptionDetails
	// "An array of other resources needed for the version, such as Helm charts.
	// Each resource includes a Name to describe it, and a URL that points at the
	// resource." At most 4.
	DeploymentResources change.Optional[[]DeploymentResource]
}

// DeploymentResource is a link that a version's launch page shows.
type DeploymentResource struct {
	Name string // "The text of the hyperlink that is shown to the buyer." At most 256 characters.
	Url  string // "The URL of the hyperlink shown to the buyer." At most 256 characters.
}

// HelmDeliveryOptionDetails describes the delivery of a Helm chart.
type HelmDeliveryOptionDetails struct {
	CommonDeliveryOptionDetails
	// "The URL to the Helm chart hosted in Amazon ECR that the buyer will install
	// to launch the software."
	HelmChartUri change.Optional[string]
	// "A boolean to determine if buyers can use QuickLaunch to launch the software."
	QuickLaunchEnabled change.Optional[bool]
	// "The name of the Kubernetes service account." At most 50 characters.
	MarketplaceServiceAccountName change.Optional[string]
	// "The name for the Helm release provided to the helm install command". At
	// most 50 characters.
	ReleaseName change.Optional[string]
	// "The Kubernetes namespace where the Helm chart will be installed." At most
	// 50 characters.
	Namespace change.Optional[string]
	// "Parameters that will be used in the Helm commands that launch the
	// application. Buyers can override the default values." At most 15.
	OverrideParameters change.Optional[[]OverrideParameter]
}

// OverrideParameter is a value of the chart that buyers may set.
type OverrideParameter struct {
	Key          string // "The key for the parameter in dot notation (override.example.key)." At most 50 characters.
	DefaultValue string // "The default value for this override parameter." At most 150 characters.
	// "Required if QuickLaunchEnabled is set to true".
	Metadata *OverrideMetadata `json:",omitempty"`
}

// OverrideMetadata is a field of the form that QuickLaunch shows.
type OverrideMetadata struct {
	Label       string // "The name of the field". At most 50 characters.
	Description string // "The description of the field". At most 200 characters.
	Obfuscate   bool   // whether "sensitive information such as secrets and passwords are masked"
}

// kinds names the members that are given.
func (d *DeliveryOptionDetails) kinds() []string {
	var kinds []string
	if d == nil {
		return nil
	}
	if d.EcrDeliveryOptionDetails != nil {
		kinds = append(kinds, "EcrDeliveryOptionDetails")
	}
	if d.HelmDeliveryOptionDetails != nil {
		kinds = append(kinds, "HelmDeliveryOptionDetails")
	}
	if d.EksAddOnDeliveryOptionDetails != nil {
		kinds = append(kinds, "EksAddOnDeliveryOptionDetails")
	}
	return kinds
}

// update writes what was given into an option of the same kind. An image that
// is named as before keeps its pin.
func (d *DeliveryOptionDetails) update(o *DeliveryOption) {
	switch {
	case d == nil:
	case o.AddOn != nil && d.EksAddOnDeliveryOptionDetails != nil:
		d.EksAddOnDeliveryOptionDetails.updateAddOn(o)
	case o.kind() == "EcrDeliveryOptionDetails" && d.EcrDeliveryOptionDetails != nil:
		e := d.EcrDeliveryOptionDetails
		e.updateCommon(o)
		if e.DeploymentResources.Given {
			o.DeploymentResources = append([]DeploymentResource{}, e.DeploymentResources.Value...)
		}
	case o.Helm != nil && d.HelmDeliveryOptionDetails != nil:
		h := d.HelmDeliveryOptionDetails
		h.updateCommon(o)
		if h.HelmChartUri.Given {
			o.Helm.Chart = pinned([]Image{o.Helm.Chart}, h.HelmChartUri.Value)
		}
		h.QuickLaunchEnabled.Update(&o.Helm.QuickLaunchEnabled)
		h.MarketplaceServiceAccountName.Update(&o.Helm.ServiceAccountName)
		h.ReleaseName.Update(&o.Helm.ReleaseName)
		h.Namespace.Update(&o.Helm.Namespace)
		if h.OverrideParameters.Given {
			o.Helm.OverrideParameters = append([]OverrideParameter{}, h.OverrideParameters.Value...)
		}
	}
}

func (d *CommonDeliveryOptionDetails) updateCommon(o *DeliveryOption) {
	d.DeliveryOptionTitle.Update(&o.Title)
	d.Description.Update(&o.Description)
	d.UsageInstructions.Update(&o.UsageInstructions)
	if d.CompatibleServices.Given {
		o.CompatibleServices = append([]string{}, d.CompatibleServices.Value...)
	}
	if d.ContainerImages.Given {
		images := []Image{}
		for _, uri := range d.ContainerImages.Value {
			images = append(images, pinned(o.Images, uri))
		}
		o.Images = images
	}
}

// pinned returns the image of a URI, with its pin if it is among those that the
// option has already.
func pinned(present []Image, uri string) Image {
	for _, image := range present {
		if image.URI == uri {
			return image
		}
	}
	return Image{URI: uri}
}

// require notes override parameters without a key, and what an add-on lacks;
// whole says that the option is new.
func (d *DeliveryOptionDetails) require(missing *product.Missing, at string, whole bool) {
	if d != nil && d.EksAddOnDeliveryOptionDetails != nil {
		d.EksAddOnDeliveryOptionDetails.requireAddOn(missing, at+"/EksAddOnDeliveryOptionDetails", whole)
	}
	if d == nil || d.HelmDeliveryOptionDetails == nil {
		return
	}
	for i, parameter := range d.HelmDeliveryOptionDetails.OverrideParameters.Value {
		missing.Require(at+"/HelmDeliveryOptionDetails/OverrideParameters/"+strconv.Itoa(i), "Key", parameter.Key)
	}
}

// clone copies an option so far that update leaves the original as it is.
func (o *DeliveryOption) clone() DeliveryOption {
	c := *o
	c.Images = slices.Clone(o.Images)
	if o.Helm != nil {
		helm := *o.Helm
		c.Helm = &helm
	}
	if o.AddOn != nil {
		addOn := *o.AddOn
		c.AddOn = &addOn
	}
	return c
}

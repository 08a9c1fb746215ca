package containerproduct

import "souk/catalog/product"

// document is the DetailsDocument that DescribeEntity shows, its members in the
// order of the documentation's example (Using the AWS Marketplace Catalog API,
// "Using DescribeEntity to get information about your entities"). Programs in
// production read members that are empty, so lists are [] and never null.
type document struct {
	Versions             []versionDocument
	Description          product.Description
	PromotionalResources product.PromotionalResources
	SupportInformation   product.SupportInformation
	RegionAvailability   product.RegionAvailability
	Repositories         []repositoryDocument
	Dimensions           []product.Dimension `json:",omitempty"`
	Targeting            *product.Targeting  `json:",omitempty"`
}

type versionDocument struct {
	Id                  string
	ReleaseNotes        string
	UpgradeInstructions string // no change type sets it: always N/A, as in the example
	VersionTitle        string
	CreationDate        string
	Sources             []sourceDocument
	DeliveryOptions     []optionDocument
}

type sourceDocument struct {
	Type          string // DockerImages or HelmChart
	Id            string
	HelmChartUri  string `json:",omitempty"`
	Images        []string
	Compatibility *platformDocument `json:",omitempty"` // of DockerImages
}

type platformDocument struct{ Platform string }

type optionDocument struct {
	Id               string
	Type             string // ElasticContainerRegistry, Helm or EksAddOn
	SourceId         string
	Title            string
	ShortDescription string
	IsRecommended    bool `json:"isRecommended"`
	Compatibility    compatibilityDocument
	Instructions     instructionsDocument
	Recommendations  recommendationsDocument
	Visibility       product.Visibility
	// What only a Helm option has.
	QuickLaunchEnabled            *bool               `json:",omitempty"`
	ReleaseName                   string              `json:",omitempty"`
	MarketplaceServiceAccountName string              `json:",omitempty"`
	Namespace                     string              `json:",omitempty"`
	OverrideParameters            []parameterDocument `json:",omitzero"`
	// What only an add-on has, beside Namespace.
	AddOnName                     string                         `json:",omitempty"`
	AddOnVersion                  string                         `json:",omitempty"`
	AddOnType                     string                         `json:",omitempty"`
	DisplayAddOnName              string                         `json:",omitempty"`
	EnvironmentOverrideParameters []EnvironmentOverrideParameter `json:",omitzero"`
}

type compatibilityDocument struct {
	AWSServices        []string
	KubernetesVersions []string `json:",omitempty"` // of an add-on
	Architectures      []string `json:",omitempty"` // of an add-on
}

type instructionsDocument struct{ Usage string }

type recommendationsDocument struct {
	AdditionalArtifacts []string           // always empty
	DeploymentResources []resourceDocument `json:",omitempty"`
}

type resourceDocument struct{ Text, Url string }

type parameterDocument struct {
	Key      string
	Default  string
	Metadata *OverrideMetadata `json:",omitempty"`
}

type repositoryDocument struct {
	Url  string
	Type string // always ECR
}

// describe renders the product; repositories are shown below registryHost.
func (p *Product) describe(registryHost string) document {
	d := document{
		Versions:             []versionDocument{},
		Description:          p.Description,
		PromotionalResources: p.PromotionalResources,
		SupportInformation:   p.SupportInformation,
		RegionAvailability:   p.RegionAvailability,
		Repositories:         []repositoryDocument{},
		Dimensions:           p.Dimensions,
		Targeting:            p.Targeting,
	}
	for _, version := range p.Versions {
		d.Versions = append(d.Versions, version.describe())
	}
	for _, repository := range p.Repositories {
		d.Repositories = append(d.Repositories, repositoryDocument{Url: registryHost + "/" + repository.Name, Type: "ECR"})
	}
	return d
}

func (v *Version) describe() versionDocument {
	d := versionDocument{
		Id:                  v.ID,
		ReleaseNotes:        v.ReleaseNotes,
		UpgradeInstructions: "N/A",
		VersionTitle:        v.Title,
		CreationDate:        v.Created,
		Sources:             []sourceDocument{},
		DeliveryOptions:     []optionDocument{},
	}
	for _, option := range v.DeliveryOptions {
		d.Sources = append(d.Sources, option.describeSource())
		d.DeliveryOptions = append(d.DeliveryOptions, option.describe())
	}
	return d
}

func (o *DeliveryOption) describeSource() sourceDocument {
	images := append([]string{}, uris(o.Images)...)
	if chart := o.chart(); chart != nil {
		return sourceDocument{Type: "HelmChart", Id: o.SourceID, HelmChartUri: chart.URI, Images: images}
	}
	return sourceDocument{Type: "DockerImages", Id: o.SourceID, Images: images, Compatibility: &platformDocument{Platform: "Linux"}}
}

func (o *DeliveryOption) describe() optionDocument {
	d := optionDocument{
		Id:               o.ID,
		Type:             "ElasticContainerRegistry",
		SourceId:         o.SourceID,
		Title:            o.Title,
		ShortDescription: o.Description,
		Compatibility:    compatibilityDocument{AWSServices: o.CompatibleServices},
		Instructions:     instructionsDocument{Usage: o.UsageInstructions},
		Recommendations:  recommendationsDocument{AdditionalArtifacts: []string{}},
		Visibility:       o.Visibility,
	}
	for _, resource := range o.DeploymentResources {
		d.Recommendations.DeploymentResources = append(d.Recommendations.DeploymentResources, resourceDocument{Text: resource.Name, Url: resource.Url})
	}
	if o.AddOn != nil {
		d.Type = "EksAddOn"
		d.Compatibility.KubernetesVersions, d.Compatibility.Architectures = o.AddOn.KubernetesVersions, o.AddOn.Architectures
		d.AddOnName, d.AddOnVersion, d.AddOnType = o.AddOn.Name, o.AddOn.Version, o.AddOn.Type
		d.DisplayAddOnName, d.Namespace = o.AddOn.DisplayName, o.AddOn.Namespace
		d.EnvironmentOverrideParameters = append([]EnvironmentOverrideParameter{}, o.AddOn.Environment...)
	}
	if o.Helm != nil {
		d.Type = "Helm"
		d.QuickLaunchEnabled = &o.Helm.QuickLaunchEnabled
		d.ReleaseName = o.Helm.ReleaseName
		d.MarketplaceServiceAccountName = o.Helm.ServiceAccountName
		d.Namespace = o.Helm.Namespace
		d.OverrideParameters = []parameterDocument{}
		for _, parameter := range o.Helm.OverrideParameters {
			d.OverrideParameters = append(d.OverrideParameters, parameterDocument{Key: parameter.Key, Default: parameter.DefaultValue, Metadata: parameter.Metadata})
		}
	}
	return d
}

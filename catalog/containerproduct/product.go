package containerproduct

import (
	"maps"
	"slices"
	"strings"

	"souk/catalog/change"
	"souk/catalog/product"
)

// Product is the state of a container product as it is stored.
type Product struct {
	product.Facets
	Versions     []Version
	Repositories []Repository
}

// Version is a release of the software; its delivery options are the ways to get it.
type Version struct {
	ID              string // UUID
	Title           string
	ReleaseNotes    string
	Created         string // RFC 3339 with milliseconds, UTC
	DeliveryOptions []DeliveryOption
}

// DeliveryOption is one way to get a version. It is one of three kinds: an ECR
// option delivers container images, a Helm option (Helm is not nil) a chart
// that installs them, an Amazon EKS add-on (AddOn is not nil) a chart that EKS
// installs.
type DeliveryOption struct {
	ID                  string // UUID
	SourceID            string // UUID
	Title               string
	Description         string
	UsageInstructions   string
	Visibility          product.Visibility // Public, Limited or Restricted
	CompatibleServices  []string
	Images              []Image
	DeploymentResources []DeploymentResource `json:",omitempty"` // of an ECR option
	Helm                *Helm                `json:",omitempty"` // of a Helm option
	AddOn               *AddOn               `json:",omitempty"` // of an Amazon EKS add-on
}

// Helm is what a Helm option has beyond images.
type Helm struct {
	Chart              Image
	QuickLaunchEnabled bool
	ReleaseName        string
	Namespace          string
	ServiceAccountName string
	OverrideParameters []OverrideParameter
}

// Image is an image or a chart, as the seller named it and pinned to what the
// name meant when the change was prepared.
type Image struct {
	URI    string // shown as it was written
	Digest string // sha256:...; "" until its change is applied
}

// Repository is a repository of Souk's registry that belongs to the product.
type Repository struct {
	Name string // NAMESPACE/NAME
}

// uris returns the URIs of images.
func uris(images []Image) []string {
	var list []string
	for _, image := range images {
		list = append(list, image.URI)
	}
	return list
}

// Artifacts returns all that an option delivers: its images, and its chart.
func (o *DeliveryOption) Artifacts() []Image {
	if chart := o.chart(); chart != nil {
		return append(slices.Clone(o.Images), *chart)
	}
	return o.Images
}

// chart returns the chart of a Helm option or an add-on, nil of an ECR option.
func (o *DeliveryOption) chart() *Image {
	switch {
	case o.Helm != nil:
		return &o.Helm.Chart
	case o.AddOn != nil:
		return &o.AddOn.Chart
	}
	return nil
}

// kind names the details that an option is made and updated with.
func (o *DeliveryOption) kind() string {
	switch {
	case o.Helm != nil:
		return "HelmDeliveryOptionDetails"
	case o.AddOn != nil:
		return "EksAddOnDeliveryOptionDetails"
	}
	return "EcrDeliveryOptionDetails"
}

// find returns the delivery option with an id and its version, or nil.
func (p *Product) find(id string) (*Version, *DeliveryOption) {
	for v := range p.Versions {
		version := &p.Versions[v]
		for o := range version.DeliveryOptions {
			if version.DeliveryOptions[o].ID == id {
				return version, &version.DeliveryOptions[o]
			}
		}
	}
	return nil, nil
}

// visibilities are those of all delivery options, by their ids.
func (p *Product) visibilities() map[string]product.Visibility {
	all := map[string]product.Visibility{}
	for _, version := range p.Versions {
		for _, option := range version.DeliveryOptions {
			all[option.ID] = option.Visibility
		}
	}
	return all
}

// hasVersionTitle says whether a version other than the one given has a title.
func (p *Product) hasVersionTitle(title string, other *Version) bool {
	for i := range p.Versions {
		if p.Versions[i].Title == title && &p.Versions[i] != other {
			return true
		}
	}
	return false
}

// options returns copies of all delivery options.
func (p *Product) options() []DeliveryOption {
	var all []DeliveryOption
	for _, version := range p.Versions {
		all = append(all, version.DeliveryOptions...)
	}
	return all
}

// overrideKeys returns the keys of the chart's values that an option sets.
func (o *DeliveryOption) overrideKeys() []string {
	var keys []string
	if o.Helm != nil {
		for _, parameter := range o.Helm.OverrideParameters {
			keys = append(keys, parameter.Key)
		}
	}
	if o.AddOn != nil {
		for _, parameter := range o.AddOn.Environment {
			keys = append(keys, parameter.Key)
		}
	}
	return keys
}

// compatibleAWSServices is the field of a Listing that ContainerProductSort names.
const compatibleAWSServices = "CompatibleAWSServices"

// listing is what ListEntities shows of the product, and sorts it by: its
// services as one value, since nothing filters by one of them.
func (p *Product) listing() change.Listing {
	l := p.Listing()
	services := map[string]bool{}
	for _, option := range p.options() {
		for _, service := range option.CompatibleServices {
			services[service] = true
		}
	}
	if len(services) > 0 {
		l.Fields = map[string][]string{compatibleAWSServices: {strings.Join(slices.Sorted(maps.Keys(services)), ",")}}
	}
	return l
}

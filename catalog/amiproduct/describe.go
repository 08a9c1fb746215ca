package amiproduct

import (
	"slices"
	"strings"

	"souk/catalog/instancetype"
	"souk/catalog/product"
)

// The Type of sources and of delivery options.
const (
	amiType       = "AmazonMachineImage"
	componentType = "Ec2ImageBuilderComponent"
)

// document is the DetailsDocument that DescribeEntity shows: AWS's published
// shape AmiProductEntityDetail. Programs in production read members that are
// empty, so lists are [] and never null.
type document struct {
	Versions             []versionDocument
	Description          product.Description
	PromotionalResources product.PromotionalResources
	SupportInformation   product.SupportInformation
	RegionAvailability   product.RegionAvailability
	Dimensions           []product.Dimension
	Targeting            *product.Targeting `json:",omitempty"`
	Compatibility        Compatibility
}

type versionDocument struct {
	Id                  string
	ReleaseNotes        string
	UpgradeInstructions string // no change type sets it: always N/A, as for containers
	VersionTitle        string
	CreationDate        string
	Sources             []any // sourceDocument, componentDocument
	DeliveryOptions     []optionDocument
	DeliveryMethods     []optionDocument // the same in the older spelling, which publishing programs read
}

type sourceDocument struct {
	Type               string
	Id                 string
	Image              string // ami-...
	Architecture       string
	VirtualizationType string
	OperatingSystem    OperatingSystem
	Compatibility      Compatibility
}

// componentDocument is our own form: the published shape knows AMIs alone.
type componentDocument struct {
	Type                string
	Id                  string
	ComponentArn        string
	ComponentName       string
	ComponentVersion    string
	SupportedOsVersions []string
}

type optionDocument struct {
	Id string
	// FulfillmentOptionId is the id for StartBuild; of options with a component alone.
	FulfillmentOptionId string `json:",omitempty"`
	Type                string
	SourceId            string
	Title               string
	ShortDescription    string // an AMI option has none
	LongDescription     string // an AMI option has none
	Instructions        instructionsDocument
	Recommendations     recommendationsDocument
	Visibility          product.Visibility
	AmiAlias            string `json:",omitempty"` // by which instances may be started without an AMI's id
}

type instructionsDocument struct {
	Usage  string
	Access *accessDocument `json:",omitempty"`
}

type accessDocument struct {
	Type         string // always Endpoint
	Port         int
	Protocol     string
	RelativePath string
}

type recommendationsDocument struct {
	InstanceType   string
	SecurityGroups []groupDocument
}

type groupDocument struct {
	Protocol string
	FromPort int
	ToPort   int
	CidrIps  []string
}

// describe renders the product of an id.
func (p *Product) describe(id string) document {
	d := document{
		Versions:             []versionDocument{},
		Description:          p.Description,
		PromotionalResources: p.PromotionalResources,
		SupportInformation:   p.SupportInformation,
		RegionAvailability:   p.RegionAvailability,
		Dimensions:           append([]product.Dimension{}, p.Dimensions...),
		Targeting:            p.Targeting,
		Compatibility:        p.Compatibility,
	}
	for _, version := range p.Versions {
		d.Versions = append(d.Versions, version.describe(id, p.Compatibility))
	}
	return d
}

func (v *Version) describe(product string, compatibility Compatibility) versionDocument {
	d := versionDocument{
		Id:                  v.ID,
		ReleaseNotes:        v.ReleaseNotes,
		UpgradeInstructions: "N/A",
		VersionTitle:        v.Title,
		CreationDate:        v.Created,
		Sources:             []any{},
		DeliveryOptions:     []optionDocument{},
	}
	for _, source := range v.Sources {
		d.Sources = append(d.Sources, source.describe(compatibility))
	}
	for _, component := range v.Components {
		d.Sources = append(d.Sources, component.describe())
	}
	for _, option := range v.DeliveryOptions {
		shown := option.describe(alias(product, v.Title))
		if v.component(&option) != nil {
			shown.Type, shown.AmiAlias = componentType, ""
		}
		d.DeliveryOptions = append(d.DeliveryOptions, shown)
	}
	d.DeliveryMethods = d.DeliveryOptions
	return d
}

// describe shows of the product's instance types those that the source's AMI is
// made for: others may have been restricted before it came.
func (s *Source) describe(compatibility Compatibility) sourceDocument {
	other := func(name string) bool {
		t, ok := instancetype.Find(name)
		return ok && !slices.Contains(t.Architectures, s.Architecture)
	}
	return sourceDocument{
		Type:               amiType,
		Id:                 s.ID,
		Image:              s.AMI,
		Architecture:       s.Architecture,
		VirtualizationType: s.VirtualizationType,
		OperatingSystem:    s.OperatingSystem,
		Compatibility: Compatibility{
			AvailableInstanceTypes:  slices.DeleteFunc(append([]string{}, compatibility.AvailableInstanceTypes...), other),
			RestrictedInstanceTypes: slices.DeleteFunc(append([]string{}, compatibility.RestrictedInstanceTypes...), other),
		},
	}
}

func (c *Component) describe() componentDocument {
	return componentDocument{
		Type: componentType, Id: c.ID, ComponentArn: c.ARN, ComponentName: c.Name, ComponentVersion: c.Version,
		SupportedOsVersions: append([]string{}, c.SupportedOSVersions...),
	}
}

func (o *DeliveryOption) describe(alias string) optionDocument {
	d := optionDocument{
		Id: o.ID, FulfillmentOptionId: o.FulfillmentOptionID,
		Type:            amiType,
		SourceId:        o.SourceID,
		Title:           o.Title,
		Instructions:    instructionsDocument{Usage: o.UsageInstructions},
		Recommendations: recommendationsDocument{InstanceType: o.RecommendedInstanceType, SecurityGroups: []groupDocument{}},
		Visibility:      o.Visibility,
		AmiAlias:        alias,
	}
	if o.Access != nil {
		d.Instructions.Access = &accessDocument{Type: "Endpoint", Port: o.Access.Port, Protocol: o.Access.Protocol, RelativePath: o.Access.RelativePath}
	}
	for _, group := range o.SecurityGroups {
		d.Recommendations.SecurityGroups = append(d.Recommendations.SecurityGroups, groupDocument{Protocol: group.IpProtocol, FromPort: group.FromPort, ToPort: group.ToPort, CidrIps: append([]string{}, group.IpRanges...)})
	}
	return d
}

// alias is a version's name among the public parameters of AWS Systems Manager
// (Seller Guide, "Using AMI aliases"), in which only letters, digits and ._- may
// stand.
func alias(product, title string) string {
	return "/aws/service/marketplace/" + product + "/" + strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("._-", r):
			return r
		}
		return '-'
	}, title)
}

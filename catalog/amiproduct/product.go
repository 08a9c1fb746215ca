package amiproduct

import (
	"slices"

	"souk/catalog/change"
	"souk/catalog/instancetype"
	"souk/catalog/product"
)

// Product is the state of an AMI product as it is stored.
type Product struct {
	product.Facets
	Versions      []Version
	Compatibility Compatibility
}

// Compatibility says on which instance types the product may be started. It is
// the same for all versions. Shown by DescribeEntity as it stands.
type Compatibility struct {
	AvailableInstanceTypes  []string
	RestrictedInstanceTypes []string // taken away from new subscribers
}

// Version is a release of the software.
type Version struct {
	ID              string // UUID
	Title           string
	ReleaseNotes    string
	Created         string // RFC 3339 with milliseconds, UTC
	Sources         []Source
	Components      []Component `json:",omitempty"`
	DeliveryOptions []DeliveryOption
}

// Source is the AMI of a version: the seller's id of it, and the copy that it
// was pinned to when the version was added.
type Source struct {
	ID                 string // UUID
	AMI                string // ami-...
	Digest             string // sha256:..., of the copy's manifest
	Architecture       string // x86_64 or arm64
	VirtualizationType string // hvm
	EnaSupport         bool
	Platform           string // as the AMI's own os-release says; "" if it has none
	AccessRoleArn      string
	OperatingSystem    OperatingSystem
}

// OperatingSystem is what the seller says of the AMI's system. Shown by
// DescribeEntity as it stands.
type OperatingSystem struct {
	Name         string
	Version      string
	Username     string // who logs in
	ScanningPort int    // SSH or RDP
}

// DeliveryOption is a way to get a version: starting its AMI, or having a
// component installed on an image of one's own.
type DeliveryOption struct {
	ID       string // UUID
	SourceID string // of the Source or the Component
	// FulfillmentOptionID (fo-...) is the id by which the Image Build Service
	// knows an option with a component; "" of an AMI option.
	FulfillmentOptionID     string `json:",omitempty"`
	Title                   string // such as (x86_64) Amazon Machine Image
	UsageInstructions       string
	Access                  *Endpoint `json:",omitempty"` // nil if nothing listens
	RecommendedInstanceType string
	SecurityGroups          []SecurityGroup
	Visibility              product.Visibility // Public or Restricted
}

// Endpoint is where the software is reached once it runs.
type Endpoint struct {
	Port         int
	Protocol     string // http or https
	RelativePath string // without slash at its beginning
}

// SecurityGroup is an ingress rule of the groups that are made for the version.
type SecurityGroup struct {
	IpProtocol string   // "The protocol to use (tcp or udp)."
	FromPort   int      // "The source port."
	ToPort     int      // "The destination port."
	IpRanges   []string // "IP ranges to allow, in CIDR format". 1 to 5.
}

// listing is that of all products, with the names of components.
func (p *Product) listing() change.Listing {
	l := p.Facets.Listing()
	if arns, _ := p.installers(); len(arns) > 0 {
		var names []string
		for _, arn := range arns {
			names = union(names, []string{nameInARN(arn)})
		}
		l.Fields = map[string][]string{ComponentName: names}
	}
	return l
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

// source returns the source of an option, nil if it has none.
func (v *Version) source(o *DeliveryOption) *Source {
	i := slices.IndexFunc(v.Sources, func(s Source) bool { return s.ID == o.SourceID })
	if i < 0 {
		return nil
	}
	return &v.Sources[i]
}

// component returns the component of an option, nil of an AMI option.
func (v *Version) component(o *DeliveryOption) *Component {
	i := slices.IndexFunc(v.Components, func(c Component) bool { return c.ID == o.SourceID })
	if i < 0 {
		return nil
	}
	return &v.Components[i]
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

// architecture returns the one architecture of the product's AMIs, "" before
// there is a version.
func (p *Product) architecture() string {
	for _, version := range p.Versions {
		for _, source := range version.Sources {
			return source.Architecture
		}
	}
	return ""
}

// available says whether buyers may start the product on an instance type.
// Before a type was chosen, all are: the first version brings the one that it
// recommends.
func (c *Compatibility) available(name string) bool {
	return len(c.AvailableInstanceTypes) == 0 || slices.Contains(c.AvailableInstanceTypes, name)
}

// beside returns the instance types that a version which recommends a type has
// to run on.
func (c *Compatibility) beside(recommended string) []string {
	if recommended == "" || slices.Contains(c.AvailableInstanceTypes, recommended) {
		return c.AvailableInstanceTypes
	}
	return append(slices.Clone(c.AvailableInstanceTypes), recommended)
}

// unfit returns those of the instance types that fit does not hold for. Types
// that are in no table are left out: they have a refusal of their own.
func unfit(names []string, fit func(t instancetype.Type) bool) []string {
	var offenders []string
	for _, name := range names {
		if t, ok := instancetype.Find(name); ok && !fit(t) {
			offenders = append(offenders, name)
		}
	}
	return offenders
}

// unknownTypes returns the names that no instance type has.
func unknownTypes(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		_, ok := instancetype.Find(name)
		return ok
	})
}

// without returns a list without the values of another; never nil.
func without(list, gone []string) []string {
	left := []string{}
	for _, value := range list {
		if !slices.Contains(gone, value) {
			left = append(left, value)
		}
	}
	return left
}

// union returns a list and behind it those of more that it lacks; never nil.
func union(list, more []string) []string {
	all := append([]string{}, list...)
	for _, value := range more {
		if !slices.Contains(all, value) {
			all = append(all, value)
		}
	}
	return all
}

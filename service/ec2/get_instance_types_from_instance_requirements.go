package ec2

import (
	"context"
	"slices"

	"souk/catalog/instancetype"
	"souk/gateway"
	"souk/gateway/apierror"
	"souk/gateway/ec2query"
)

// GetInstanceTypesFromInstanceRequirementsInput says what types are wanted.
type GetInstanceTypesFromInstanceRequirementsInput struct {
	ArchitectureTypes    []string              `query:"ArchitectureType" size:"0,3" memberenum:"i386,x86_64,arm64,x86_64_mac,arm64_mac"`
	VirtualizationTypes  []string              `query:"VirtualizationType" size:"0,2" memberenum:"hvm,paravirtual"`
	InstanceRequirements *InstanceRequirements `query:"InstanceRequirements"`
	MaxResults           *int                  `query:"MaxResults" range:"1,1000"`
	NextToken            string                `query:"NextToken"`
	DryRun               bool                  `query:"DryRun"`
}

// InstanceRequirements are attributes of types. Those about prices are not
// read: Souk sells no instances.
//
// Amazon EC2 API Reference, "InstanceRequirementsRequest".
type InstanceRequirements struct {
	VCpuCount               *Span     `query:"VCpuCount"`
	MemoryMiB               *Span     `query:"MemoryMiB"`
	MemoryGiBPerVCpu        *RealSpan `query:"MemoryGiBPerVCpu"`
	AcceleratorCount        *Span     `query:"AcceleratorCount"`
	CpuManufacturers        []string  `query:"CpuManufacturer" memberenum:"intel,amd,amazon-web-services,apple"`
	AllowedInstanceTypes    []string  `query:"AllowedInstanceType" size:"0,400" memberlen:"1,30"`
	ExcludedInstanceTypes   []string  `query:"ExcludedInstanceType" size:"0,400" memberlen:"1,30"`
	InstanceGenerations     []string  `query:"InstanceGeneration" memberenum:"current,previous"`
	BareMetal               string    `query:"BareMetal" enum:"included,required,excluded"`
	BurstablePerformance    string    `query:"BurstablePerformance" enum:"included,required,excluded"`
	LocalStorage            string    `query:"LocalStorage" enum:"included,required,excluded"`
	RequireHibernateSupport bool      `query:"RequireHibernateSupport"`

	// What the table of instance types does not have; refused where given.
	AcceleratorManufacturers   []string  `query:"AcceleratorManufacturer"`
	AcceleratorNames           []string  `query:"AcceleratorName"`
	AcceleratorTotalMemoryMiB  *Span     `query:"AcceleratorTotalMemoryMiB"`
	AcceleratorTypes           []string  `query:"AcceleratorType"`
	BaselineEbsBandwidthMbps   *Span     `query:"BaselineEbsBandwidthMbps"`
	LocalStorageTypes          []string  `query:"LocalStorageType"`
	NetworkBandwidthGbps       *RealSpan `query:"NetworkBandwidthGbps"`
	NetworkInterfaceCount      *Span     `query:"NetworkInterfaceCount"`
	RequireEncryptionInTransit bool      `query:"RequireEncryptionInTransit"`
	TotalLocalStorageGB        *RealSpan `query:"TotalLocalStorageGB"`
}

// Span is a range of whole numbers; an end that is absent is open.
type Span struct {
	Min *int `query:"Min" range:"0,"`
	Max *int `query:"Max" range:"0,"`
}

// RealSpan is a range of numbers; an end that is absent is open.
type RealSpan struct {
	Min *float64 `query:"Min"`
	Max *float64 `query:"Max"`
}

// GetInstanceTypesFromInstanceRequirementsOutput has a page of types, in the
// order of their names.
type GetInstanceTypesFromInstanceRequirementsOutput struct {
	InstanceTypes ec2query.Set[InstanceTypeName] `xml:"instanceTypeSet"`
	NextToken     string                         `xml:"nextToken,omitempty"`
}

// InstanceTypeName is a type that has what was required.
type InstanceTypeName struct {
	InstanceType string `xml:"instanceType"`
}

// getInstanceTypesFromInstanceRequirements lists the types of the table that
// have all of some attributes, whatever the region.
//
// Amazon EC2 API Reference, "GetInstanceTypesFromInstanceRequirements".
func getInstanceTypesFromInstanceRequirements() gateway.Operation {
	type input = GetInstanceTypesFromInstanceRequirementsInput
	return action(gateway.Def[input, *GetInstanceTypesFromInstanceRequirementsOutput]{
		Name:      "GetInstanceTypesFromInstanceRequirements",
		ReadOnly:  true,
		Authorize: anywhere[input]("GetInstanceTypesFromInstanceRequirements"),
		Call: func(_ context.Context, _ *gateway.Caller, in *input) (*GetInstanceTypesFromInstanceRequirementsOutput, error) {
			if err := in.check(); err != nil {
				return nil, err
			}
			most := 1000
			if in.MaxResults != nil {
				most = *in.MaxResults
			}
			types, next, err := pageOfTypes(sortedTypes(in.wants), in.NextToken, most)
			if err != nil {
				return nil, err
			}
			out := &GetInstanceTypesFromInstanceRequirementsOutput{NextToken: next}
			for _, t := range types {
				out.InstanceTypes.Items = append(out.InstanceTypes.Items, InstanceTypeName{t.Name})
			}
			return out, nil
		},
	}, func(in *input) bool { return in.DryRun })
}

// check refuses requirements that are incomplete, that contradict each other or
// that nothing here can answer.
func (in *GetInstanceTypesFromInstanceRequirementsInput) check() error {
	r := in.InstanceRequirements
	if r == nil {
		r = new(InstanceRequirements)
	}
	for _, needed := range []struct {
		name  string
		given bool
	}{
		{"ArchitectureTypes", len(in.ArchitectureTypes) > 0},
		{"VirtualizationTypes", len(in.VirtualizationTypes) > 0},
		{"InstanceRequirements", in.InstanceRequirements != nil},
		{"VCpuCount", r.VCpuCount != nil && r.VCpuCount.Min != nil},
		{"MemoryMiB", r.MemoryMiB != nil && r.MemoryMiB.Min != nil},
	} {
		if err := required(needed.name, needed.given); err != nil {
			return err
		}
	}
	if len(r.AllowedInstanceTypes) > 0 && len(r.ExcludedInstanceTypes) > 0 {
		return apierror.New("InvalidParameterCombination", "You can't specify both AllowedInstanceTypes and ExcludedInstanceTypes")
	}
	for name, s := range map[string]*Span{"VCpuCount": r.VCpuCount, "MemoryMiB": r.MemoryMiB, "AcceleratorCount": r.AcceleratorCount} {
		if s != nil && s.Min != nil && s.Max != nil && *s.Min > *s.Max {
			return wrong("The minimum of %s, %d, is more than its maximum, %d", name, *s.Min, *s.Max)
		}
	}
	for _, unknown := range []struct {
		name  string
		given bool
	}{
		{"AcceleratorManufacturers", len(r.AcceleratorManufacturers) > 0},
		{"AcceleratorNames", len(r.AcceleratorNames) > 0},
		{"AcceleratorTotalMemoryMiB", r.AcceleratorTotalMemoryMiB != nil},
		{"AcceleratorTypes", len(r.AcceleratorTypes) > 0},
		{"BaselineEbsBandwidthMbps", r.BaselineEbsBandwidthMbps != nil},
		{"LocalStorageTypes", len(r.LocalStorageTypes) > 0},
		{"NetworkBandwidthGbps", r.NetworkBandwidthGbps != nil},
		{"NetworkInterfaceCount", r.NetworkInterfaceCount != nil},
		{"RequireEncryptionInTransit", r.RequireEncryptionInTransit},
		{"TotalLocalStorageGB", r.TotalLocalStorageGB != nil},
	} {
		if unknown.given {
			return apierror.New("UnsupportedOperation", "The requirement %s is not supported by this endpoint: its table of instance types does not have that attribute", unknown.name)
		}
	}
	return nil
}

// wants says whether a type has all that is required. Of attributes that are
// not given the documented defaults hold.
func (in *GetInstanceTypesFromInstanceRequirementsInput) wants(t instancetype.Type) bool {
	r := in.InstanceRequirements
	perCPU := float64(t.MemoryMiB) / 1024 / float64(t.VCPU)
	named := func(pattern string) bool { return matches(pattern, t.Name) }
	generation := "previous"
	if t.Current {
		generation = "current"
	}
	return overlap(in.ArchitectureTypes, t.Architectures) && overlap(in.VirtualizationTypes, t.Virtualization) &&
		r.VCpuCount.has(t.VCPU) && r.MemoryMiB.has(t.MemoryMiB) && r.AcceleratorCount.has(t.Accelerators) && r.MemoryGiBPerVCpu.has(perCPU) &&
		(len(r.CpuManufacturers) == 0 || slices.Contains(r.CpuManufacturers, t.Manufacturer)) &&
		(len(r.AllowedInstanceTypes) == 0 || slices.ContainsFunc(r.AllowedInstanceTypes, named)) &&
		!slices.ContainsFunc(r.ExcludedInstanceTypes, named) &&
		(len(r.InstanceGenerations) == 0 || slices.Contains(r.InstanceGenerations, generation)) &&
		admits(r.BareMetal, "excluded", t.BareMetal) &&
		admits(r.BurstablePerformance, "excluded", t.Burstable) &&
		admits(r.LocalStorage, "included", t.LocalStorage) &&
		(!r.RequireHibernateSupport || t.Hibernates)
}

// has says whether a number is in the range; a nil one has all.
func (s *Span) has(n int) bool {
	return s == nil || (s.Min == nil || n >= *s.Min) && (s.Max == nil || n <= *s.Max)
}

func (s *RealSpan) has(n float64) bool {
	return s == nil || (s.Min == nil || n >= *s.Min) && (s.Max == nil || n <= *s.Max)
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(x string) bool { return slices.Contains(b, x) })
}

// admits says whether a type that has a property, or has not, is wanted.
func admits(wish, otherwise string, has bool) bool {
	if wish == "" {
		wish = otherwise
	}
	switch wish {
	case "required":
		return has
	case "excluded":
		return !has
	}
	return true
}

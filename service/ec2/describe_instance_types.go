package ec2

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"souk/catalog/instancetype"
	"souk/gateway"
	"souk/gateway/apierror"
	"souk/gateway/ec2query"
)

// DescribeInstanceTypesInput names types, or none for all.
type DescribeInstanceTypesInput struct {
	InstanceTypes []string `query:"InstanceType" size:"0,100"`
	Filters       []Filter `query:"Filter"`
	MaxResults    *int     `query:"MaxResults" range:"5,100"`
	NextToken     string   `query:"NextToken"`
	DryRun        bool     `query:"DryRun"`
}

// DescribeInstanceTypesOutput has a page of types, in the order of their names.
type DescribeInstanceTypesOutput struct {
	InstanceTypes ec2query.Set[InstanceTypeInfo] `xml:"instanceTypeSet"`
	NextToken     string                         `xml:"nextToken,omitempty"`
}

// InstanceTypeInfo is what the table of instance types has of a type.
//
// Amazon EC2 API Reference, "InstanceTypeInfo".
type InstanceTypeInfo struct {
	InstanceType                  string               `xml:"instanceType"`
	CurrentGeneration             bool                 `xml:"currentGeneration"`
	SupportedRootDeviceTypes      ec2query.Set[string] `xml:"supportedRootDeviceTypes"`
	SupportedVirtualizationTypes  ec2query.Set[string] `xml:"supportedVirtualizationTypes"`
	BareMetal                     bool                 `xml:"bareMetal"`
	Hypervisor                    string               `xml:"hypervisor,omitempty"`
	SupportedArchitectures        ec2query.Set[string] `xml:"processorInfo>supportedArchitectures"`
	Manufacturer                  string               `xml:"processorInfo>manufacturer"`
	DefaultVCpus                  int                  `xml:"vCpuInfo>defaultVCpus"`
	SizeInMiB                     int                  `xml:"memoryInfo>sizeInMiB"`
	InstanceStorageSupported      bool                 `xml:"instanceStorageSupported"`
	EnaSupport                    string               `xml:"networkInfo>enaSupport"`
	HibernationSupported          bool                 `xml:"hibernationSupported"`
	BurstablePerformanceSupported bool                 `xml:"burstablePerformanceSupported"`
}

// infoOf shows a row of the table.
func infoOf(t instancetype.Type) InstanceTypeInfo {
	return InstanceTypeInfo{
		InstanceType:                  t.Name,
		CurrentGeneration:             t.Current,
		SupportedRootDeviceTypes:      ec2query.Set[string]{Items: t.RootDevices},
		SupportedVirtualizationTypes:  ec2query.Set[string]{Items: t.Virtualization},
		BareMetal:                     t.BareMetal,
		Hypervisor:                    t.Hypervisor,
		SupportedArchitectures:        ec2query.Set[string]{Items: t.Architectures},
		Manufacturer:                  makers[t.Manufacturer],
		DefaultVCpus:                  t.VCPU,
		SizeInMiB:                     t.MemoryMiB,
		InstanceStorageSupported:      t.LocalStorage,
		EnaSupport:                    t.ENA,
		HibernationSupported:          t.Hibernates,
		BurstablePerformanceSupported: t.Burstable,
	}
}

// makers of processors as ProcessorInfo spells them; requirements (and the
// table) have the other spelling.
var makers = map[string]string{"intel": "Intel", "amd": "AMD", "amazon-web-services": "AWS", "apple": "Apple"}

var instanceTypeFields = fields[instancetype.Type]{
	"bare-metal":                            func(t instancetype.Type) []string { return yesNo(t.BareMetal) },
	"burstable-performance-supported":       func(t instancetype.Type) []string { return yesNo(t.Burstable) },
	"current-generation":                    func(t instancetype.Type) []string { return yesNo(t.Current) },
	"hibernation-supported":                 func(t instancetype.Type) []string { return yesNo(t.Hibernates) },
	"hypervisor":                            func(t instancetype.Type) []string { return []string{t.Hypervisor} },
	"instance-storage-supported":            func(t instancetype.Type) []string { return yesNo(t.LocalStorage) },
	"instance-type":                         func(t instancetype.Type) []string { return []string{t.Name} },
	"memory-info.size-in-mib":               func(t instancetype.Type) []string { return []string{strconv.Itoa(t.MemoryMiB)} },
	"network-info.ena-support":              func(t instancetype.Type) []string { return []string{t.ENA} },
	"processor-info.supported-architecture": func(t instancetype.Type) []string { return t.Architectures },
	"supported-root-device-type":            func(t instancetype.Type) []string { return t.RootDevices },
	"supported-virtualization-type":         func(t instancetype.Type) []string { return t.Virtualization },
	"vcpu-info.default-vcpus":               func(t instancetype.Type) []string { return []string{strconv.Itoa(t.VCPU)} },
}

// describeInstanceTypes shows what the table of instance types has, whatever
// the region.
//
// Amazon EC2 API Reference, "DescribeInstanceTypes".
func describeInstanceTypes() gateway.Operation {
	return action(gateway.Def[DescribeInstanceTypesInput, *DescribeInstanceTypesOutput]{
		Name:      "DescribeInstanceTypes",
		ReadOnly:  true,
		Authorize: anywhere[DescribeInstanceTypesInput]("DescribeInstanceTypes"),
		Call: func(_ context.Context, _ *gateway.Caller, in *DescribeInstanceTypesInput) (*DescribeInstanceTypesOutput, error) {
			if err := instanceTypeFields.check(in.Filters); err != nil {
				return nil, err
			}
			if err := knownTypes(in.InstanceTypes); err != nil {
				return nil, err
			}
			types := sortedTypes(func(t instancetype.Type) bool {
				return (len(in.InstanceTypes) == 0 || slices.Contains(in.InstanceTypes, t.Name)) && instanceTypeFields.fit(in.Filters, t)
			})
			most := 100
			if in.MaxResults != nil {
				most = *in.MaxResults
			}
			types, next, err := pageOfTypes(types, in.NextToken, most)
			if err != nil {
				return nil, err
			}
			out := &DescribeInstanceTypesOutput{NextToken: next}
			for _, t := range types {
				out.InstanceTypes.Items = append(out.InstanceTypes.Items, infoOf(t))
			}
			return out, nil
		},
	}, func(in *DescribeInstanceTypesInput) bool { return in.DryRun })
}

// knownTypes refuses names of types that are none.
func knownTypes(names []string) error {
	var unknown []string
	for _, name := range names {
		if _, ok := instancetype.Find(name); !ok {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	return apierror.New("InvalidInstanceType", "The following supplied instance types do not exist: [%s]", strings.Join(unknown, ", "))
}

// sortedTypes are the types of the table that fit, in the order of their names.
func sortedTypes(fit func(instancetype.Type) bool) []instancetype.Type {
	list := slices.DeleteFunc(instancetype.All(), func(t instancetype.Type) bool { return !fit(t) })
	slices.SortFunc(list, func(a, b instancetype.Type) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

func pageOfTypes(list []instancetype.Type, token string, most int) ([]instancetype.Type, string, error) {
	return page(list, token, most,
		func(t instancetype.Type) string { return t.Name },
		func(t instancetype.Type, position string) bool { return t.Name > position })
}

package ec2_test

import "testing"

// FuzzRequests: whatever an action is given, the answer is XML and never blames
// the server.
func FuzzRequests(f *testing.F) {
	m := open(f)
	for _, form := range []string{
		"DescribeImages&Filter.1.Name=name&Filter.1.Value.1=%2A%5C", "DescribeImages&Filter.1.Name=tag%3Ax&Filter.1.Value.1=", "DescribeImages&Filter.1.Value.1=x",
		"DescribeImages&MaxResults=-1", "DescribeImages&MaxResults=99999999999999999999", "DescribeImages&NextToken=%00", "DescribeImages&NextToken=YW1pLTE",
		"DescribeImages&ImageId.1=ami-12345678", "DescribeImages&ImageId=ami-0123456789abcdef0", "DescribeImages&Owner.1=&ExecutableBy.1=", "DescribeImages&DryRun=maybe",
		"DescribeImages&Filter.1.Name=creation-date&Filter.1.Value.1=2026-%2A", "DescribeImageAttribute&ImageId=ami-0123456789abcdef0&Attribute=launchPermission",
		"RegisterImage&Name=%F0%9F%98%80&ImageLocation=%40", "RegisterImage&Name=web&ImageLocation=//@sha256:", "RegisterImage&Name=web&BlockDeviceMapping.1=x",
		"RegisterImage&Name=web&TagSpecification.1.Tag.1.Key=k&EnaSupport=1", "ModifyImageAttribute&ImageId=ami-0123456789abcdef0&LaunchPermission.Add.1=x",
		"ModifyImageAttribute&ImageId=ami-0123456789abcdef0&LaunchPermission=x&Description=y", "DeregisterImage", "DeregisterImage&ImageId=ami-0123456789abcdef0",
		"GetImageRepository&x=%ff", "DescribeRegions&RegionName.1=%3C", "DescribeInstanceTypes&InstanceType.1=%2A&NextToken=", "DescribeInstanceTypes&NextToken=YWZ0ZXIg",
		"GetInstanceTypesFromInstanceRequirements&InstanceRequirements.VCpuCount.Min=-1", "GetInstanceTypesFromInstanceRequirements&ArchitectureType.1=arm64" +
			"&VirtualizationType.1=hvm&InstanceRequirements.VCpuCount.Min=0&InstanceRequirements.MemoryMiB.Min=0&InstanceRequirements.MemoryGiBPerVCpu.Min=NaN&InstanceRequirements.ExcludedInstanceType.1=%2A%2A%2A%5C",
		"RunInstances", "", "DescribeImages&Action=DescribeRegions",
	} {
		f.Add(form)
	}
	f.Fuzz(func(t *testing.T, form string) {
		if a := m.ask(t, m.root, form); a.status >= 500 {
			t.Errorf("%q: %d %s", form, a.status, a.body)
		}
	})
}

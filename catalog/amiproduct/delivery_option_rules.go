package amiproduct

import (
	"net/netip"
	"strings"
	"unicode/utf8"

	"souk/catalog/change"
	"souk/catalog/instancetype"
	"souk/catalog/product"
)

// maxPort is the [max] of the page's messages.
const maxPort = 65535

// checkVersionTitle states the rules of a version's title.
func checkVersionTitle(c *change.Checks, title string) {
	c.Refuse(product.SpaceBeforeTrademark(title), "INVALID_VERSION_TITLE", "Remove spaces before the trademark symbol.")
	bad := product.UnsupportedInTitle(title)
	c.Refuse(len(bad) > 0, "INVALID_VERSION_TITLE", "Remove unsupported characters: [x, y, z]", bad)
	c.Refuse(product.SpaceAtBeginning(title), "INVALID_VERSION_TITLE", "Remove spaces from the beginning of the version title.")
	c.Refuse(utf8.RuneCountInString(title) > 64, "INVALID_VERSION_TITLE", "Provide version title with fewer than [x] characters.", 64)
}

// checkReleaseNotes states the rules of a version's notes.
func checkReleaseNotes(c *change.Checks, notes string) {
	c.Refuse(product.SpaceBeforeTrademark(notes), "INVALID_RELEASE_NOTES", "Remove spaces before the trademark symbol.")
	bad := product.Unsupported(notes)
	c.Refuse(len(bad) > 0, "INVALID_RELEASE_NOTES", "Remove unsupported characters: [x, y, z]", bad)
	c.Refuse(product.SpaceAtBeginning(notes), "INVALID_RELEASE_NOTES", "Remove spaces from the beginning of release notes.")
	c.Refuse(utf8.RuneCountInString(notes) > 30000, "INVALID_RELEASE_NOTES", "Provide release notes with fewer than (x) characters.", 30000)
}

// checkUsage states the rules of usage instructions. The third text is the
// page's own slip.
func checkUsage(c *change.Checks, usages []string) {
	var spaced, long bool
	for _, usage := range usages {
		spaced = spaced || product.SpaceAtBeginning(usage)
		long = long || utf8.RuneCountInString(usage) > 4000
	}
	c.Refuse(product.SpaceBeforeTrademark(usages...), "INVALID_USAGE_INSTRUCTIONS", "Remove spaces before the trademark symbol.")
	bad := product.Unsupported(usages...)
	c.Refuse(len(bad) > 0, "INVALID_USAGE_INSTRUCTIONS", "Remove unsupported characters: [x, y, z]", bad)
	c.Refuse(spaced, "INVALID_USAGE_INSTRUCTIONS", "Remove spaces from the beginning of release notes.")
	c.Refuse(long, "INVALID_USAGE_INSTRUCTIONS", "Provide usage instructions with fewer than (x) characters.", 4000)
}

// checkDetails states the rules of what is given of AMI options, for new
// options and updated ones alike, with the usage instructions of others.
func checkDetails(c *change.Checks, p *Product, given []*AmiDeliveryOptionDetails, usages ...string) {
	var unavailable, unknown change.Wrong
	for _, details := range given {
		usages = append(usages, details.UsageInstructions.Value)
		if name := details.RecommendedInstanceType.Value; name != "" {
			_, ok := instancetype.Find(name)
			unknown.If(!ok, "RecommendedInstanceType", name)
			unavailable.If(ok && !p.Compatibility.available(name), "RecommendedInstanceType", name)
		}
	}
	checkUsage(c, usages)
	c.Refuse(len(unavailable) > 0, "RECOMMENDED_INSTANCE_TYPE_NOT_AVAILABLE", "Provided, available instance type.", unavailable)
	c.Refuse(len(unknown) > 0, "INVALID_RECOMMENDED_INSTANCE_TYPE", "Provide a valid instance type.", unknown)
	checkSecurityGroups(c, given)
	checkEndpoints(c, given)
}

func checkSecurityGroups(c *change.Checks, given []*AmiDeliveryOptionDetails) {
	var ports, empty, order, protocol, malformed change.Wrong
	for _, details := range given {
		for _, group := range details.SecurityGroups.Value {
			ports.If(!isPort(group.FromPort), "FromPort", group.FromPort)
			ports.If(!isPort(group.ToPort), "ToPort", group.ToPort)
			empty.If(len(group.IpRanges) == 0, "IpRanges of the group from port", group.FromPort)
			order.If(group.FromPort > group.ToPort, "FromPort", group.FromPort)
			protocol.If(group.IpProtocol != "tcp" && group.IpProtocol != "udp", "IpProtocol", group.IpProtocol)
			for _, ipRange := range group.IpRanges {
				prefix, err := netip.ParsePrefix(ipRange)
				malformed.If(err != nil || !prefix.Addr().Is4(), "IpRanges", ipRange)
			}
		}
	}
	c.Refuse(len(ports) > 0, "INVALID_SECURITY_GROUP", "Security group ports must be between 1 and [max].", maxPort, ports)
	c.Refuse(len(empty) > 0, "INVALID_SECURITY_GROUP", "Provide a value for CIDR IP ranges.", empty)
	c.Refuse(len(order) > 0, "INVALID_SECURITY_GROUP", "Provide security group start port that is not greater than end port.", order)
	c.Refuse(len(protocol) > 0, "INVALID_SECURITY_GROUP_PROTOCOL", "Security group protocol must either be 'tcp' or 'udp'.", protocol)
	c.Refuse(len(malformed) > 0, "INVALID_CIDR_IP", "Provide standard CIDR IP range in form '0.0.0.0/0'.", malformed)
}

// checkEndpoints states the rules of endpoints. Of the three texts about ports,
// one is for those that are too high, one for those that are too low, and one
// for those that are not there.
func checkEndpoints(c *change.Checks, given []*AmiDeliveryOptionDetails) {
	var missing bool
	var high, low, spaces, slash change.Wrong
	for _, details := range given {
		endpoint := details.AccessEndpointUrl
		if !endpoint.Given || endpoint.Null {
			continue
		}
		port, path := endpoint.Value.Port, endpoint.Value.RelativePath
		missing = missing || port == nil
		if port != nil {
			high.If(*port > maxPort, "Port", *port)
			low.If(*port < 1, "Port", *port)
		}
		spaces.If(strings.ContainsAny(path, " \t\r\n\u00a0"), "RelativePath", path)
		slash.If(strings.HasPrefix(path, "/"), "RelativePath", path)
	}
	c.Refuse(len(high) > 0, "INVALID_ACCESS_ENDPOINT_PORT", "Provide endpoint port less than [x].", maxPort+1, high)
	c.Refuse(len(low) > 0, "INVALID_ACCESS_ENDPOINT_PORT", "Provide endpoint port between 1 and [max].", maxPort, low)
	c.Refuse(missing, "INVALID_ACCESS_ENDPOINT_PORT", "Provide endpoint port.")
	c.Refuse(len(spaces) > 0, "INVALID_ACCESS_ENDPOINT_RELATIVE_PATH", "Remove spaces in the relative path.", spaces)
	c.Refuse(len(slash) > 0, "INVALID_ACCESS_ENDPOINT_RELATIVE_PATH", "Remove preceding '/' from relative path.", slash)
}

// checkSource states what can be seen of an AMI's description alone, beside the
// instance types that the version has to run on.
func checkSource(c *change.Checks, s AmiSource, instanceTypes []string) {
	incompatible := incompatibleWith(s.OperatingSystemName, instanceTypes)
	c.Refuse(len(incompatible) > 0, "INCOMPATIBLE_OPERATING_SYSTEM", "Provide operating system name and version that is compatible with instance types: [x]", incompatible)
	c.Refuse(utf8.RuneCountInString(s.OperatingSystemName) > 100, "INCOMPATIBLE_OPERATING_SYSTEM_NAME", "Provide name with fewer than (x) characters.", 100)
	c.Refuse(!supportedSystem(s.OperatingSystemName), "INCOMPATIBLE_OPERATING_SYSTEM_NAME", "Provide supported operating system name that is supported.", change.In("OperatingSystemName", s.OperatingSystemName))
	c.Refuse(utf8.RuneCountInString(s.OperatingSystemVersion) > 100, "INCOMPATIBLE_OPERATING_SYSTEM_VERSION", "Provide version with fewer than (x) characters.", 100)
	c.Refuse(s.ScanningPort != nil && !isPort(*s.ScanningPort), "INVALID_SCANNING_PORT", "Provide scanning port between 1 and [max].", maxPort, scanningPort(s))
	c.Refuse(!amiID.MatchString(s.AmiId), "INVALID_AMI_ID", "Provide valid AMI ID.", change.In("AmiId", s.AmiId))
	c.Refuse(!roleARN().MatchString(s.AccessRoleArn), "INVALID_ARN", "Provide a valid ARN for AMI access.", change.In("AccessRoleArn", s.AccessRoleArn))
	c.Refuse(len(s.AfiIds) > 0, "INVALID_DETAILS", "Amazon FPGA images are not offered. Leave AfiIds out.")
}

func isPort(n int) bool { return n >= 1 && n <= maxPort }

// scanningPort shows the port of a source that has one.
func scanningPort(s AmiSource) change.Wrong {
	var wrong change.Wrong
	if s.ScanningPort != nil {
		wrong.If(true, "ScanningPort", *s.ScanningPort)
	}
	return wrong
}

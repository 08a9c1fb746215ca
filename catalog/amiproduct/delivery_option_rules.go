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
// options and updated ones alike.
func checkDetails(c *change.Checks, p *Product, given []*AmiDeliveryOptionDetails) {
	var usages []string
	var unavailable, unknown bool
	for _, details := range given {
		usages = append(usages, details.UsageInstructions.Value)
		if name := details.RecommendedInstanceType.Value; name != "" {
			_, ok := instancetype.Find(name)
			unknown = unknown || !ok
			unavailable = unavailable || ok && !p.Compatibility.available(name)
		}
	}
	checkUsage(c, usages)
	c.Refuse(unavailable, "RECOMMENDED_INSTANCE_TYPE_NOT_AVAILABLE", "Provided, available instance type.")
	c.Refuse(unknown, "INVALID_RECOMMENDED_INSTANCE_TYPE", "Provide a valid instance type.")
	checkSecurityGroups(c, given)
	checkEndpoints(c, given)
}

func checkSecurityGroups(c *change.Checks, given []*AmiDeliveryOptionDetails) {
	var ports, empty, order, protocol, malformed bool
	for _, details := range given {
		for _, group := range details.SecurityGroups.Value {
			ports = ports || !isPort(group.FromPort) || !isPort(group.ToPort)
			empty = empty || len(group.IpRanges) == 0
			order = order || group.FromPort > group.ToPort
			protocol = protocol || group.IpProtocol != "tcp" && group.IpProtocol != "udp"
			for _, ipRange := range group.IpRanges {
				prefix, err := netip.ParsePrefix(ipRange)
				malformed = malformed || err != nil || !prefix.Addr().Is4()
			}
		}
	}
	c.Refuse(ports, "INVALID_SECURITY_GROUP", "Security group ports must be between 1 and [max].", maxPort)
	c.Refuse(empty, "INVALID_SECURITY_GROUP", "Provide a value for CIDR IP ranges.")
	c.Refuse(order, "INVALID_SECURITY_GROUP", "Provide security group start port that is not greater than end port.")
	c.Refuse(protocol, "INVALID_SECURITY_GROUP_PROTOCOL", "Security group protocol must either be 'tcp' or 'udp'.")
	c.Refuse(malformed, "INVALID_CIDR_IP", "Provide standard CIDR IP range in form '0.0.0.0/0'.")
}

// checkEndpoints states the rules of endpoints. Of the three texts about ports,
// one is for those that are too high, one for those that are too low, and one
// for those that are not there.
func checkEndpoints(c *change.Checks, given []*AmiDeliveryOptionDetails) {
	var high, low, missing, spaces, slash bool
	for _, details := range given {
		endpoint := details.AccessEndpointUrl
		if !endpoint.Given || endpoint.Null {
			continue
		}
		port, path := endpoint.Value.Port, endpoint.Value.RelativePath
		missing = missing || port == nil
		high = high || port != nil && *port > maxPort
		low = low || port != nil && *port < 1
		spaces = spaces || strings.ContainsAny(path, " \t\r\n\u00a0")
		slash = slash || strings.HasPrefix(path, "/")
	}
	c.Refuse(high, "INVALID_ACCESS_ENDPOINT_PORT", "Provide endpoint port less than [x].", maxPort+1)
	c.Refuse(low, "INVALID_ACCESS_ENDPOINT_PORT", "Provide endpoint port between 1 and [max].", maxPort)
	c.Refuse(missing, "INVALID_ACCESS_ENDPOINT_PORT", "Provide endpoint port.")
	c.Refuse(spaces, "INVALID_ACCESS_ENDPOINT_RELATIVE_PATH", "Remove spaces in the relative path.")
	c.Refuse(slash, "INVALID_ACCESS_ENDPOINT_RELATIVE_PATH", "Remove preceding '/' from relative path.")
}

// checkSource states what can be seen of an AMI's description alone, beside the
// instance types that the version has to run on.
func checkSource(c *change.Checks, s AmiSource, instanceTypes []string) {
	incompatible := incompatibleWith(s.OperatingSystemName, instanceTypes)
	c.Refuse(len(incompatible) > 0, "INCOMPATIBLE_OPERATING_SYSTEM", "Provide operating system name and version that is compatible with instance types: [x]", incompatible)
	c.Refuse(utf8.RuneCountInString(s.OperatingSystemName) > 100, "INCOMPATIBLE_OPERATING_SYSTEM_NAME", "Provide name with fewer than (x) characters.", 100)
	c.Refuse(!supportedSystem(s.OperatingSystemName), "INCOMPATIBLE_OPERATING_SYSTEM_NAME", "Provide supported operating system name that is supported.")
	c.Refuse(utf8.RuneCountInString(s.OperatingSystemVersion) > 100, "INCOMPATIBLE_OPERATING_SYSTEM_VERSION", "Provide version with fewer than (x) characters.", 100)
	c.Refuse(s.ScanningPort != nil && !isPort(*s.ScanningPort), "INVALID_SCANNING_PORT", "Provide scanning port between 1 and [max].", maxPort)
	c.Refuse(!amiID.MatchString(s.AmiId), "INVALID_AMI_ID", "Provide valid AMI ID.")
	c.Refuse(!roleARN.MatchString(s.AccessRoleArn), "INVALID_ARN", "Provide a valid ARN for AMI access.")
	c.Refuse(len(s.AfiIds) > 0, "INVALID_DETAILS", "Amazon FPGA images are not offered. Leave AfiIds out.")
}

func isPort(n int) bool { return n >= 1 && n <= maxPort }

package amiproduct

import (
	_ "embed"
	"slices"
	"strings"

	"souk/catalog/instancetype"
)

//go:embed operating_systems.txt
var operatingSystems string

// systemName is a name as it is looked up: without spaces, in capitals.
func systemName(name string) string {
	return strings.ToUpper(strings.ReplaceAll(name, " ", ""))
}

// supportedSystem says whether a version may give an operating system's name.
func supportedSystem(name string) bool {
	name = systemName(name)
	for line := range strings.Lines(operatingSystems) {
		if line = strings.TrimSpace(line); line == name && line != "" && !strings.HasPrefix(line, "#") {
			return true
		}
	}
	return false
}

// incompatibleWith returns those of the instance types that an operating system
// is not made for: Windows Server runs on x86_64 alone.
//
// Amazon EC2 User Guide, "Windows instances: instance types".
func incompatibleWith(system string, instanceTypes []string) []string {
	if systemName(system) != "WINDOWS" {
		return nil
	}
	return unfit(instanceTypes, func(t instancetype.Type) bool { return slices.Contains(t.Architectures, "x86_64") })
}

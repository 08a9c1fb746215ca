package inventory

import (
	"strconv"
	"strings"
)

// Release is the distribution that a root file system is of, from its os-release.
type Release struct {
	ID      string // debian
	Version string // 12; "" for distributions that have none
	Name    string // Debian GNU/Linux 12 (bookworm)
}

// IsRelease says whether a file is os-release. The one in /etc comes first, and
// is a link to the other on most systems.
func IsRelease(name string) bool { return name == "etc/os-release" || name == "usr/lib/os-release" }

// ReadRelease reads an os-release file.
//
// os-release(5).
func ReadRelease(file []byte) Release {
	var r Release
	for line := range lines(file) {
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			continue
		}
		value = strings.TrimSpace(value)
		if len(value) >= 2 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
			value = value[1 : len(value)-1]
		}
		if len(value) > 200 {
			value = value[:200]
		}
		switch strings.TrimSpace(name) {
		case "ID":
			r.ID = word(strings.ToLower(value))
		case "VERSION_ID":
			r.Version = word(value)
		case "PRETTY_NAME":
			r.Name = strings.ToValidUTF8(value, "")
		}
	}
	return r
}

// word returns a value that has only the characters that os-release(5) allows
// for it, else "".
func word(value string) string {
	for _, c := range value {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-') {
			return ""
		}
	}
	return value
}

// String is the name that people know the release by.
func (r Release) String() string {
	if r.Name != "" {
		return r.Name
	}
	return strings.TrimSpace(r.ID + " " + r.Version)
}

// Ecosystem is the release as OSV names it, "" if it names none for it.
//
// ossf.github.io/osv-schema, "Defined Ecosystems".
func (r Release) Ecosystem() string {
	major, rest, _ := strings.Cut(r.Version, ".")
	switch r.ID {
	case "debian":
		if major != "" {
			return "Debian:" + major
		}
	case "ubuntu":
		year, err := strconv.Atoi(major)
		if err == nil && year%2 == 0 && strings.HasPrefix(rest, "04") {
			return "Ubuntu:" + major + ".04:LTS"
		}
		if err == nil && rest != "" {
			return "Ubuntu:" + r.Version
		}
	case "alpine":
		minor, _, _ := strings.Cut(rest, ".")
		if major != "" && minor != "" {
			return "Alpine:v" + major + "." + minor
		}
	case "wolfi":
		return "Wolfi"
	case "chainguard":
		return "Chainguard"
	}
	return ""
}

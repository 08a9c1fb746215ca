package scan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"souk/artifact/scan/advisory"
)

// Check is one thing that a scan looks for. Its name is the ControlId of an
// assessment and the key of an operator's policy.
type Check string

// Checks.
const (
	PackageVulnerabilities Check = "PackageVulnerabilities"
	AuthorizedKeys         Check = "AuthorizedKeys"   // authorized_keys with a key
	Passwords              Check = "Passwords"        // accounts with a password, or with an empty one
	PrivateKeys            Check = "PrivateKeys"      // in PEM form, in any file
	CloudKeys              Check = "CloudKeys"        // keys of clouds, code hosts and registries
	Malware                Check = "Malware"          // by hash and by content
	SSHPasswordLogin       Check = "SSHPasswordLogin" // sshd takes passwords
	SSHRootLogin           Check = "SSHRootLogin"     // sshd lets root log in by password
	EndOfLife              Check = "EndOfLife"        // the distribution gets no fixes any more
	RootUser               Check = "RootUser"         // a container runs as root
	Layers                 Check = "Layers"           // layers that no honest image has
)

// Checks of an AMI and of a container image, in the order of an assessment.
var (
	amiChecks       = []Check{PackageVulnerabilities, AuthorizedKeys, Passwords, PrivateKeys, CloudKeys, Malware, SSHPasswordLogin, SSHRootLogin, EndOfLife, Layers}
	containerChecks = append(slices.Clone(amiChecks), RootUser)
)

// secret marks the checks whose findings are secrets.
var secretChecks = []Check{AuthorizedKeys, Passwords, PrivateKeys, CloudKeys}

// Finding is one thing that a scan found.
type Finding struct {
	Check    Check
	Code     string // such as VULNERABLE_PACKAGE
	Message  string // a sentence for people; it never holds the secret itself
	Severity advisory.Severity
	// Of vulnerable packages.
	Package  string   `json:",omitzero"`
	Source   string   `json:",omitzero"` // the source package, by which advisories of distributions name it
	Version  string   `json:",omitzero"`
	Fixed    string   `json:",omitzero"` // "" if no version mends it
	Advisory string   `json:",omitzero"`
	Aliases  []string `json:",omitzero"` // other ids of the advisory
	// Where it is.
	Layer    string `json:",omitzero"` // digest
	Path     string `json:",omitzero"` // relative to the root
	Platform string `json:",omitzero"` // of an image for several
}

// Outcome is what a policy makes of a finding.
type Outcome string

// Outcomes.
const (
	Refused  Outcome = "REFUSED"
	Warned   Outcome = "WARNING"
	Excepted Outcome = "EXCEPTION"
)

// Judged is a finding with what the operator's policy says of it.
type Judged struct {
	Finding
	Outcome Outcome
	Reason  string // of the exception
}

// Words is the finding in a line, for an error message.
func (f Finding) Words() string {
	if f.Check == PackageVulnerabilities && f.Advisory != "" {
		fix := "not fixed yet"
		if f.Fixed != "" {
			fix = "fixed in " + f.Fixed
		}
		return fmt.Sprintf("%s (%s) in %s %s, %s", f.Advisory, f.Severity, f.Package, f.Version, fix)
	}
	text, _, _ := strings.Cut(f.Message, ". ") // what to do about it stands in the report
	return strings.TrimSuffix(text, ".")
}

// byGravity puts what refuses first, then the graver, then by place.
func byGravity(a, b Judged) int {
	return cmp.Or(
		cmp.Compare(rank(a.Outcome), rank(b.Outcome)),
		-cmp.Compare(a.Severity, b.Severity),
		cmp.Compare(a.Check, b.Check), cmp.Compare(a.Package, b.Package), cmp.Compare(a.Advisory, b.Advisory),
		cmp.Compare(a.Path, b.Path), cmp.Compare(a.Platform, b.Platform), cmp.Compare(a.Message, b.Message),
	)
}

func rank(o Outcome) int { return slices.Index([]Outcome{Refused, Warned, Excepted}, o) }

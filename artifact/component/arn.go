package component

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// ARN is a parsed ARN of a component: of a build, of a version, or of the newest
// of several, with x in the places that are left open.
//
// EC2 Image Builder User Guide, "Semantic versioning in Image Builder".
type ARN struct {
	Region  string
	Account string // 12 digits, or aws for Amazon's own
	Name    string // in small letters
	Version string // 1.0.0, or with x in the places of some numbers
	Build   int    // 0: of the whole version
}

// Names have 128 characters at most, and numbers ten digits: so the ARN of what is
// there, or could be, is a key of the store.
var arnPattern = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^arn:aws[^:]*:imagebuilder:([a-z0-9-]{1,64}):([0-9]{12}|aws(?:-[a-z-]{1,32})?):component/([a-z0-9_-]{1,128})/((?:[0-9]{1,10}|x)\.(?:[0-9]{1,10}|x)\.(?:[0-9]{1,10}|x))(?:/([0-9]{1,9}))?$`)
})

// ParseARN reads an ARN; ok is false for what is none of a component's version.
func ParseARN(text string) (a ARN, ok bool) {
	m := arnPattern().FindStringSubmatch(text)
	if m == nil {
		return ARN{}, false
	}
	a = ARN{Region: m[1], Account: m[2], Name: m[3], Version: m[4]}
	if m[5] != "" {
		a.Build, _ = strconv.Atoi(m[5]) // the pattern has digits
		if a.Build == 0 || a.open() {
			return ARN{}, false
		}
	}
	return a, true
}

func (a ARN) String() string {
	s := a.version()
	if a.Build > 0 {
		s += "/" + strconv.Itoa(a.Build)
	}
	return s
}

// version is the ARN without its build.
func (a ARN) version() string {
	return "arn:aws:imagebuilder:" + a.Region + ":" + a.Account + ":component/" + a.Name + "/" + a.Version
}

// open says whether an x stands in the version.
func (a ARN) open() bool { return strings.Contains(a.Version, "x") }

// Slug is a component's name as its ARN has it: in small letters, with hyphens
// for spaces.
func Slug(name string) string { return strings.ReplaceAll(strings.ToLower(name), " ", "-") }

// maxNumber is the greatest number of a version: 2 to the power of 30, less one
// (EC2 Image Builder User Guide, "Semantic versioning in Image Builder").
const maxNumber = 1<<30 - 1

// number is a semantic version.
type number [3]int

// parseVersion reads a version number such as 1.0.0; ErrVersion.
func parseVersion(text string) (n number, err error) {
	parts := strings.Split(text, ".")
	if len(parts) != len(n) {
		return n, fmt.Errorf("%w: %q", ErrVersion, text)
	}
	for i, part := range parts {
		v, err := strconv.ParseUint(part, 10, 31)
		if err != nil || v > maxNumber || strconv.FormatUint(v, 10) != part {
			return n, fmt.Errorf("%w: %q", ErrVersion, text)
		}
		n[i] = int(v)
	}
	return n, nil
}

// fits says whether a version is one of those that a pattern such as 1.x.x means.
// What stands behind the first x is not looked at: 1.x.3 is 1.x.x.
func (n number) fits(pattern string) bool {
	for i, part := range strings.Split(pattern, ".") {
		if part == "x" {
			return true
		}
		if part != strconv.Itoa(n[i]) {
			return false
		}
	}
	return true
}

// sort is what versions of an account are listed by.
func sort(slug string, n number) string {
	return fmt.Sprintf("%s/%010d.%010d.%010d", slug, n[0], n[1], n[2])
}

// VersionFits says whether a version number is one of those that a pattern such
// as 1.x.x means.
func VersionFits(version, pattern string) bool {
	n, err := parseVersion(version)
	return err == nil && strings.Count(pattern, ".") == 2 && n.fits(pattern)
}

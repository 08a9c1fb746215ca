// Package version orders the versions of packages as their own package managers
// do: dpkg, apk and Go. Comparing fails for no text: where the manager would
// refuse a version, it still has its place in an order.
//
// It knows nothing of packages or advisories.
package version

import (
	"cmp"
	"strings"

	"golang.org/x/mod/semver"
)

// Order compares two versions: negative if a is older than b, 0 if they are
// equal, positive if a is newer.
type Order func(a, b string) int

// OrderOf returns the order of an ecosystem as OSV names it, such as Debian:12,
// Alpine:v3.20 or Go. It is nil for those that are not known here.
func OrderOf(ecosystem string) Order {
	system, _, _ := strings.Cut(ecosystem, ":")
	switch system {
	case "Debian", "Ubuntu":
		return Debian
	case "Alpine", "Wolfi", "Chainguard":
		return Alpine
	case "Go":
		return Go
	}
	return nil
}

// Debian is the order of `dpkg --compare-versions`.
//
// deb-version(7), "Sorting algorithm"; the same in Debian Policy 5.6.12.
func Debian(a, b string) int {
	epochA, a := cutEpoch(a)
	epochB, b := cutEpoch(b)
	if c := number(epochA, epochB); c != 0 {
		return c
	}
	upstreamA, revisionA := cutRevision(a)
	upstreamB, revisionB := cutRevision(b)
	return cmp.Or(debianPart(upstreamA, upstreamB), debianPart(revisionA, revisionB))
}

func cutEpoch(v string) (epoch, rest string) {
	v = strings.TrimSpace(v)
	if epoch, rest, ok := strings.Cut(v, ":"); ok {
		return strings.TrimPrefix(epoch, "+"), rest // dpkg reads it by strtol(3)
	}
	return "", v
}

func cutRevision(v string) (upstream, revision string) {
	if i := strings.LastIndexByte(v, '-'); i >= 0 {
		return v[:i], v[i+1:]
	}
	return v, ""
}

// debianPart compares parts by turns of other characters and of digits.
func debianPart(a, b string) int {
	for a != "" || b != "" {
		for a != "" && !isDigit(a[0]) || b != "" && !isDigit(b[0]) {
			if c := weight(a) - weight(b); c != 0 {
				return c
			}
			a, b = a[1:], b[1:] // equal weights other than 0: both have a character
		}
		digitsA, digitsB := digits(a), digits(b)
		if c := number(digitsA, digitsB); c != 0 {
			return c
		}
		a, b = a[len(digitsA):], b[len(digitsB):]
	}
	return 0
}

// weight is the place of a text's first character among those that are no
// digits: a tilde before the end, the end (and digits) before letters, letters
// before all others.
func weight(s string) int {
	switch {
	case s == "" || isDigit(s[0]):
		return 0
	case s[0] == '~':
		return -1
	case isLetter(s[0]):
		return int(s[0])
	}
	return int(s[0]) + 256
}

func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

// digits returns the digits that a text starts with.
func digits(s string) string {
	i := 0
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	return s[:i]
}

// number compares digits as numbers of any length.
func number(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

// Go is the order of module versions, and of Go's own releases in the form
// 1.22.3: semantic versions, with or without a v before them.
//
// go.dev/ref/mod, "Versions".
func Go(a, b string) int { return semver.Compare(withV(a), withV(b)) }

func withV(v string) string {
	if strings.HasPrefix(v, "v") {
		return v
	}
	return "v" + v
}

// GoRelease returns the semantic version of a release of Go itself: 1.22.3 of
// "go1.22.3 X:nocoverageredesign", 1.23.0-rc.1 of "go1.23rc1". ok is false for
// builds that are no release.
func GoRelease(runtimeVersion string) (v string, ok bool) {
	v, ok = strings.CutPrefix(runtimeVersion, "go")
	if !ok {
		return "", false
	}
	v, _, _ = strings.Cut(v, " ")
	v, _, _ = strings.Cut(v, "-") // of a vendor's build
	for _, pre := range []string{"rc", "beta"} {
		if i := strings.Index(v, pre); i > 0 {
			release, patch := v[:i], ".0" // 1.23rc1 comes before 1.23.0
			if strings.Count(release, ".") == 2 {
				patch = ""
			}
			v = release + patch + "-" + pre + "." + v[i+len(pre):]
		}
	}
	return v, semver.IsValid("v" + v)
}

package version

import (
	"cmp"
	"slices"
	"strings"
)

// What an apk version is made of, in the order in which it may come.
const (
	apkFirst    = iota // the first number
	apkNumber          // .2
	apkLetter          // b
	apkSuffix          // _rc
	apkSuffixNo        // 1 of _rc1
	apkCommit          // ~0a1b2c
	apkRelease         // -r3
	apkEnd
	apkInvalid
)

// Suffixes in their order. What comes before the empty one is older than the
// version without a suffix.
var (
	apkSuffixes = []string{"alpha", "beta", "pre", "rc", "", "cvs", "svn", "git", "hg", "p"}
	apkNone     = slices.Index(apkSuffixes, "")
)

// Alpine is the order of `apk version -t`: numbers and a letter, then suffixes
// such as _rc1 or _p2, a commit, and the release -r3.
//
// apk-package(5), "VERSIONS".
func Alpine(a, b string) int {
	x, y := apkVersion{rest: strings.TrimSpace(a)}, apkVersion{rest: strings.TrimSpace(b)}
	x.first()
	y.first()
	for x.token == y.token && x.token < apkEnd {
		if c := x.compare(&y); c != 0 {
			return c
		}
		x.next()
		y.next()
	}
	switch {
	case x.token == y.token:
		return cmp.Compare(x.rest, y.rest) // both at the end, or both invalid from here on
	case x.token == apkSuffix && x.suffix < apkNone:
		return -1
	case y.token == apkSuffix && y.suffix < apkNone:
		return 1
	}
	return -cmp.Compare(x.token, y.token) // the one that goes on longer is newer
}

// apkVersion is a version that is being read.
type apkVersion struct {
	rest   string // what follows the token
	token  int
	text   string // of the token, without its mark
	suffix int    // place among apkSuffixes
}

func (v *apkVersion) first() {
	v.take(apkFirst, digits(v.rest))
}

// take makes the first bytes of what is left the token; nothing is no token.
func (v *apkVersion) take(token int, text string) {
	if text == "" {
		v.token = apkInvalid
		return
	}
	v.token, v.text, v.rest = token, text, v.rest[len(text):]
}

// next reads the token that follows.
func (v *apkVersion) next() {
	if v.rest == "" {
		v.token = apkEnd
		return
	}
	was, c := v.token, v.rest[0]
	switch {
	case 'a' <= c && c <= 'z' && was <= apkNumber:
		v.take(apkLetter, v.rest[:1])
	case c == '.' && was <= apkNumber:
		v.rest = v.rest[1:]
		v.take(apkNumber, digits(v.rest))
	case c == '_' && was <= apkSuffixNo:
		v.rest = v.rest[1:]
		v.take(apkSuffix, prefix(v.rest, func(c byte) bool { return 'a' <= c && c <= 'z' }))
		v.suffix = slices.Index(apkSuffixes, v.text)
		if v.suffix < 0 {
			v.token = apkInvalid
		}
	case isDigit(c) && was == apkSuffix:
		v.take(apkSuffixNo, digits(v.rest))
	case c == '~' && was < apkCommit:
		v.rest = v.rest[1:]
		v.take(apkCommit, prefix(v.rest, func(c byte) bool { return isDigit(c) || 'a' <= c && c <= 'f' }))
	case strings.HasPrefix(v.rest, "-r") && was < apkRelease:
		v.rest = v.rest[2:]
		v.take(apkRelease, digits(v.rest))
	default:
		v.token = apkInvalid
	}
}

func prefix(s string, in func(byte) bool) string {
	i := 0
	for i < len(s) && in(s[i]) {
		i++
	}
	return s[:i]
}

// compare compares two tokens of one kind.
func (v *apkVersion) compare(w *apkVersion) int {
	switch v.token {
	case apkNumber:
		if v.text[0] == '0' || w.text[0] == '0' {
			return cmp.Compare(v.text, w.text) // digits behind a decimal point
		}
		return number(v.text, w.text)
	case apkSuffix:
		return cmp.Compare(v.suffix, w.suffix)
	case apkLetter, apkCommit:
		return cmp.Compare(v.text, w.text)
	}
	return number(v.text, w.text)
}

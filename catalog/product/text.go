package product

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// SpaceBeforeTrademark says whether a text has a space before a trademark
// symbol, as in "Souk ™".
func SpaceBeforeTrademark(texts ...string) bool {
	return slices.ContainsFunc(texts, func(text string) bool {
		previous := 'x'
		for _, r := range text {
			if strings.ContainsRune("™®℠", r) && unicode.IsSpace(previous) {
				return true
			}
			previous = r
		}
		return false
	})
}

// SpaceAtBeginning says whether a text begins with a space.
func SpaceAtBeginning(text string) bool {
	first, _ := utf8.DecodeRuneInString(text)
	return unicode.IsSpace(first)
}

// Unsupported returns the characters of texts that can't be shown to buyers,
// each once: control characters but tab and line ends, and those beyond the
// Basic Multilingual Plane. What has no shape is named as U+0007 is.
func Unsupported(texts ...string) []string { return unsupported("", texts) }

// UnsupportedInTitle is Unsupported for titles, which also have no <, > and \.
func UnsupportedInTitle(title string) []string { return unsupported(`<>\`, []string{title}) }

func unsupported(forbidden string, texts []string) []string {
	var found []string
	seen := map[rune]bool{}
	for _, text := range texts {
		for _, r := range text {
			control := unicode.IsControl(r) && r != '\t' && r != '\n' && r != '\r'
			if !control && r <= 0xFFFF && !strings.ContainsRune(forbidden, r) || seen[r] {
				continue
			}
			seen[r] = true
			name := string(r)
			if !unicode.IsPrint(r) {
				name = fmt.Sprintf("%U", r)
			}
			found = append(found, name)
		}
	}
	return found
}

// Repeated returns the values that stand in a list more than once, each once,
// in the order of their second appearance.
func Repeated(values []string) []string {
	var repeated []string
	seen := map[string]int{}
	for _, v := range values {
		seen[v]++
		if seen[v] == 2 {
			repeated = append(repeated, v)
		}
	}
	return repeated
}

// IsURL says whether a text is an address that a buyer's browser can follow:
// http or https, with a host, of at most 2,048 characters.
func IsURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != "" && len(text) <= 2048
}

// Limits collects the values of a request that are too long or too many, each
// as "ProductTitle has 73 characters of at most 72".
type Limits []string

// Characters notes a text of more than most characters.
func (l *Limits) Characters(name, text string, most int) {
	if n := utf8.RuneCountInString(text); n > most {
		*l = append(*l, fmt.Sprintf("%s has %d characters of at most %d", name, n, most))
	}
}

// Items notes a list of more than most items.
func (l *Limits) Items(name string, n, most int) {
	if n > most {
		*l = append(*l, fmt.Sprintf("%s has %d items of at most %d", name, n, most))
	}
}

// Missing collects what a Details document lacks, in the words of AWS's own
// schema errors: "JSON at /DeliveryOptions/0 is missing required properties: ['Id']".
type Missing []string

// Require notes those of the properties, given as name and value in turn, whose
// value is "".
func (m *Missing) Require(at string, properties ...string) {
	var names []string
	for i := 0; i+1 < len(properties); i += 2 {
		if properties[i+1] == "" {
			names = append(names, "'"+properties[i]+"'")
		}
	}
	if len(names) > 0 {
		*m = append(*m, "JSON at "+at+" is missing required properties: ["+strings.Join(names, ", ")+"]")
	}
}

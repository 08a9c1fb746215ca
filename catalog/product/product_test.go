package product

import (
	"slices"
	"strings"
	"testing"
)

func TestSpacesBeforeTrademarksAreFound(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"Souk ™": true, "Souk\u00a0®": true, "a\n℠": true, " ®": true,
		"Souk™": false, "®": false, "™ Souk": false, "Souk (TM)": false, "": false,
	} {
		if got := SpaceBeforeTrademark("fine", text); got != want {
			t.Errorf("SpaceBeforeTrademark(%q) = %t, want %t", text, got, want)
		}
	}
}

func TestUnsupportedCharactersAreNamedOnce(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"tab\tand\r\nlines": nil, "Größe, 市場, №": nil, "<b>": nil, "": nil,
		"\x00\x1b\x00":             {"U+0000", "U+001B"},
		"\u0085":                   {"U+0085"},
		"😀 and 😀 and 𝕊":            {"😀", "𝕊"},
		"\U000e0001":               {"U+E0001"},
		strings.Repeat("\x07", 99): {"U+0007"},
	} {
		if got := Unsupported(text); !slices.Equal(got, want) {
			t.Errorf("Unsupported(%q) = %q, want %q", text, got, want)
		}
	}
	if got := UnsupportedInTitle(`<a\b>`); !slices.Equal(got, []string{"<", `\`, ">"}) {
		t.Errorf("a title's unsupported characters are %q", got)
	}
}

func TestRepeatedNamesEachValueOnce(t *testing.T) {
	t.Parallel()
	if got := Repeated([]string{"a", "b", "a", "c", "b", "a"}); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("Repeated = %q", got)
	}
}

func TestLimitsCountCharactersNotBytes(t *testing.T) {
	t.Parallel()
	var l Limits
	l.Characters("Title", strings.Repeat("ü", 72), 72)
	l.Items("List", 3, 3)
	if len(l) > 0 {
		t.Errorf("within the limits, got %q", l)
	}
	l.Characters("Title", strings.Repeat("ü", 73), 72)
	if want := "Title has 73 characters of at most 72"; len(l) != 1 || l[0] != want {
		t.Errorf("got %q, want %q", l, want)
	}
}

func TestAddressesThatBrowsersFollow(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"https://example.com/a?b#c": true, "http://example.com": true,
		"": false, "example.com": false, "ftp://example.com": false, "javascript:alert(1)": false, "https://": false, "https:///path": false,
		"https://example.com/" + strings.Repeat("x", 2048): false, "https://exa mple.com": false,
	} {
		if got := IsURL(text); got != want {
			t.Errorf("IsURL(%q) = %t, want %t", text, got, want)
		}
	}
}

func TestCategoriesOfTheGuideAreKnown(t *testing.T) {
	t.Parallel()
	if unknown := unknownCategories([]string{"Operating Systems", "Network Infrastructure", "Application Development", "operating systems", "# Beside the guide.", ""}); !slices.Equal(unknown, []string{"operating systems", "# Beside the guide.", ""}) {
		t.Errorf("unknown categories are %q", unknown)
	}
	names := lines(categories)
	if repeated := Repeated(names); len(repeated) > 0 {
		t.Errorf("categories stand twice: %q", repeated)
	}
}

package ec2

import (
	"path"
	"strings"
	"testing"
)

func TestMatches(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"m5.large", "m5.large", true}, {"m5.large", "m5.largest", false}, {"m5*", "m5.large", true}, {"*5*", "m5.large", true},
		{"c5*.*", "c5n.large", true}, {"c5*.*", "c5n", false}, {"*", "", true}, {"", "", true}, {"", "a", false},
		{"a?c", "abc", true}, {"a?c", "ac", true}, {"a?c", "abbc", false}, {`a\*c`, "a*c", true}, {`a\*c`, "abc", false},
		{`\`, `\`, true}, {"2021-09-29T*", "2021-09-29T11:04:43.000Z", true}, {"A", "a", false},
	} {
		if got := matches(c.pattern, c.text); got != c.want {
			t.Errorf("%q on %q: got %v", c.pattern, c.text, got)
		}
	}
}

// FuzzMatches: where a pattern has only what package path knows too, both agree.
func FuzzMatches(f *testing.F) {
	f.Add("a*b*c", "aXbYc")
	f.Add("*a*", "bab")
	f.Add(strings.Repeat("*a", 20), strings.Repeat("a", 40))
	f.Add("a?b\\", "axb")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if len(pattern) > 100 || len(text) > 100 {
			return
		}
		got := matches(pattern, text)
		if strings.ContainsAny(pattern, `?[]\/`) || strings.Contains(text, "/") || strings.Count(pattern, "*") > 5 {
			return
		}
		want, err := path.Match(pattern, text)
		if err == nil && got != want {
			t.Errorf("%q on %q: got %v, want %v", pattern, text, got, want)
		}
	})
}

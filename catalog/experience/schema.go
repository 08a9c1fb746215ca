package experience

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"souk/catalog/change"
)

// schema collects what StartChangeSet refuses at once beside what the page lists,
// in the words of AWS's schema errors. Paths are JSON pointers.
type schema []string

func (s *schema) add(format string, args ...any) { *s = append(*s, fmt.Sprintf(format, args...)) }

// missing notes a member that has to be there.
func (s *schema) missing(at, name string) {
	s.add("JSON at %s is missing required properties: ['%s']", at, name)
}

// names are those of experiences: the published shapes have this pattern.
var names = regexp.MustCompile(`^[a-zA-Z0-9 _-]+$`)

// name notes what can't be the name of an experience.
func (s *schema) name(at, text string) {
	s.text(at, text, 50)
	if text != "" && !names.MatchString(text) {
		s.add("String at %s must match the pattern ^[a-zA-Z0-9 _-]+$", at)
	}
}

// text notes a text that is empty, longer than most characters, or begins with a space.
func (s *schema) text(at, text string, most int) {
	if n := utf8.RuneCountInString(text); n < 1 || n > most {
		s.add("String at %s must have between 1 and %d characters", at, most)
	}
	if strings.HasPrefix(text, " ") {
		s.add("String at %s must not begin with a space", at)
	}
}

// given is text of a member that may be left out, or null to unset it.
func (s *schema) given(at string, text change.Optional[string], most int) {
	if text.Given && !text.Null {
		s.text(at, text.Value, most)
	}
}

// items notes a list whose length is not between 1 and 50.
func (s *schema) items(at string, n int) {
	if n < 1 || n > 50 {
		s.add("List at %s must have between 1 and 50 items", at)
	}
}

// among notes a value that is none of the allowed ones.
func (s *schema) among(at, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		s.add("String '%s' at %s must be one of ['%s']", cut(value), at, strings.Join(allowed, "', '"))
	}
}

// refuse refuses at once what was collected.
func (s schema) refuse(c *change.Checks) {
	c.Refuse(len(s) > 0, "422", "Provided Details is not valid. [x].", []string(s))
}

// cut shortens a value for a message.
func cut(value string) string {
	if len(value) > 64 {
		return strings.ToValidUTF8(value[:64], "") + "..."
	}
	return value
}

package constraint

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxViolations bounds a message: nobody mends more at once.
const maxViolations = 20

// maxShown is how many characters of a value a message shows.
const maxShown = 128

// Check returns the message that AWS gives for an input that violates
// constraints, or "" if all hold. input is a pointer to the Plan's struct.
//
//	1 validation error detected: Value 'x-1' at 'catalog' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-zA-Z]+$
func (p *Plan) Check(input any) string { return Message(p.Violations(input, nil)) }

// Violation is a constraint that does not hold.
type Violation struct {
	Field string // the member's path, such as filterList.1.member.name
	Text  string // what is wrong with it, with the path in it
}

// Violations returns what an input violates, at most 20 of it; input is a
// pointer to the Plan's struct. empty says of a required member that the input
// has as an absent one, by its path, whether it was given as a text without
// characters; nil: none was.
func (p *Plan) Violations(input any, empty func(field string) bool) []Violation {
	c := checker{empty: empty}
	c.path = c.room[:0]
	c.structure(p, reflect.ValueOf(input).Elem())
	return c.found
}

// Message is AWS's message for violations, "" for none.
func Message(all []Violation) string {
	if len(all) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString(strconv.Itoa(len(all)))
	b.WriteString(" validation error")
	if len(all) > 1 {
		b.WriteByte('s')
	}
	b.WriteString(" detected: ")
	for i, v := range all {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(v.Text)
	}
	return b.String()
}

// checker walks through an input. Where the input is right it allocates nothing.
type checker struct {
	path  []step
	room  [8]step // of path, deep enough for most inputs
	empty func(field string) bool
	found []Violation
}

// step is one part of a member's path; a list's member has its number, a map's its key.
type step struct {
	name  string
	index int // from 1; 0 for none
}

func (c *checker) structure(p *Plan, v reflect.Value) {
	for i := range p.fields {
		if len(c.found) >= maxViolations {
			return
		}
		f := &p.fields[i]
		c.path = append(c.path, step{name: f.name})
		c.field(f, v.Field(f.index))
		c.path = c.path[:len(c.path)-1]
	}
}

func (c *checker) field(f *field, v reflect.Value) {
	if isAbsent(v) {
		if f.required {
			c.missing(f, v)
		}
		return
	}
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.String:
		c.text(&f.text, v.String(), f.sensitive)
	case reflect.Struct:
		if f.nested != nil {
			c.structure(f.nested, v)
		}
	case reflect.Slice:
		if f.bytes {
			c.length(f.text.len, int64(v.Len()), "Value")
			return
		}
		c.size(f, v)
		for i := range v.Len() {
			if len(c.found) >= maxViolations {
				return
			}
			c.element(f, v.Index(i), step{index: i + 1})
		}
	case reflect.Map:
		c.size(f, v)
		if f.nested == nil && f.member.empty() && f.key.empty() {
			return
		}
		for it := v.MapRange(); it.Next() && len(c.found) < maxViolations; {
			c.key(f, it.Key().String())
			c.element(f, it.Value(), step{name: it.Key().String()})
		}
	default:
		if f.number != nil {
			c.number(f.number, v)
		}
	}
}

// missing refuses a required member that is not there, or is a text without
// characters: that is no null, and is measured like any other text.
func (c *checker) missing(f *field, v reflect.Value) {
	if v.Kind() != reflect.String || c.empty == nil || !c.empty(c.at()) {
		c.refuse("Value null", "Member must not be null")
		return
	}
	before := len(c.found)
	c.text(&f.text, "", f.sensitive)
	if len(c.found) == before { // nothing that is documented refuses it: it can't be used all the same
		c.refuse(shown("", f.sensitive), "Member must have length greater than or equal to 1")
	}
}

// key checks a key of a map. AWS names all that a key must satisfy, with the map.
func (c *checker) key(f *field, key string) {
	if f.key.empty() {
		return
	}
	var one checker
	one.text(&f.key, key, false)
	if len(one.found) == 0 {
		return
	}
	var all []string
	if l := f.key.len; l != nil {
		if l.hasMost {
			all = append(all, "Member must have length less than or equal to "+strconv.FormatInt(l.most, 10))
		}
		if l.hasLeast {
			all = append(all, "Member must have length greater than or equal to "+strconv.FormatInt(l.least, 10))
		}
	}
	if p := f.key.pattern; p != nil {
		all = append(all, "Member must satisfy regular expression pattern: "+p.text)
	}
	c.refuse(shown(key, f.sensitive), "Map keys must satisfy constraint: ["+strings.Join(all, ", ")+"]")
}

// element checks one member of a list or map.
func (c *checker) element(f *field, v reflect.Value, at step) {
	if f.nested == nil && f.member.empty() {
		return
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return
		}
		v = v.Elem()
	}
	c.path = append(c.path, at, step{name: "member"})
	if f.nested != nil {
		c.structure(f.nested, v)
	} else {
		c.text(&f.member, v.String(), f.sensitive)
	}
	c.path = c.path[:len(c.path)-2]
}

// isAbsent says whether a member was not given, as far as its type can tell.
func isAbsent(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.String:
		return v.Len() == 0
	case reflect.Bool: // false is a value
		return false
	case reflect.Slice:
		// A document that is null is absent, like every other member.
		return v.IsNil() || v.Type().Elem().Kind() == reflect.Uint8 && string(v.Bytes()) == "null"
	}
	return v.IsZero()
}

func (c *checker) text(t *text, s string, sensitive bool) {
	if t.len != nil {
		n := int64(utf8.RuneCountInString(s))
		if t.len.hasMost && n > t.len.most || t.len.hasLeast && n < t.len.least {
			c.length(t.len, n, shown(s, sensitive))
		}
	}
	if t.pattern != nil && !t.pattern.matches(s) {
		c.refuse(shown(s, sensitive), "Member must satisfy regular expression pattern: "+t.pattern.text)
	}
	if t.enum != nil {
		for _, e := range t.enum {
			if e == s {
				return
			}
		}
		c.refuse(shown(s, sensitive), "Member must satisfy enum value set: ["+strings.Join(t.enum, ", ")+"]")
	}
}

func (c *checker) length(s *span, n int64, value string) {
	switch {
	case s == nil:
	case s.hasMost && n > s.most:
		c.refuse(value, "Member must have length less than or equal to "+strconv.FormatInt(s.most, 10))
	case s.hasLeast && n < s.least:
		c.refuse(value, "Member must have length greater than or equal to "+strconv.FormatInt(s.least, 10))
	}
}

func (c *checker) size(f *field, v reflect.Value) {
	s, n := f.size, int64(v.Len())
	if s == nil || (!s.hasMost || n <= s.most) && (!s.hasLeast || n >= s.least) {
		return
	}
	value := "Value" // lists of structures are too long to be shown
	switch {
	case n == 0 && v.Kind() == reflect.Map:
		value = "Value '{}'"
	case n == 0:
		value = "Value '[]'"
	}
	c.length(s, n, value)
}

func (c *checker) number(s *span, v reflect.Value) {
	var low, high bool
	switch {
	case v.CanInt():
		low, high = s.hasLeast && v.Int() < s.least, s.hasMost && v.Int() > s.most
	case v.CanUint():
		low, high = s.hasLeast && int64(v.Uint()) < s.least, s.hasMost && int64(v.Uint()) > s.most
	default:
		low, high = s.hasLeast && v.Float() < float64(s.least), s.hasMost && v.Float() > float64(s.most)
	}
	switch {
	case high:
		c.refuse(fmt.Sprintf("Value '%v'", v), "Member must have value less than or equal to "+strconv.FormatInt(s.most, 10))
	case low:
		c.refuse(fmt.Sprintf("Value '%v'", v), "Member must have value greater than or equal to "+strconv.FormatInt(s.least, 10))
	}
}

// refuse notes a violation of the member where the walk is.
func (c *checker) refuse(value, constraint string) {
	at := c.at()
	c.found = append(c.found, Violation{at, value + " at '" + at + "' failed to satisfy constraint: " + constraint})
}

// at is the path of the member where the walk is.
func (c *checker) at() string {
	var at strings.Builder
	for i, s := range c.path {
		if i > 0 {
			at.WriteByte('.')
		}
		if s.index > 0 {
			at.WriteString(strconv.Itoa(s.index))
		} else {
			at.WriteString(cut(s.name))
		}
	}
	return at.String()
}

// shown is a value in a message; one that is secret is only mentioned.
func shown(s string, sensitive bool) string {
	if sensitive {
		return "Value"
	}
	return "Value '" + cut(s) + "'"
}

// cut shortens a text of the client, at a whole character.
func cut(s string) string {
	if len(s) <= maxShown {
		return s
	}
	end := maxShown
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "..."
}

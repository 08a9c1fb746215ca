package ec2

import (
	"slices"
	"strings"

	"souk/gateway/apierror"
)

// Filter narrows a list: an item stays if one of the values fits. Of several
// filters all must fit.
//
// Amazon EC2 API Reference, "Filter"; Amazon EC2 User Guide, "List and filter
// using the CLI and API".
type Filter struct {
	Name   string   `query:"Name"`
	Values []string `query:"Value"`
}

// maxFilterValues is how many values the filters of a request may have: "You
// can specify up to 50 filters and up to 200 values per filter in a single
// request."
const (
	maxFilters      = 50
	maxFilterValues = 200
	maxPattern      = 1024 // bytes of a value; nothing that is filtered is longer
)

// fields says what the filters of a list look at: by a filter's name the values
// that an item has there. A nil function is a filter that AWS has and nothing
// here fits.
type fields[T any] map[string]func(T) []string

// check refuses filters that the list does not have.
func (f fields[T]) check(filters []Filter) error {
	if len(filters) > maxFilters {
		return apierror.New("FilterLimitExceeded", "The request has %d filters; %d are allowed", len(filters), maxFilters)
	}
	for _, x := range filters {
		_, known := f[x.Name]
		if !known && !strings.HasPrefix(x.Name, "tag:") {
			return wrong("The filter '%s' is invalid", x.Name)
		}
		if len(x.Values) > maxFilterValues {
			return apierror.New("FilterLimitExceeded", "The filter '%s' has %d values; %d are allowed", x.Name, len(x.Values), maxFilterValues)
		}
		if err := checkValues(x); err != nil {
			return err
		}
	}
	return nil
}

// checkValues bounds what a filter compares with.
func checkValues(x Filter) error {
	if len(x.Values) == 0 {
		return wrong("The filter '%s' has no value", x.Name)
	}
	for _, v := range x.Values {
		if len(v) > maxPattern {
			return wrong("A value of the filter '%s' has more than %d bytes", x.Name, maxPattern)
		}
	}
	return nil
}

// fit says whether an item passes all filters.
func (f fields[T]) fit(filters []Filter, item T) bool {
	for _, x := range filters {
		values := f[x.Name]
		if values == nil {
			return false
		}
		has := values(item)
		if !slices.ContainsFunc(x.Values, func(want string) bool {
			return slices.ContainsFunc(has, func(value string) bool { return matches(want, value) })
		}) {
			return false
		}
	}
	return true
}

// matches says whether a text fits a pattern: "An asterisk (*) matches zero or
// more characters, and a question mark (?) matches zero or one character. If
// you want to search for the literal value, precede the character with a
// backslash."
func matches(pattern, text string) bool {
	// at has the positions of text up to which the pattern read so far fits.
	var room [2][64]bool
	at, next := room[0][:], room[1][:]
	if len(text) >= len(at) {
		at, next = make([]bool, len(text)+1), make([]bool, len(text)+1)
	}
	at, next = at[:len(text)+1], next[:len(text)+1]
	at[0] = true
	for i := 0; i < len(pattern); i++ {
		c := pattern[i]
		special := c == '*' || c == '?'
		if c == '\\' && i+1 < len(pattern) {
			i++
			c = pattern[i]
		}
		fits, before := false, false // anything fits; the position before does
		for p, here := range at {
			switch {
			case !special:
				next[p] = before && text[p-1] == c
			case c == '*':
				next[p] = here || p > 0 && next[p-1]
			default:
				next[p] = here || before
			}
			before = here
			fits = fits || next[p]
		}
		if !fits {
			return false
		}
		at, next = next, at
	}
	return at[len(text)]
}

// yesNo is a boolean as filters have it.
func yesNo(b bool) []string {
	if b {
		return []string{"true"}
	}
	return []string{"false"}
}

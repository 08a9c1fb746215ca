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
		if len(x.Values) == 0 {
			return wrong("The filter '%s' has no value", x.Name)
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
	at := make([]bool, len(text)+1)
	at[0] = true
	for i := 0; i < len(pattern); i++ {
		next := make([]bool, len(text)+1)
		c := pattern[i]
		switch {
		case c == '*':
			fits := false
			for p := range at {
				fits = fits || at[p]
				next[p] = fits
			}
			at = next
			continue
		case c == '?':
			for p := range at {
				next[p] = next[p] || at[p]
				if at[p] && p < len(text) {
					next[p+1] = true
				}
			}
			at = next
			continue
		case c == '\\' && i+1 < len(pattern):
			i++
			c = pattern[i]
		}
		for p := range len(text) {
			next[p+1] = at[p] && text[p] == c
		}
		at = next
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

package assistant

import (
	"slices"
	"strings"
)

// option is one of an operation's.
type option struct {
	name     string
	value    string // what stands for its value in help; "" of one that has none
	many     bool   // it has any number of values
	required bool
	about    string
}

// options are those that were given, by name, each with its values.
type options map[string][]string

// has says whether an option was given.
func (o options) has(name string) bool { _, ok := o[name]; return ok }

// one is the value of an option, "" if it was not given.
func (o options) one(name string) string {
	if v := o[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// parse reads arguments: --NAME VALUE, --NAME=VALUE, and --NAME VALUE VALUE... of
// those that have many. A value of one alone may begin with hyphens, as launch
// parameters do.
func parse(known []option, args []string) (options, error) {
	given := options{}
	for len(args) > 0 {
		name, value, joined := strings.Cut(strings.TrimPrefix(args[0], "--"), "=")
		n := slices.IndexFunc(known, func(o option) bool { return o.name == name })
		if !strings.HasPrefix(args[0], "--") || n < 0 {
			return nil, refuse("Unknown option: %s (--help lists them)", args[0])
		}
		if given.has(name) {
			return nil, refuse("%s was given twice", args[0])
		}
		o := known[n]
		args = args[1:]
		switch {
		case o.value == "" && joined:
			return nil, refuse("Invalid value (%s)", name)
		case o.value == "":
			given[name] = []string{}
		case o.many:
			given[name] = []string{}
			if joined {
				given[name] = append(given[name], value)
			}
			for len(args) > 0 && !strings.HasPrefix(args[0], "--") {
				given[name] = append(given[name], args[0])
				args = args[1:]
			}
			if len(given[name]) == 0 {
				return nil, refuse("Missing value (%s)", name)
			}
		case joined:
			given[name] = []string{value}
		case len(args) == 0:
			return nil, refuse("Missing value (%s)", name)
		default:
			given[name] = []string{args[0]}
			args = args[1:]
		}
	}
	for _, o := range known {
		if o.required && given.one(o.name) == "" {
			return nil, refuse("Missing value (%s)", o.name)
		}
	}
	return given, nil
}

// pairs reads the values of an option of keys and values: "key" "value" ..., as
// the guide has it, or all as key=value. ok is false for an odd number, and for a
// key that stands there twice.
func pairs(values []string) (all map[string]string, ok bool) {
	all = map[string]string{}
	if !slices.ContainsFunc(values, func(v string) bool { return !strings.Contains(v, "=") }) {
		for _, v := range values {
			key, value, _ := strings.Cut(v, "=")
			if _, twice := all[key]; twice {
				return nil, false
			}
			all[key] = value
		}
		return all, true
	}
	if len(values)%2 != 0 {
		return nil, false
	}
	for i := 0; i < len(values); i += 2 {
		if _, twice := all[values[i]]; twice {
			return nil, false
		}
		all[values[i]] = values[i+1]
	}
	return all, true
}

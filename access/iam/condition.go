package iam

import (
	"encoding/base64"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// family is what the values of a condition are compared as.
type family uint8

const (
	asString family = iota
	asARN
	asNumber
	asDate
	asBool
	asBytes
	asAddress
	asPresence // Null
)

// comparison is how numbers and dates are compared.
type comparison uint8

const (
	equal comparison = iota
	less
	lessOrEqual
	greater
	greaterOrEqual
)

// operator is what a condition operator means, without its prefix and suffix.
type operator struct {
	family  family
	negated bool
	compare comparison
	grammar grammar // of values that are patterns
	fold    bool
}

// lookupOperator finds an operator by its name as the documentation spells it.
//
// IAM User Guide, "IAM JSON policy elements: Condition operators".
func lookupOperator(name string) (operator, bool) {
	switch name {
	case "StringEquals":
		return operator{family: asString}, true
	case "StringNotEquals":
		return operator{family: asString, negated: true}, true
	case "StringEqualsIgnoreCase":
		return operator{family: asString, fold: true}, true
	case "StringNotEqualsIgnoreCase":
		return operator{family: asString, fold: true, negated: true}, true
	case "StringLike":
		return operator{family: asString, grammar: wildcards}, true
	case "StringNotLike":
		return operator{family: asString, grammar: wildcards, negated: true}, true
	case "ArnEquals", "ArnLike": // "behave identically"
		return operator{family: asARN, grammar: arnParts}, true
	case "ArnNotEquals", "ArnNotLike":
		return operator{family: asARN, grammar: arnParts, negated: true}, true
	case "NumericEquals":
		return operator{family: asNumber}, true
	case "NumericNotEquals":
		return operator{family: asNumber, negated: true}, true
	case "NumericLessThan":
		return operator{family: asNumber, compare: less}, true
	case "NumericLessThanEquals":
		return operator{family: asNumber, compare: lessOrEqual}, true
	case "NumericGreaterThan":
		return operator{family: asNumber, compare: greater}, true
	case "NumericGreaterThanEquals":
		return operator{family: asNumber, compare: greaterOrEqual}, true
	case "DateEquals":
		return operator{family: asDate}, true
	case "DateNotEquals":
		return operator{family: asDate, negated: true}, true
	case "DateLessThan":
		return operator{family: asDate, compare: less}, true
	case "DateLessThanEquals":
		return operator{family: asDate, compare: lessOrEqual}, true
	case "DateGreaterThan":
		return operator{family: asDate, compare: greater}, true
	case "DateGreaterThanEquals":
		return operator{family: asDate, compare: greaterOrEqual}, true
	case "Bool":
		return operator{family: asBool, fold: true}, true
	case "BinaryEquals":
		return operator{family: asBytes}, true
	case "IpAddress":
		return operator{family: asAddress}, true
	case "NotIpAddress":
		return operator{family: asAddress, negated: true}, true
	case "Null":
		return operator{family: asPresence}, true
	}
	return operator{}, false
}

// quantifier is the set operator before a condition operator.
type quantifier uint8

const (
	plain quantifier = iota
	forAllValues
	forAnyValue
)

// test is a compiled Condition.
type test struct {
	operator
	quantifier quantifier
	ifExists   bool
	key        string // lower case

	// The values, in the form of the family.
	patterns []pattern // asString, asARN, asBool
	numbers  []number
	dates    []time.Time
	bytes    []string
	prefixes []netip.Prefix
	absent   []bool // asPresence: the key must be absent
}

func compileCondition(c Condition, variables bool) (test, error) {
	t := test{key: strings.ToLower(c.Key)}
	name := c.Operator
	if rest, ok := strings.CutPrefix(name, "ForAllValues:"); ok {
		t.quantifier, name = forAllValues, rest
	} else if rest, ok := strings.CutPrefix(name, "ForAnyValue:"); ok {
		t.quantifier, name = forAnyValue, rest
	}
	name, t.ifExists = strings.CutSuffix(name, "IfExists")
	op, ok := lookupOperator(name)
	if !ok || name == "Null" && (t.ifExists || t.quantifier != plain) {
		return t, syntax("%q is not a condition operator.", c.Operator)
	}
	t.operator = op
	if !strings.Contains(c.Key, ":") {
		return t, malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
	}
	for _, v := range c.Values {
		if err := t.add(v, variables); err != nil {
			return t, err
		}
	}
	return t, nil
}

// add compiles one value. A value that could never match is refused: it is a
// slip, and under a negated operator it would match everything.
func (t *test) add(v string, variables bool) error {
	switch t.family {
	case asString, asARN, asBool:
		p, err := compile(v, pattern{fold: t.fold, variables: variables}, t.grammar)
		if err != nil {
			return err
		}
		hasVariable := len(p.vars) > 0
		if t.family == asARN && v != "*" && (!strings.HasPrefix(v, "arn:") || strings.Count(v, ":") < 5) && !hasVariable {
			return syntax("%q is not an ARN.", v)
		}
		if t.family == asBool && !hasVariable && !strings.EqualFold(v, "true") && !strings.EqualFold(v, "false") {
			return syntax("%q is neither true nor false.", v)
		}
		t.patterns = append(t.patterns, p)
	case asNumber:
		n, ok := parseNumber(v)
		if !ok {
			return syntax("%q is not a number.", v)
		}
		t.numbers = append(t.numbers, n)
	case asDate:
		d, ok := parseDate(v)
		if !ok {
			return syntax("%q is neither an ISO 8601 date nor seconds since 1970.", v)
		}
		t.dates = append(t.dates, d)
	case asBytes:
		b, err := base64.StdEncoding.DecodeString(v)
		if err != nil {
			return syntax("%q is not base64.", v)
		}
		t.bytes = append(t.bytes, string(b))
	case asAddress:
		p, ok := parsePrefix(v)
		if !ok {
			return syntax("%q is neither an IP address nor a CIDR block.", v)
		}
		t.prefixes = append(t.prefixes, p)
	case asPresence:
		if !strings.EqualFold(v, "true") && !strings.EqualFold(v, "false") {
			return syntax("%q is neither true nor false.", v)
		}
		t.absent = append(t.absent, strings.EqualFold(v, "true"))
	}
	return nil
}

// holds says whether the condition is true for the question.
//
// IAM User Guide, "Creating a condition with multiple keys or values": several
// values are an OR, under a negated operator a NOR.
func (t *test) holds(e *evaluation, effect Effect) bool {
	values := e.lookup(t.key)
	if t.family == asPresence {
		for _, absent := range t.absent {
			if absent == (len(values) == 0) {
				return true
			}
		}
		return false
	}
	if t.quantifier != plain && len(values) == 1 && values[0] == "" {
		values = nil // "an empty data set (for example, an empty string)"
	}
	if len(values) == 0 {
		switch {
		case t.ifExists || t.quantifier == forAllValues:
			return true
		case t.quantifier == forAnyValue:
			return false
		}
		return t.negated
	}
	some, all := false, true
	for _, v := range values {
		matched, resolved := t.match(v, e)
		if t.negated && !resolved && !matched && effect == Allow {
			return false // see evaluation.matches: an exclusion that can't be computed
		}
		if matched {
			some = true
		} else {
			all = false
		}
	}
	switch {
	case t.quantifier == forAllValues && t.negated:
		return !some // no value is among those of the policy
	case t.quantifier == forAllValues:
		return all
	case t.quantifier == forAnyValue && t.negated:
		return !all // some value is not among those of the policy
	case t.negated:
		return !some
	}
	return some
}

// match says whether a value of the request is one of the policy's. A value
// that is not of the family's form matches nothing.
func (t *test) match(v string, e *evaluation) (matched, resolved bool) {
	switch t.family {
	case asString, asBool:
		return e.any(t.patterns, v)
	case asARN:
		if !strings.HasPrefix(v, "arn:") || strings.Count(v, ":") < 5 {
			return false, true
		}
		return e.any(t.patterns, v)
	case asNumber:
		n, ok := parseNumber(v)
		for i := 0; ok && i < len(t.numbers); i++ {
			if t.compare.is(n.compare(t.numbers[i])) {
				return true, true
			}
		}
	case asDate:
		d, ok := parseDate(v)
		for i := 0; ok && i < len(t.dates); i++ {
			if t.compare.is(d.Compare(t.dates[i])) {
				return true, true
			}
		}
	case asBytes:
		b, err := base64.StdEncoding.DecodeString(v)
		for i := 0; err == nil && i < len(t.bytes); i++ {
			if string(b) == t.bytes[i] {
				return true, true
			}
		}
	case asAddress:
		a, err := netip.ParseAddr(v)
		a = a.Unmap().WithZone("")
		for i := 0; err == nil && i < len(t.prefixes); i++ {
			if t.prefixes[i].Contains(a) {
				return true, true
			}
		}
	}
	return false, true
}

// is says whether a three-way comparison of request and policy is the one wanted.
func (c comparison) is(sign int) bool {
	switch c {
	case less:
		return sign < 0
	case lessOrEqual:
		return sign <= 0
	case greater:
		return sign > 0
	case greaterOrEqual:
		return sign >= 0
	}
	return sign == 0
}

// number is an integer, or else a float: integers are compared exactly.
type number struct {
	integer bool
	i       int64
	f       float64
}

func parseNumber(s string) (number, bool) {
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return number{integer: true, i: i, f: float64(i)}, true
	}
	if s == "" || strings.ContainsFunc(s, func(c rune) bool {
		return (c < '0' || c > '9') && !strings.ContainsRune("+-.eE", c) // no Inf, NaN, 0x1p-2 or 1_000
	}) {
		return number{}, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return number{f: f}, err == nil
}

func (n number) compare(m number) int {
	a, b := n.f, m.f
	if n.integer && m.integer {
		switch {
		case n.i < m.i:
			return -1
		case n.i > m.i:
			return 1
		}
		return 0
	}
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// dateForms are those of the W3C note on ISO 8601, from a year to fractions of
// a second (which time.Parse accepts behind any second).
var dateForms = [...]string{
	"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04Z07:00", "2006-01-02", "2006-01", "2006",
}

func parseDate(s string) (time.Time, bool) {
	for _, form := range dateForms {
		if t, err := time.Parse(form, s); err == nil {
			return t, true
		}
	}
	// Seconds since 1970, to the year 9999; four digits are a year.
	n, ok := parseNumber(s)
	if !ok || n.f < 0 || n.f > 253402300799 {
		return time.Time{}, false
	}
	if n.integer {
		return time.Unix(n.i, 0), true
	}
	return time.UnixMilli(int64(n.f * 1000)), true
}

func parsePrefix(s string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p.Masked(), true
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, false
	}
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen()), true
}

package document

import (
	"fmt"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strings"
)

// condition is a comparison, or and, or, not over conditions: what Assert takes
// and what stands below if.
type condition struct {
	operator string
	operand  *value // what stands behind the operator; nil for and, or and not
	other    *value // value or path, where the operator takes one
	of       []*condition
}

// conditional is a step's if.
type conditional struct {
	condition  *condition
	yes, other decision // of then and else
}

// decision is what a conditional decides.
type decision string

const (
	decideExecute decision = "Execute"
	decideSkip    decision = "Skip"
	decideAbort   decision = "Abort"
)

// comparison says what an operator takes beside its operand ("" for nothing),
// and whether the operand is a number or a regular expression.
type comparison struct {
	other           string
	number, pattern bool
}

// comparisons are the operators of
// https://docs.aws.amazon.com/imagebuilder/latest/userguide/toe-comparison-operators.html
var comparisons = map[string]comparison{
	"stringIsEmpty":           {},
	"stringIsWhitespace":      {},
	"stringEquals":            {other: "value"},
	"stringLessThan":          {other: "value"},
	"stringLessThanEquals":    {other: "value"},
	"stringGreaterThan":       {other: "value"},
	"stringGreaterThanEquals": {other: "value"},
	"patternMatches":          {other: "value", pattern: true},
	"numberEquals":            {other: "value", number: true},
	"numberLessThan":          {other: "value", number: true},
	"numberLessThanEquals":    {other: "value", number: true},
	"numberGreaterThan":       {other: "value", number: true},
	"numberGreaterThanEquals": {other: "value", number: true},
	"binaryExists":            {},
	"fileExists":              {},
	"folderExists":            {},
	"fileMD5Equals":           {other: "path"},
	"fileSHA1Equals":          {other: "path"},
	"fileSHA256Equals":        {other: "path"},
	"fileSHA512Equals":        {other: "path"},
}

// numberForm is a number as the page has it for texts, and with an exponent, as
// YAML has it.
var numberForm = regexp.MustCompile(`^[-+]?([0-9]+[.])?[0-9]+([eE][-+]?[0-9]{1,3})?$`)

// asNumber returns false for what is none. Numbers are compared exactly, up to
// some 300 digits.
func asNumber(s string) (*big.Float, bool) {
	if len(s) > 300 || !numberForm.MatchString(s) {
		return nil, false
	}
	f, _, err := big.ParseFloat(s, 10, 1024, big.ToNearestEven)
	return f, err == nil
}

// condition reads one from the members of v, beside those in and. It returns
// nil after a problem.
func (c *checker) condition(v *value, depth int, and ...string) *condition {
	if v.kind != mapping {
		c.fault(v, "must be an operator with what it compares, not %s", v.what())
		return nil
	}
	var operators []member
	for _, m := range v.members {
		_, compares := comparisons[m.name]
		if compares || m.name == "and" || m.name == "or" || m.name == "not" {
			operators = append(operators, m)
			continue
		}
		if m.name != "value" && m.name != "path" && !slices.Contains(and, m.name) {
			c.at(m, v.path, "there is no operator [%s]; there are and, or, not, %s", cut(m.name, 60),
				strings.Join(slices.Sorted(maps.Keys(comparisons)), ", "))
			return nil
		}
	}
	if len(operators) != 1 {
		c.fault(v, "must have one operator, not %d", len(operators))
		return nil
	}
	m := operators[0]
	one := &condition{operator: m.name}
	takes, compares := comparisons[m.name]
	for _, name := range []string{"value", "path"} {
		other := v.get(name)
		switch {
		case name == takes.other && compares:
			if other == nil {
				c.fault(v, "%s needs %s", m.name, name)
				return nil
			}
			if !c.isText(other) {
				return nil
			}
			one.other = other
		case other != nil:
			c.fault(other, "%s takes no %s", m.name, name)
		}
	}
	if compares {
		if !c.isText(m.value) {
			return nil
		}
		one.operand = m.value
		if plain(m.value.text) {
			if _, ok := asNumber(m.value.text); takes.number && !ok {
				c.fault(m.value, "%s compares with a number, not %s", m.name, m.value.what())
			}
			if _, err := regexp.Compile(m.value.text); takes.pattern && err != nil {
				c.fault(m.value, "is no regular expression of RE2: %s", cut(err.Error(), 200))
			}
		}
		return one
	}
	if depth >= maxLogical {
		c.fault(m.value, "and, or and not can stand in one another %d deep", maxLogical)
		return nil
	}
	if m.name == "not" {
		below := c.condition(m.value, depth+1)
		if below == nil {
			return nil
		}
		one.of = []*condition{below}
		return one
	}
	if m.value.kind != list || len(m.value.items) == 0 {
		c.fault(m.value, "must be a list of conditions, not %s", m.value.what())
		return nil
	}
	for _, item := range m.value.items {
		if below := c.condition(item, depth+1); below != nil {
			one.of = append(one.of, below)
		}
	}
	return one
}

// texts calls f with all values that a condition compares.
func (c *condition) texts(f func(*value)) {
	for _, v := range []*value{c.operand, c.other} {
		if v != nil {
			f(v)
		}
	}
	for _, below := range c.of {
		below.texts(f)
	}
}

// String is the condition as it is told when an assertion fails.
func (c *condition) String() string {
	if c.operand == nil {
		return c.operator
	}
	s := fmt.Sprintf("%s [%s]", c.operator, cut(c.operand.text, 100))
	if c.other != nil {
		s += fmt.Sprintf(" %s [%s]", comparisons[c.operator].other, cut(c.other.text, 100))
	}
	return s
}

// conditional reads a step's if.
func (c *checker) conditional(v *value) *conditional {
	one := &conditional{yes: decideExecute, other: decideSkip}
	one.condition = c.condition(v, 0, "then", "else")
	if v.kind != mapping {
		return one
	}
	for name, to := range map[string]*decision{"then": &one.yes, "else": &one.other} {
		if d := v.get(name); d != nil {
			*to = decision(c.oneOf(d, string(decideAbort), string(decideExecute), string(decideSkip)))
		}
	}
	return one
}

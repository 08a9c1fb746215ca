package document

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// decide evaluates a step's if.
func (w *work) decide(s *Step) (decision, error) {
	holds, err := w.holds(s.when.condition, func(v *value) (string, error) { return w.resolve(v, s, nil) })
	if err != nil {
		return "", err
	}
	if holds {
		return s.when.yes, nil
	}
	return s.when.other, nil
}

// holds evaluates a condition, its parts in their order and no further than
// needed.
func (w *work) holds(c *condition, resolve func(*value) (string, error)) (bool, error) {
	switch c.operator {
	case "and", "or":
		for _, below := range c.of {
			one, err := w.holds(below, resolve)
			if err != nil {
				return false, err
			}
			if one == (c.operator == "or") {
				return one, nil
			}
		}
		return c.operator == "and", nil
	case "not":
		one, err := w.holds(c.of[0], resolve)
		return !one, err
	}
	operand, err := resolve(c.operand)
	if err != nil {
		return false, err
	}
	var other string
	if c.other != nil {
		if other, err = resolve(c.other); err != nil {
			return false, err
		}
	}
	return compare(c.operator, operand, other)
}

// compare does what the page of comparison operators says, and where its words
// leave it open what its examples show: value stands left of the sign, so that
// numberLessThan: 2, value: 1 holds; patterns and order do not mind case,
// equality does.
func compare(operator, operand, other string) (bool, error) {
	switch operator {
	case "stringIsEmpty":
		return operand == "", nil
	case "stringIsWhitespace":
		return operand != "" && strings.TrimSpace(operand) == "", nil
	case "stringEquals":
		return operand == other, nil
	case "patternMatches":
		pattern, err := regexp.Compile("(?i)" + operand)
		if err != nil {
			return false, fmt.Errorf("patternMatches: %w", err)
		}
		return pattern.MatchString(other), nil
	case "binaryExists":
		_, err := exec.LookPath(operand)
		return err == nil, nil
	case "fileExists":
		info, err := os.Stat(operand)
		return err == nil && !info.IsDir(), nil
	case "folderExists":
		info, err := os.Stat(operand)
		return err == nil && info.IsDir(), nil
	}
	if algorithm, ok := strings.CutPrefix(operator, "file"); ok {
		sum, err := fileSum(strings.TrimSuffix(algorithm, "Equals"), other)
		return err == nil && strings.EqualFold(sum, strings.TrimSpace(operand)), nil
	}
	var sign int
	if order, ok := strings.CutPrefix(operator, "number"); ok {
		left, known := asNumber(other)
		right, knownToo := asNumber(operand)
		if !known || !knownToo {
			return false, nil
		}
		sign, operator = left.Cmp(right), order
	} else {
		sign = cmp.Compare(strings.ToLower(other), strings.ToLower(operand))
		operator = strings.TrimPrefix(operator, "string")
	}
	switch operator {
	case "Equals":
		return sign == 0, nil
	case "LessThan":
		return sign < 0, nil
	case "LessThanEquals":
		return sign <= 0, nil
	case "GreaterThan":
		return sign > 0, nil
	case "GreaterThanEquals":
		return sign >= 0, nil
	}
	return false, fmt.Errorf("operator %s", strconv.Quote(operator))
}

package constraint

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
)

// pattern is a compiled pattern. Most of AWS's are one class of characters,
// repeated; a table decides those many times faster than a regular expression,
// and this check lies on the way of every request.
type pattern struct {
	text  string
	re    *regexp.Regexp
	table *[256]bool        // for ^[class]+$ and ^[class]*$ over ASCII
	least int               // least length where table is set
	match func(string) bool // for patterns with an equal of their own
}

// detailsPattern is the pattern of Change.Details. A regular expression walks
// through all of the document to find what its two ends tell.
const detailsPattern = `^[\s]*\{[\s\S]*\}[\s]*$`

// tagKeyPattern is the pattern of the keys of tags in the models of AppStream and
// others. Go's regular expressions look not ahead.
const tagKeyPattern = `^(^(?!aws:).[\p{L}\p{Z}\p{N}_.:/=+\-@]*)$`

// manyTimes is a class of characters that is repeated more often than Go's
// regular expressions count (1000), such as that at the end of an ARN.
var manyTimes = regexp.MustCompile(`(\[(?:[^\]\\]|\\.)+\])\{0,(1[0-9]{3})\}`)

// split writes such a repetition as two. What is no repetition stays as it is.
func split(repetition string) string {
	parts := manyTimes.FindStringSubmatch(repetition)
	most, err := strconv.Atoi(parts[2])
	if err != nil || most == 1000 {
		return repetition
	}
	return parts[1] + "{0,1000}" + parts[1] + "{0," + strconv.Itoa(most-1000) + "}"
}

func compilePattern(text string) (*pattern, error) {
	// AWS means the whole member, also where a pattern does not say so.
	whole := text
	if !strings.HasPrefix(whole, "^") || !strings.HasSuffix(whole, "$") {
		whole = "^(?:" + text + ")$"
	}
	if text == tagKeyPattern {
		rest := regexp.MustCompile(strings.Replace(text, "(?!aws:)", "", 1))
		return &pattern{text: text, re: rest, match: func(s string) bool {
			return !strings.HasPrefix(s, "aws:") && rest.MatchString(s)
		}}, nil
	}
	whole = manyTimes.ReplaceAllStringFunc(whole, split)
	re, err := regexp.Compile(whole)
	if err != nil {
		return nil, fmt.Errorf("compiling pattern %s: %w", text, err)
	}
	p := &pattern{text: text, re: re}
	if text == detailsPattern {
		const space = " \t\n\f\r"
		p.match = func(s string) bool {
			s = strings.Trim(s, space)
			return len(s) >= 2 && s[0] == '{' && s[len(s)-1] == '}'
		}
		return p, nil
	}
	p.table, p.least = classTable(whole)
	return p, nil
}

// classTable returns the table of a pattern that is one repeated class of
// ASCII characters, or nil.
func classTable(text string) (*[256]bool, int) {
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, 0
	}
	tree = tree.Simplify()
	if tree.Op != syntax.OpConcat || len(tree.Sub) != 3 ||
		tree.Sub[0].Op != syntax.OpBeginText || tree.Sub[2].Op != syntax.OpEndText {
		return nil, 0
	}
	loop := tree.Sub[1]
	least := 0
	switch loop.Op {
	case syntax.OpPlus:
		least = 1
	case syntax.OpStar:
	default:
		return nil, 0
	}
	class := loop.Sub[0]
	if class.Op != syntax.OpCharClass {
		return nil, 0
	}
	table := new([256]bool)
	for i := 0; i < len(class.Rune); i += 2 {
		lo, hi := class.Rune[i], class.Rune[i+1]
		if hi > 127 {
			return nil, 0
		}
		for c := lo; c <= hi; c++ {
			table[c] = true
		}
	}
	return table, least
}

func (p *pattern) matches(s string) bool {
	switch {
	case p.match != nil:
		return p.match(s)
	case p.table == nil:
		return p.re.MatchString(s)
	}
	if len(s) < p.least {
		return false
	}
	for i := range len(s) {
		if !p.table[s[i]] {
			return false
		}
	}
	return true
}

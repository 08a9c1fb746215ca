package constraint

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

// pattern is a compiled pattern. Most of AWS's are one class of characters,
// repeated; a table decides those many times faster than a regular expression,
// and this check lies on the way of every request.
type pattern struct {
	text  string
	re    *regexp.Regexp    // may be nil where match is set
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

// arnPattern is the pattern of ARNs in the models of AppStream and others. Go's
// regular expressions count to 1000 only, and are slow long before.
const arnPattern = `^arn:aws(?:\-cn|\-iso\-b|\-iso|\-us\-gov)?:[A-Za-z0-9][A-Za-z0-9_/.-]{0,62}:[A-Za-z0-9_/.-]{0,63}:[A-Za-z0-9_/.-]{0,63}:[A-Za-z0-9][A-Za-z0-9:_/+=,@.\\-]{0,1023}$`

// isARN says what arnPattern says.
func isARN(s string) bool {
	parts := strings.SplitN(s, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" {
		return false
	}
	switch parts[1] {
	case "aws", "aws-cn", "aws-iso-b", "aws-iso", "aws-us-gov":
	default:
		return false
	}
	named := func(s, also string, least, most int) bool {
		return len(s) >= least && len(s) <= most && (least == 0 || alphanumeric(rune(s[0]))) &&
			strings.IndexFunc(s, func(c rune) bool { return !alphanumeric(c) && !strings.ContainsRune(also, c) }) < 0
	}
	return named(parts[2], "_/.-", 1, 63) && named(parts[3], "_/.-", 0, 63) && named(parts[4], "_/.-", 0, 63) &&
		named(parts[5], `:_/+=,@.\-`, 1, 1024)
}

func alphanumeric(c rune) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

func compilePattern(text string) (*pattern, error) {
	// AWS means the whole member, also where a pattern does not say so.
	whole := text
	if !strings.HasPrefix(whole, "^") || !strings.HasSuffix(whole, "$") {
		whole = "^(?:" + text + ")$"
	}
	switch text {
	case arnPattern:
		return &pattern{text: text, match: isARN}, nil
	case tagKeyPattern:
		rest := regexp.MustCompile(strings.Replace(text, "(?!aws:)", "", 1))
		return &pattern{text: text, match: func(s string) bool {
			return !strings.HasPrefix(s, "aws:") && rest.MatchString(s)
		}}, nil
	}
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

package iam

import (
	"strings"
	"unicode/utf8"
)

// op is one step of a pattern: a rune to be met, or one of the constants below.
type op int32

const (
	anyRune     op = -1 - iota // ?
	anyInPart                  // ? that does not match a colon
	star                       // *
	starInPart                 // * that does not match a colon
	variableOps                // this and below: the variable of index variableOps - op
)

// Grammar of a pattern.
type grammar int

const (
	literal   grammar = iota // no wildcards
	wildcards                // * and ? match anything
	// resourceARN: wildcards stay within the colon-separated part of the ARN,
	// but a * that ends its part "can expand to match beyond the colon
	// boundaries" (IAM User Guide, "IAM JSON policy elements: Resource").
	// Behind the fifth colon all is one part.
	resourceARN
	// arnParts: "each of the six colon-delimited components of the ARN is
	// checked separately" (IAM User Guide, "Condition operators").
	arnParts
)

// pattern is a compiled pattern. The zero value matches the empty string.
type pattern struct {
	fold      bool // letters match in either case
	variables bool // the grammar knows policy variables

	shape shape
	text  string // shapes exact and prefix
	ops   []op   // shape program
	vars  []variable
}

type shape uint8

const (
	exact shape = iota
	prefix
	everything
	program
)

// variable is a policy variable, such as ${aws:username} or ${aws:userid, 'anonymous'}.
type variable struct {
	key      string // lower case
	fallback string
	optional bool // fallback is used where the request has no value
}

// compile makes the pattern of a text; p has its options.
func compile(text string, p pattern, g grammar) (pattern, error) {
	colons := 0
	for i := 0; i < len(text); {
		if p.variables && strings.HasPrefix(text[i:], "${") {
			end := strings.IndexByte(text[i:], '}')
			if end < 0 {
				return p, syntax("%q has a policy variable without its closing brace.", text)
			}
			if err := p.addVariable(text[i+2 : i+end]); err != nil {
				return p, err
			}
			i += end + 1
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		i += size
		bounded := (g == resourceARN || g == arnParts) && colons < 5
		switch {
		case r == '*' && g != literal:
			if ends := i == len(text) || text[i] == ':'; bounded && (g == arnParts || !ends) {
				p.ops = append(p.ops, starInPart)
			} else {
				p.ops = append(p.ops, star)
			}
		case r == '?' && g != literal:
			if bounded {
				p.ops = append(p.ops, anyInPart)
			} else {
				p.ops = append(p.ops, anyRune)
			}
		default:
			if r == ':' {
				colons++
			}
			p.ops = append(p.ops, op(r))
		}
	}
	p.simplify()
	return p, nil
}

func (p *pattern) addVariable(name string) error {
	switch name {
	case "*", "?", "$": // the characters themselves
		p.ops = append(p.ops, op(name[0]))
		return nil
	}
	v := variable{key: strings.ToLower(strings.TrimSpace(name))}
	if key, rest, ok := strings.Cut(name, ","); ok {
		rest = strings.TrimSpace(rest)
		if len(rest) < 2 || rest[0] != '\'' || rest[len(rest)-1] != '\'' {
			return syntax("The default value of the policy variable ${%s} must stand in single quotes.", name)
		}
		v = variable{key: strings.ToLower(strings.TrimSpace(key)), fallback: rest[1 : len(rest)-1], optional: true}
	}
	if !strings.Contains(v.key, ":") || strings.ContainsAny(v.key, "${*?' ") {
		return syntax("${%s} is not a policy variable.", name)
	}
	p.ops = append(p.ops, variableOps-op(len(p.vars)))
	p.vars = append(p.vars, v)
	return nil
}

// simplify finds the shapes that need no program: nearly all patterns are one.
func (p *pattern) simplify() {
	literals := 0
	for literals < len(p.ops) && p.ops[literals] >= 0 {
		literals++
	}
	rest := p.ops[literals:]
	switch {
	case len(rest) == 0:
		p.shape = exact
	case len(rest) == 1 && rest[0] == star && literals == 0:
		p.shape = everything
	case len(rest) == 1 && rest[0] == star:
		p.shape = prefix
	default:
		p.shape = program
		return
	}
	p.text = spell(p.ops[:literals])
	p.ops = nil
}

func spell(ops []op) string {
	var b strings.Builder
	for _, o := range ops {
		b.WriteRune(rune(o))
	}
	return b.String()
}

// match says whether s matches. resolved is false where the pattern has a
// variable for which the request has no value; such a pattern matches nothing.
func (p *pattern) match(s string, e *evaluation) (matched, resolved bool) {
	switch p.shape {
	case everything:
		return true, true
	case exact:
		if p.fold {
			return strings.EqualFold(p.text, s), true
		}
		return p.text == s, true
	case prefix:
		if p.fold {
			return len(s) >= len(p.text) && strings.EqualFold(p.text, s[:len(p.text)]), true
		}
		return strings.HasPrefix(s, p.text), true
	}
	ops := p.ops
	if len(p.vars) > 0 {
		var ok bool
		if ops, ok = p.expand(e); !ok {
			return false, false
		}
	}
	return run(ops, s, p.fold), true
}

// expand puts the request's values in the place of the variables. What a value
// holds is taken literally: a * in it is no wildcard.
func (p *pattern) expand(e *evaluation) ([]op, bool) {
	ops := e.scratch[:0]
	for _, o := range p.ops {
		if o > variableOps {
			ops = append(ops, o)
			continue
		}
		v := p.vars[variableOps-o]
		value := v.fallback
		// "You can't use multivalued keys as policy variables": they have no one value.
		if found := e.lookup(v.key); len(found) == 1 {
			value = found[0]
		} else if !v.optional {
			return nil, false
		}
		for _, r := range value {
			ops = append(ops, op(r))
		}
	}
	return ops, true
}

// run matches s by backtracking to the last star only: what an earlier one
// took is then the least that it can take, and taking more never helps. A star
// that stays within its part is given up when it would have to take a colon.
func run(ops []op, s string, fold bool) bool {
	var (
		i, at            int
		wide, wideAt     = -1, 0 // the last star
		narrow, narrowAt = -1, 0 // the last starInPart behind it
	)
	for {
		if i < len(ops) {
			switch o := ops[i]; o {
			case star:
				wide, wideAt, narrow = i, at, -1
				i++
				continue
			case starInPart:
				narrow, narrowAt = i, at
				i++
				continue
			default:
				if at < len(s) {
					if r, size := utf8.DecodeRuneInString(s[at:]); o.meets(r, fold) {
						i++
						at += size
						continue
					}
				}
			}
		} else if at == len(s) {
			return true
		}
		switch {
		case narrow >= 0 && narrowAt < len(s) && s[narrowAt] != ':':
			_, size := utf8.DecodeRuneInString(s[narrowAt:])
			narrowAt += size
			i, at = narrow+1, narrowAt
		case wide >= 0 && wideAt < len(s):
			_, size := utf8.DecodeRuneInString(s[wideAt:])
			wideAt += size
			i, at, narrow = wide+1, wideAt, -1
		default:
			return false
		}
	}
}

func (o op) meets(r rune, fold bool) bool {
	switch {
	case o == anyRune:
		return true
	case o == anyInPart:
		return r != ':'
	case fold:
		return lower(rune(o)) == lower(r)
	}
	return rune(o) == r
}

func lower(r rune) rune {
	if 'A' <= r && r <= 'Z' {
		return r + ('a' - 'A')
	}
	return r
}

package iam

import (
	"fmt"
	"strings"
)

// Explain says in words what each statement does, one paragraph a statement,
// for people who check a policy.
func (p *Policy) Explain() []string {
	var list []string
	for i := range p.Statements {
		s := &p.Statements[i]
		var b strings.Builder
		fmt.Fprintf(&b, "%s", s.Effect)
		if s.Sid != "" {
			fmt.Fprintf(&b, " (%s)", s.Sid)
		}
		phrase(&b, "action", s.Action, s.NotAction)
		b.WriteString("\n  on")
		phrase(&b, "resource", s.Resource, s.NotResource)
		for i, c := range s.Condition {
			word := "if"
			if i > 0 {
				word = "and"
			}
			fmt.Fprintf(&b, "\n  %s %s %s %s", word, c.Key, c.Operator, strings.Join(c.Values, " or "))
		}
		list = append(list, b.String())
	}
	return list
}

func phrase(b *strings.Builder, noun string, only, except []string) {
	switch {
	case len(only) == 1 && only[0] == "*":
		fmt.Fprintf(b, " every %s", noun)
	case only != nil:
		fmt.Fprintf(b, " %s", strings.Join(only, ", "))
	default:
		fmt.Fprintf(b, " every %s but %s", noun, strings.Join(except, ", "))
	}
}

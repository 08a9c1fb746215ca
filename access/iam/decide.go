package iam

// Decide answers a question by the principal's policies: a Deny statement that
// matches wins over every Allow, whatever the order; what no statement allows
// is denied. A nil principal is denied everything.
//
// IAM User Guide, "Policy evaluation logic".
func Decide(p *Principal, q Question) Decision {
	if p == nil {
		return Decision{}
	}
	if p.Root {
		return Decision{Allowed: true}
	}
	e := evaluation{principal: p, question: q}
	var d Decision
	for _, policy := range p.Policies {
		for i := range policy.Statements {
			s := &policy.Statements[i]
			if s.Effect == Allow && d.Allowed {
				continue // only a Deny can change the answer now
			}
			if !e.matches(s) {
				continue
			}
			if s.Effect == Deny {
				return Decision{Explicit: true}
			}
			d.Allowed = true
		}
	}
	return d
}

// evaluation is one question being answered.
type evaluation struct {
	principal *Principal
	question  Question
	single    [1]string // holds the value that lookup returns for a principal's key
}

func (e *evaluation) matches(s *Statement) bool {
	action, _ := e.any(s.actions, e.question.Action)
	if action != (s.NotAction == nil) {
		return false
	}
	resource, resolved := e.any(s.resources, e.question.Resource)
	if s.NotResource != nil {
		// "If AWS cannot resolve a variable, this might cause the entire
		// statement to be invalid": an exclusion that can't be computed must
		// not widen what is allowed.
		if resource || !resolved && s.Effect == Allow {
			return false
		}
	} else if !resource {
		return false
	}
	for i := range s.conditions {
		if !s.conditions[i].holds(e, s.Effect) {
			return false
		}
	}
	return true
}

// any says whether one of the patterns matches, and whether the variables of
// all that were looked at had values.
func (e *evaluation) any(patterns []pattern, s string) (matched, resolved bool) {
	resolved = true
	for i := range patterns {
		m, ok := patterns[i].match(s, e)
		if m {
			return true, resolved
		}
		resolved = resolved && ok
	}
	return false, resolved
}

// lookup returns the values of a condition key, by its name in lower case. The
// keys that tell the principal come from the principal alone, never from the
// request. The slice is valid until the next lookup.
//
// IAM User Guide, "AWS global condition context keys", "Principal key values".
func (e *evaluation) lookup(key string) []string {
	value := ""
	switch key {
	case "aws:username":
		value = e.principal.Name
	case "aws:userid":
		value = e.principal.ID
	case "aws:principalarn":
		value = e.principal.ARN
	case "aws:principalaccount":
		value = e.principal.Account
	case "aws:principaltype":
		value = "User"
		if e.principal.Root {
			value = "Account"
		}
	default:
		return e.question.Context[key]
	}
	if value == "" {
		return nil
	}
	e.single[0] = value
	return e.single[:]
}

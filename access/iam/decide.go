package iam

import "strings"

// Decide answers a question by all policies that concern it: the principal's
// own, its session's, and the one of the resource. A Deny statement that
// matches wins over every Allow, wherever it stands; what no statement allows
// is denied. A nil principal is denied everything.
//
// Within one account it is enough that the principal's policies or the
// resource's allow it; across accounts both must. Session policies limit what
// the role's policies allow, and also what a resource's policy allows to the
// role, not what that allows to the session itself. An account, as the
// principal of a resource's policy, leaves it to the account's own policies.
// "IAM role trust policies and KMS key policies are exceptions to this logic,
// because they must explicitly allow access for principals."
//
// IAM User Guide, "Policy evaluation logic", "Policy evaluation for requests
// within a single account", "Cross-account policy evaluation logic".
func Decide(p *Principal, q Question) Decision {
	if p == nil {
		return Decision{}
	}
	e := evaluation{principal: p, question: q, action: hashOf(q.Action)}
	own := q.Owner == "" || q.Owner == p.Account
	granted, denied := toNobody, false
	if q.Policy != nil {
		if granted, denied = e.resource(q.Policy); denied {
			return Decision{Explicit: true, By: ResourceBased}
		}
	}
	if p.Root {
		return Decision{Allowed: own || granted != toNobody, By: ResourceBased}
	}
	identity, denied := e.permits(p.Policies)
	if denied {
		return Decision{Explicit: true, By: IdentityBased}
	}
	session := true
	if p.Session != nil {
		if session, denied = e.permits(p.Session); denied {
			return Decision{Explicit: true, By: SessionPolicy}
		}
	}
	if own {
		switch granted {
		case toPrincipal:
			return Decision{Allowed: true}
		case toRole:
			identity = true
		}
		if !q.Trust {
			granted = toPrincipal // the identity's policies alone will do
		}
	}
	switch {
	case !identity:
		return Decision{By: IdentityBased}
	case !session:
		return Decision{By: SessionPolicy}
	case granted == toNobody:
		return Decision{By: ResourceBased}
	}
	return Decision{Allowed: true}
}

// grant says to whom a resource's policy allows what is asked, as far as the
// principal is among them.
type grant uint8

const (
	toNobody    grant = iota
	toAccount         // the account: its own policies must allow it too
	toRole            // the role, or everybody: a session's policies limit it
	toPrincipal       // this user, or this session
)

// resource evaluates the policy of a resource for the principal.
func (e *evaluation) resource(policy *Policy) (granted grant, denied bool) {
	for i := range policy.Statements {
		s := &policy.Statements[i]
		to := s.grantee(e.principal)
		if to == toNobody || s.Effect == Allow && to <= granted || !e.matches(s) {
			continue
		}
		if s.Effect == Deny {
			return toNobody, true
		}
		granted = to
	}
	return granted, false
}

// grantee says as what a statement of a resource's policy is for a principal.
func (s *Statement) grantee(p *Principal) grant {
	to := toNobody
	for _, who := range s.Principals {
		switch {
		case who == p.ARN:
			return toPrincipal
		case who == "*" || p.Role != "" && who == p.Role:
			to = toRole
		case who == p.Account:
			to = max(to, toAccount)
		}
	}
	return to
}

// permits says whether one of the policies allows what is asked, or one denies it.
func (e *evaluation) permits(policies []*Policy) (allowed, denied bool) {
	for _, policy := range policies {
		for _, i := range policy.exact[e.action] {
			if s := &policy.Statements[i]; (s.Effect == Deny || !allowed) && e.matches(s) {
				if s.Effect == Deny {
					return false, true
				}
				allowed = true
			}
		}
		for _, i := range policy.others {
			if s := &policy.Statements[i]; (s.Effect == Deny || !allowed) && e.matches(s) {
				if s.Effect == Deny {
					return false, true
				}
				allowed = true
			}
		}
	}
	return allowed, false
}

// hashOf is a hash of an action's name in lower case (FNV-1a).
func hashOf(action string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(action) {
		c := action[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}

// index sorts the statements of a policy by the actions that they speak of, so
// that few have to be looked at: a principal may have hundreds of statements.
func (p *Policy) index() {
	for i := range p.Statements {
		s := &p.Statements[i]
		plain := s.NotAction == nil
		for _, a := range s.actions {
			plain = plain && a.shape == exact
		}
		if !plain {
			p.others = append(p.others, i)
			continue
		}
		if p.exact == nil {
			p.exact = map[uint64][]int{}
		}
		for _, a := range s.actions {
			h := hashOf(a.text)
			if of := p.exact[h]; len(of) == 0 || of[len(of)-1] != i { // an action may be listed twice
				p.exact[h] = append(of, i)
			}
		}
	}
}

// evaluation is one question being answered.
type evaluation struct {
	principal *Principal
	question  Question
	action    uint64    // hashOf the action
	single    [1]string // holds the value that lookup returns for a principal's key
	scratch   [256]op   // holds a pattern whose variables have got their values
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
	p, value := e.principal, ""
	switch key {
	case "aws:username":
		value = p.Name
	case "aws:userid":
		value = p.ID
	case "aws:principalarn":
		value = p.ARN
		if p.Role != "" {
			value = p.Role // "for IAM roles, the request context returns the ARN of the role"
		}
	case "aws:principalaccount":
		value = p.Account
	case "aws:resourceaccount":
		if value = e.question.Owner; value == "" {
			if given := e.question.Context[key]; given != nil {
				return given // of what is another's, and needs no leave of it
			}
			value = p.Account
		}
	case "aws:principalorgid":
		value = p.Organization
	case "aws:principaltype":
		value = p.Type()
	case "aws:tokenissuetime":
		value = p.Issued
	case "aws:sourceidentity":
		value = p.SourceIdentity
	case "aws:multifactorauthpresent":
		// "This key is present only when the principal uses temporary
		// credentials"; ours are made without a second factor.
		if given := e.question.Context[key]; given != nil {
			return given
		}
		if p.Role != "" {
			value = "false"
		}
	case "aws:principalisawsservice", "aws:viaawsservice":
		value = "false"
	default:
		if tag, ok := strings.CutPrefix(key, "aws:principaltag/"); ok {
			v, ok := p.Tags[tag]
			if !ok {
				return nil
			}
			e.single[0] = v // a tag may be empty
			return e.single[:]
		}
		return e.question.Context[key]
	}
	if value == "" {
		return nil
	}
	e.single[0] = value
	return e.single[:]
}

// Type is the value of aws:PrincipalType: Account, User or AssumedRole.
func (p *Principal) Type() string {
	switch {
	case p.Root:
		return "Account"
	case p.Role != "":
		return "AssumedRole"
	}
	return "User"
}

package iam

import (
	"slices"
	"strings"
)

// ParseResourcePolicy parses the policy of a resource: as ParsePolicy, and
// every statement says in Principal for whom it is ("*", or {"AWS": ...} with
// account ids, ARNs of accounts and of users). Its errors are *DocumentError.
//
// IAM User Guide, "AWS JSON policy elements: Principal".
func ParseResourcePolicy(document []byte) (*Policy, error) {
	if len(document) > maxDocument {
		return nil, &DocumentError{Code: "LimitExceeded", Message: "The policy is too long."}
	}
	return parse(document, ofResource)
}

// principals reads the element Principal.
func (r *reader) principals() ([]string, error) {
	if r.dec.PeekKind() == '"' {
		p, err := r.text("Principal")
		if err == nil && p != "*" {
			err = malformed("Invalid principal in policy: %q.", p)
		}
		return []string{p}, err
	}
	var all []string
	err := r.object("Principal", func(kind string) error {
		if kind == "Service" && r.of == ofRole {
			values, err := r.texts("Principal", false)
			for _, v := range values {
				if !isService(v) {
					return malformed("Invalid principal in policy: \"SERVICE\":%q", v)
				}
				all = append(all, servicePrefix+v)
			}
			return err
		}
		if kind != "AWS" {
			return malformed("Invalid principal in policy: the kind %q is not supported, AWS is.", kind)
		}
		values, err := r.texts("Principal", false)
		for _, v := range values {
			p, ok := principal(v)
			if !ok {
				return malformed("Invalid principal in policy: %q.", v)
			}
			all = append(all, p)
		}
		return err
	})
	return all, err
}

// servicePrefix marks an AWS service among Statement.Principals.
const servicePrefix = "service:"

// isService says whether v is the name of a service, such as
// assets.marketplace.amazonaws.com.
func isService(v string) bool {
	name, ok := strings.CutSuffix(v, ".amazonaws.com")
	return ok && name != "" && len(v) <= 128 && !strings.ContainsFunc(name, func(c rune) bool {
		return !isAlphanumeric(c) && c != '-' && c != '.'
	})
}

// principal reads a principal: an account's ARN is its id.
func principal(v string) (string, bool) {
	if v == "*" || isAccount(v) {
		return v, true
	}
	if rest, ok := strings.CutPrefix(v, "arn:aws:sts::"); ok {
		account, name, _ := strings.Cut(rest, ":")
		session, ok := strings.CutPrefix(name, "assumed-role/")
		role, name, _ := strings.Cut(session, "/")
		return v, ok && isAccount(account) && role != "" && name != "" && !strings.ContainsAny(session, "*?")
	}
	rest, ok := strings.CutPrefix(v, "arn:aws:iam::")
	account, name, _ := strings.Cut(rest, ":")
	switch {
	case !ok || !isAccount(account):
		return "", false
	case name == "root":
		return account, true
	}
	// "You cannot use a wildcard to match part of a principal name or ARN."
	return v, !strings.ContainsAny(name, "*?") &&
		(strings.HasPrefix(name, "user/") && len(name) > len("user/") || strings.HasPrefix(name, "role/") && len(name) > len("role/"))
}

func isAccount(s string) bool {
	return len(s) == 12 && strings.Trim(s, "0123456789") == ""
}

// Grantees returns the accounts that a resource's policy allows something, "*"
// for all: who has to be told that the resource is shared with them. Each once, sorted.
func (p *Policy) Grantees() []string {
	var all []string
	for i := range p.Statements {
		if p.Statements[i].Effect == Deny {
			continue
		}
		for _, who := range p.Statements[i].Principals {
			for _, prefix := range []string{"arn:aws:iam::", "arn:aws:sts::"} {
				if rest, ok := strings.CutPrefix(who, prefix); ok {
					who, _, _ = strings.Cut(rest, ":")
				}
			}
			all = append(all, who)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// DecideResource answers a question by the policy of the resource alone: what
// its statements for this principal say, a Deny first. Across accounts both
// this and the principal's own policies must allow.
func DecideResource(policy *Policy, p *Principal, q Question) Decision {
	if policy == nil || p == nil {
		return Decision{By: ResourceBased}
	}
	e := evaluation{principal: p, question: q}
	granted, denied := e.resource(policy)
	return Decision{Allowed: granted != toNobody, Explicit: denied, By: ResourceBased}
}

// Looks says whether a decision about a principal may depend on a condition
// key that begins with prefix, in lower case, such as "aws:resourcetag/": what
// it costs to find the values is saved where nobody looks.
func (p *Principal) Looks(prefix string) bool {
	if p == nil || p.Root {
		return false
	}
	looks := func(policy *Policy) bool { return policy.Looks(prefix) }
	return slices.ContainsFunc(p.Policies, looks) || slices.ContainsFunc(p.Session, looks)
}

// Looks says whether a policy has a condition on a key that begins with
// prefix, in lower case.
func (p *Policy) Looks(prefix string) bool {
	return p != nil && slices.ContainsFunc(p.Statements, func(s Statement) bool {
		return slices.ContainsFunc(s.conditions, func(t test) bool {
			return strings.HasPrefix(t.key, prefix)
		})
	})
}

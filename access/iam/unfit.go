package iam

import (
	"fmt"
	"slices"
)

// Unfit returns, in words, the actions and resources of a resource's policy that
// can never match: actions that are none of those given, and resources that are
// not the one with the ARN. Such a policy would be kept and do nothing. What
// depends on policy variables is left alone.
func (p *Policy) Unfit(actions []string, arn string) []string {
	e := evaluation{principal: &Principal{}, question: Question{Resource: arn}}
	never := func(m *pattern, all ...string) bool {
		return !slices.ContainsFunc(all, func(s string) bool {
			matched, resolved := m.match(s, &e)
			return matched || !resolved
		})
	}
	var words []string
	for n := range p.Statements {
		s := &p.Statements[n]
		where := fmt.Sprintf("statement %d", n+1)
		if s.Sid != "" {
			where = fmt.Sprintf("statement %q", s.Sid)
		}
		for i, action := range slices.Concat(s.Action, s.NotAction) {
			if never(&s.actions[i], actions...) {
				words = append(words, fmt.Sprintf("%s: the action '%s' is none of an entity", where, action))
			}
		}
		for i, resource := range s.Resource {
			if never(&s.resources[i], arn) {
				words = append(words, fmt.Sprintf("%s: the resource '%s' is not the entity '%s'", where, resource, arn))
			}
		}
		if matched, _ := e.any(s.resources, arn); s.NotResource != nil && matched {
			words = append(words, fmt.Sprintf("%s: its NotResource leaves nothing of the entity '%s'", where, arn))
		}
	}
	return words
}

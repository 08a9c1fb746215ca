package scenario

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
)

// Known is what rules can be about on this server: a rule about anything else
// would never act, which nobody notices.
type Known struct {
	// Changes has the change types of each entity type (without version). Nil: not checked.
	Changes map[string][]string
	// Actions are the operations of all services. Nil: not checked.
	Actions []string
}

//go:embed codes.tsv
var codesTable string

// codesOf returns the documented codes of the changes that a match names, sorted.
func codesOf(m Match) []string {
	var codes []string
	for line := range strings.Lines(codesTable) {
		fields := strings.Split(strings.TrimSpace(line), "\t")
		if len(fields) == 3 && like(m.EntityType, fields[0]) && like(m.ChangeType, fields[1]) {
			codes = append(codes, strings.Fields(fields[2])...)
		}
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}

// unknown says which rule is about something that there is not, on which line,
// and what there is.
func (f *File) unknown(k Known) error {
	for i := range f.Rules {
		r := &f.Rules[i]
		if field, err := r.unknown(k); err != nil {
			return fmt.Errorf("%s: %w", r.at(field), err)
		}
	}
	return nil
}

// at names the rule, and the line of one of its fields where it is known.
func (r *Rule) at(field string) string {
	for _, name := range []string{field, ""} {
		if line := r.lines[name]; line > 0 {
			return fmt.Sprintf("line %d, rule %q", line, r.Name)
		}
	}
	return fmt.Sprintf("rule %q", r.Name)
}

func (r *Rule) unknown(k Known) (field string, err error) {
	m := &r.Match
	if m.Account != "" && !strings.ContainsAny(m.Account, "*?") && (len(m.Account) != 12 || strings.Trim(m.Account, "0123456789") != "") {
		return "account", fmt.Errorf("the account %q is none: an account id has 12 digits", m.Account)
	}
	if k.Actions != nil && m.Action != "" && !slices.ContainsFunc(k.Actions, func(a string) bool { return like(m.Action, a) }) {
		return "action", fmt.Errorf("there is no action %q: %s", m.Action, among(m.Action, k.Actions))
	}
	if k.Changes != nil {
		var entityTypes, changeTypes []string
		fits := false
		for entityType, changes := range k.Changes {
			entityTypes = append(entityTypes, entityType)
			if !like(m.EntityType, entityType) {
				continue
			}
			fits = true
			changeTypes = append(changeTypes, changes...)
		}
		if !fits {
			return "entityType", fmt.Errorf("there is no entity type %q: %s", m.EntityType, among(m.EntityType, entityTypes))
		}
		if m.ChangeType != "" && !slices.ContainsFunc(changeTypes, func(c string) bool { return like(m.ChangeType, c) }) {
			of := ""
			if m.EntityType != "" {
				of = " of " + m.EntityType
			}
			return "changeType", fmt.Errorf("there is no change type %q%s: %s", m.ChangeType, of, among(m.ChangeType, changeTypes))
		}
	}
	if r.Fail != nil {
		// Any code of the entity type will do: tests may want what AWS would not answer.
		if codes := codesOf(Match{EntityType: m.EntityType}); !slices.Contains(codes, r.Fail.Code) {
			return "code", fmt.Errorf("there is no code %q: %s", r.Fail.Code, among(r.Fail.Code, codesOf(*m)))
		}
	}
	return "", nil
}

// most is how many names an error lists; of more it lists the nearest.
const most = 24

// among says what there is in the place of a name that there is not.
func among(name string, all []string) string {
	slices.Sort(all)
	all = slices.Compact(all)
	switch n := len(all); {
	case n == 0:
		return "there are none"
	case n > most:
		slices.SortStableFunc(all, func(a, b string) int { return distance(name, a) - distance(name, b) })
		return fmt.Sprintf("the nearest of %d are %s", n, strings.Join(all[:5], ", "))
	}
	return "there are " + strings.Join(all, ", ")
}

// distance is how many letters have to be put in, left out or changed to make b
// of a (Levenshtein), in either case of the letters.
func distance(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

package document

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// nameForm is the form of names of phases, steps and loops, so that references
// can name them; variableForm that of parameters and constants.
var (
	nameForm     = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`) })
	variableForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_-]{3,128}$`) })
)

// Parse reads a document and checks all of it. Its error is of type Problems.
func Parse(data []byte) (*Document, error) {
	root, problems := decode(data)
	if len(problems) > 0 {
		return nil, first(problems)
	}
	c := &checker{}
	doc := c.document(root)
	if len(c.problems) == 0 {
		c.references(doc)
	}
	if len(c.problems) > 0 {
		return nil, first(c.problems)
	}
	return doc, nil
}

// first returns the problems in the order of their lines, and not too many.
func first(all Problems) Problems {
	slices.SortStableFunc(all, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	if more := len(all) - maxProblems; more > 0 {
		all = append(all[:maxProblems:maxProblems], Problem{Text: fmt.Sprintf("and %d more", more)})
	}
	return all
}

// checker collects what is wrong.
type checker struct{ problems Problems }

func (c *checker) fault(v *value, format string, args ...any) {
	c.problems = append(c.problems, Problem{Line: v.line, Column: v.column, Path: v.path, Text: fmt.Sprintf(format, args...)})
}

func (c *checker) at(m member, path, format string, args ...any) {
	c.problems = append(c.problems, Problem{Line: m.line, Column: m.column, Path: path, Text: fmt.Sprintf(format, args...)})
}

// members checks that v is a mapping with no other members than these; those
// with a ! must be there.
func (c *checker) members(v *value, names ...string) bool {
	if v.kind != mapping {
		c.fault(v, "must be a mapping, not %s", v.what())
		return false
	}
	plainNames := make([]string, len(names))
	good := true
	for i, name := range names {
		plainNames[i] = strings.TrimSuffix(name, "!")
		if plainNames[i] != name && v.get(plainNames[i]) == nil {
			c.fault(v, "%s is missing", plainNames[i])
			good = false
		}
	}
	for _, m := range v.members {
		if !slices.Contains(plainNames, m.name) {
			c.at(m, v.path, "there is no member [%s] here; there are %s", cut(m.name, 60), strings.Join(plainNames, ", "))
		}
	}
	return good
}

func (c *checker) isText(v *value) bool {
	switch {
	case v.kind == mapping:
		c.fault(v, "must be a text, not a mapping; a reference such as {{ NAME }} must stand in quotes")
	case v.kind == list:
		c.fault(v, "must be a text, not a list")
	case v.null:
		c.fault(v, "must be a text, not nothing")
	case strings.ContainsRune(v.text, 0):
		c.fault(v, "has a zero byte")
	default:
		return true
	}
	return false
}

// text returns "" for nil and after a problem.
func (c *checker) text(v *value) string {
	if v == nil || !c.isText(v) {
		return ""
	}
	return v.text
}

func (c *checker) oneOf(v *value, texts ...string) string {
	if v == nil || !c.isText(v) {
		return ""
	}
	if !slices.Contains(texts, v.text) {
		c.fault(v, "must be %s, not %s", strings.Join(texts, " or "), v.what())
	}
	return v.text
}

// number returns an integer, 0 for nil and after a problem.
func (c *checker) number(v *value) int {
	if v == nil {
		return 0
	}
	n, err := strconv.ParseInt(v.text, 10, 32)
	if v.kind != scalar || err != nil {
		c.fault(v, "must be an integer, not %s", v.what())
		return 0
	}
	return int(n)
}

// items returns those of a list that must not be empty.
func (c *checker) items(v *value, most int) []*value {
	switch {
	case v == nil:
		return nil
	case v.kind != list:
		c.fault(v, "must be a list, not %s", v.what())
		return nil
	case len(v.items) == 0:
		c.fault(v, "the list is empty")
	case len(v.items) > most:
		c.fault(v, "there are %d entries, and may be %d", len(v.items), most)
		return v.items[:most]
	}
	return v.items
}

func (c *checker) document(v *value) *Document {
	d := &Document{}
	c.members(v, "name", "description", "schemaVersion!", "parameters", "constants", "phases!")
	if v.kind != mapping {
		return d
	}
	d.Name, d.Description = c.text(v.get("name")), c.text(v.get("description"))
	if version := v.get("schemaVersion"); version != nil && c.isText(version) && version.text != "1.0" {
		c.fault(version, "schema version 1.0 is read, not %s", version.what())
	}
	for _, m := range c.variables(d, v.get("parameters"), "type!", "default", "description") {
		p := Parameter{Name: m.name, Description: c.text(m.value.get("description"))}
		if value := m.value.get("default"); value != nil && c.isText(value) {
			p.Default = &value.text
		}
		d.Parameters = append(d.Parameters, p)
	}
	for _, m := range c.variables(d, v.get("constants"), "type!", "value!") {
		d.Constants = append(d.Constants, Constant{Name: m.name, Value: c.text(m.value.get("value"))})
	}
	steps, known := 0, false
	for _, item := range c.items(v.get("phases"), maxPhases) {
		phase, place := c.phase(item)
		if _, again := d.find(phase.Name); again != nil && phase.Name != "" {
			c.fault(place, "there is another phase [%s]", cut(phase.Name, 60))
		}
		known = known || phase.Name == "build" || phase.Name == "validate" || phase.Name == "test"
		steps += len(phase.Steps)
		d.Phases = append(d.Phases, phase)
	}
	if phases := v.get("phases"); phases != nil && len(d.Phases) > 0 {
		if !known {
			c.fault(phases, "at least one phase must be build, validate or test")
		}
		if steps > maxSteps {
			c.fault(phases, "there are %d steps, and may be %d", steps, maxSteps)
		}
	}
	return d
}

// variables reads a list of mappings NAME: {type: string, ...}.
func (c *checker) variables(d *Document, v *value, names ...string) []member {
	var all []member
	for _, item := range c.items(v, maxVariables) {
		if item.kind != mapping || len(item.members) != 1 {
			c.fault(item, "must be a name with its type, not %s", item.what())
			continue
		}
		m := item.members[0]
		known := d.variable(m.name) || slices.ContainsFunc(all, func(other member) bool { return other.name == m.name })
		switch {
		case !variableForm().MatchString(m.name):
			c.at(m, item.path, "the name [%s] must have 3 to 128 letters, digits, - and _", cut(m.name, 60))
		case known:
			c.at(m, item.path, "there is another parameter or constant [%s]", m.name)
		}
		c.members(m.value, names...)
		if m.value.kind != mapping {
			continue
		}
		c.oneOf(m.value.get("type"), "string")
		all = append(all, m)
	}
	return all
}

// name reads the member name of v, and returns the value that a message about it
// belongs to.
func (c *checker) name(v *value) (string, *value) {
	n := v.get("name")
	if n == nil {
		return "", v
	}
	if !c.isText(n) {
		return "", n
	}
	if !nameForm().MatchString(n.text) {
		c.fault(n, "a name has 1 to 128 letters, digits, - and _, unlike %s", n.what())
	}
	return n.text, n
}

func (c *checker) phase(v *value) (Phase, *value) {
	var p Phase
	c.members(v, "name!", "steps!")
	if v.kind != mapping {
		return p, v
	}
	var place *value
	p.Name, place = c.name(v)
	loops := map[string]bool{}
	for _, item := range c.items(v.get("steps"), maxSteps) {
		step, at := c.step(item)
		if _, again := p.find(step.Name); again != nil && step.Name != "" {
			c.fault(at, "the phase has another step [%s]", cut(step.Name, 60))
		}
		if l := step.loop; l != nil && l.name != "" {
			if loops[l.name] {
				c.fault(item, "the phase has another loop [%s]", cut(l.name, 60))
			}
			loops[l.name] = true
		}
		p.Steps = append(p.Steps, step)
	}
	return p, place
}

func (c *checker) step(v *value) (Step, *value) {
	s := Step{Timeout: DefaultTimeout, OnFailure: Abort, MaxAttempts: 1}
	c.members(v, "name!", "action!", "timeoutSeconds", "onFailure", "maxAttempts", "inputs", "loop", "if")
	if v.kind != mapping {
		return s, v
	}
	var place *value
	s.Name, place = c.name(v)
	if t := v.get("timeoutSeconds"); t != nil {
		n := c.number(t)
		if n == 0 && t.text == "0" || n < -1 {
			c.fault(t, "must be a number of seconds, or -1 for none")
		}
		s.Timeout = time.Duration(max(n, 0)) * time.Second
	}
	if f := v.get("onFailure"); f != nil {
		s.OnFailure = OnFailure(c.oneOf(f, string(Abort), string(Continue), string(Ignore)))
	}
	if m := v.get("maxAttempts"); m != nil {
		before := len(c.problems)
		s.MaxAttempts = c.number(m)
		if len(c.problems) == before && (s.MaxAttempts < 1 || s.MaxAttempts > maxAttempts) {
			c.fault(m, "must be 1 to %d", maxAttempts)
		}
	}
	if l := v.get("loop"); l != nil {
		s.loop = c.loop(l)
	}
	if w := v.get("if"); w != nil {
		s.when = c.conditional(w)
	}
	s.inputs = v.get("inputs")
	if a := v.get("action"); a != nil && c.isText(a) {
		s.Action = a.text
		c.action(&s, v, a)
	}
	return s, place
}

// action finds the step's action and checks the inputs that it has.
func (c *checker) action(s *Step, v, name *value) {
	if why, ok := refused[s.Action]; ok {
		c.fault(name, "action %s can't be used: %s", s.Action, why)
		return
	}
	s.act = actions[s.Action]
	if s.act == nil {
		c.fault(name, "there is no action %s", name.what())
		return
	}
	if s.inputs == nil {
		c.fault(v, "inputs is missing")
		return
	}
	switch {
	case s.act.asserts:
		s.assert = c.condition(s.inputs, 0)
	case !s.act.each:
		c.inputs(s.act, s.inputs)
	default:
		for _, item := range c.items(s.inputs, maxNodes) {
			c.inputs(s.act, item)
		}
	}
}

// inputs checks one mapping of inputs.
func (c *checker) inputs(a *action, v *value) {
	names := make([]string, len(a.fields))
	for i, f := range a.fields {
		names[i] = f.name
		if f.required {
			names[i] += "!"
		}
	}
	c.members(v, names...)
	if v.kind != mapping {
		return
	}
	for _, f := range a.fields {
		in := v.get(f.name)
		if in == nil {
			continue
		}
		if f.kind == texts {
			if in.kind == list && len(in.items) == 0 && !f.required {
				continue
			}
			for _, item := range c.items(in, maxNodes) {
				c.isText(item)
			}
			continue
		}
		if !c.isText(in) {
			continue
		}
		if f.kind == flag {
			c.oneOf(in, "true", "false")
		} else if f.check != nil && plain(in.text) {
			if wrong := f.check(in.text); wrong != "" {
				c.fault(in, "%s", wrong)
			}
		}
	}
	if a.together != nil {
		if wrong := a.together(v); wrong != "" {
			c.fault(v, "%s", wrong)
		}
	}
}

// references checks all those of the document, which is sound otherwise.
func (c *checker) references(d *Document) {
	for i := range d.Phases {
		for j := range d.Phases[i].Steps {
			step := &d.Phases[i].Steps[j]
			in := scope{doc: d, phase: i, step: j}
			check := func(v *value) {
				if outside := fromAWS(v.text); outside != "" {
					c.fault(v, "reference [%s] can't be used: there is no AWS Systems Manager here; use a parameter", cut(outside, 100))
				}
				for _, r := range references(v.text) {
					if wrong := in.check(r); wrong != "" {
						c.fault(v, "%s", wrong)
					}
				}
			}
			if step.loop != nil {
				in.loopName = step.loop.name
				step.loop.texts(check)
			}
			if step.when != nil {
				step.when.condition.texts(check)
			}
			in.inLoop = step.loop != nil
			leaves(step.inputs, check)
		}
	}
}

// leaves calls f with all scalars of v.
func leaves(v *value, f func(*value)) {
	if v.kind == scalar {
		f(v)
	}
	for _, item := range v.items {
		leaves(item, f)
	}
	for _, m := range v.members {
		leaves(m.value, f)
	}
}

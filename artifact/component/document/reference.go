package document

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// braces finds what may be references; referenceForm is what is one. Everything
// else in double braces belongs to somebody else's templates.
var (
	braces        = regexp.MustCompile(`\{\{([^{}]*)\}\}`)
	referenceForm = regexp.MustCompile(`^[A-Za-z0-9_-]+(\[[0-9]{1,6}\])?(\.[A-Za-z0-9_-]+(\[[0-9]{1,6}\])?)*$`)
)

// maxReference is the most bytes of a reference: three names and what is between.
const maxReference = 600

// part of a reference: a name and perhaps an index behind it.
type part struct {
	name  string
	index int // -1: none
}

// reference is what stands between double braces.
type reference struct {
	text  string
	parts []part
}

// asReference returns false for what is none.
func asReference(inner string) (reference, bool) {
	inner = strings.TrimSpace(inner)
	if len(inner) > maxReference || !referenceForm.MatchString(inner) {
		return reference{}, false
	}
	r := reference{text: inner}
	for one := range strings.SplitSeq(inner, ".") {
		p := part{name: one, index: -1}
		if name, rest, ok := strings.Cut(one, "["); ok {
			index, err := strconv.Atoi(strings.TrimSuffix(rest, "]"))
			if err != nil {
				return reference{}, false
			}
			p = part{name: name, index: index}
		}
		r.parts = append(r.parts, p)
	}
	return r, true
}

// references returns those of a text.
func references(text string) []reference {
	var all []reference
	for _, m := range braces.FindAllStringSubmatch(text, -1) {
		if r, ok := asReference(m[1]); ok {
			all = append(all, r)
		}
	}
	return all
}

// fromAWS returns a reference to something that AWS keeps elsewhere, "" if there
// is none: {{ aws:ssm:NAME }} must not be taken for text.
func fromAWS(text string) string {
	for _, m := range braces.FindAllStringSubmatch(text, -1) {
		if inner := strings.TrimSpace(m[1]); strings.HasPrefix(inner, "aws:") {
			return inner
		}
	}
	return ""
}

// plain says whether a text has no references, so that it can be judged before
// the document runs.
func plain(text string) bool { return len(references(text)) == 0 }

// replace puts into text what of returns for its references.
func replace(text string, of func(reference) (string, error)) (string, error) {
	var b strings.Builder
	last := 0
	for _, at := range braces.FindAllStringSubmatchIndex(text, -1) {
		r, ok := asReference(text[at[2]:at[3]])
		if !ok {
			continue
		}
		with, err := of(r)
		if err != nil {
			return "", err
		}
		b.WriteString(text[last:at[0]])
		b.WriteString(with)
		last = at[1]
		if b.Len() > maxText {
			return "", fmt.Errorf("a text with its references replaced is longer than %d bytes", maxText)
		}
	}
	b.WriteString(text[last:])
	return b.String(), nil
}

// maxText is the most bytes that a text may have when its references are
// replaced.
const maxText = 1 << 20

// walk goes from an input to a part of it: inputs[1].source, inputs.commands[0].
func walk(v *value, parts []part) *value {
	for i, p := range parts {
		if i > 0 { // the first is inputs itself
			if v.kind != mapping {
				return nil
			}
			if v = v.get(p.name); v == nil {
				return nil
			}
		} else if v.kind == list && p.index < 0 && len(parts) > 1 {
			// inputs.path of a list is that of its first entry.
			p.index = 0
		}
		if p.index >= 0 {
			if v.kind != list || p.index >= len(v.items) {
				return nil
			}
			v = v.items[p.index]
		}
	}
	if v.kind != scalar {
		return nil
	}
	return v
}

// output returns which output a reference PHASE.STEP.outputs means, and its name.
func (r reference) output() (index int, name string, ok bool) {
	if len(r.parts) != 4 || r.parts[2].name != "outputs" || r.parts[3].index >= 0 {
		return 0, "", false
	}
	return max(r.parts[2].index, 0), r.parts[3].name, true
}

// scope is what the references of a step may name.
type scope struct {
	doc      *Document
	phase    int // of the step, in doc.Phases
	step     int
	loopName string
	inLoop   bool // the text is an input of a step with a loop
}

// check says what is wrong with a reference, "" if nothing is.
func (s scope) check(r reference) string {
	first := r.parts[0]
	switch {
	case len(r.parts) == 1:
		if first.index < 0 && s.doc.variable(first.name) {
			return ""
		}
		return fmt.Sprintf("there is no parameter or constant [%s]", r.text)
	case r.text == "souk.files":
		return ""
	case len(r.parts) == 2:
		if first.index < 0 && (first.name == "loop" || s.loopName != "" && first.name == s.loopName) {
			switch {
			case !s.inLoop:
				return fmt.Sprintf("[%s] can be used in the inputs of a step with that loop only", r.text)
			case r.parts[1].index < 0 && (r.parts[1].name == "index" || r.parts[1].name == "value"):
				return ""
			}
			return fmt.Sprintf("a loop has index and value, not [%s]", r.text)
		}
		return fmt.Sprintf("reference [%s] names neither the step's loop nor a step's input or output", r.text)
	case len(r.parts) < 4 && !(len(r.parts) == 3 && r.parts[2].name == "inputs"):
		return fmt.Sprintf("reference [%s] must be PHASE.STEP.inputs or PHASE.STEP.outputs, and a name", r.text)
	}
	return s.checkStep(r)
}

func (s scope) checkStep(r reference) string {
	if r.parts[0].index >= 0 || r.parts[1].index >= 0 {
		return fmt.Sprintf("reference [%s] has an index where a name is", r.text)
	}
	at, phase := s.doc.find(r.parts[0].name)
	if phase == nil {
		return fmt.Sprintf("reference [%s]: there is no phase [%s]", r.text, r.parts[0].name)
	}
	i, step := phase.find(r.parts[1].name)
	if step == nil {
		return fmt.Sprintf("reference [%s]: phase [%s] has no step [%s]", r.text, phase.Name, r.parts[1].name)
	}
	if at > s.phase || at == s.phase && i >= s.step {
		return fmt.Sprintf("reference [%s]: that step does not come before this one", r.text)
	}
	switch r.parts[2].name {
	case "inputs":
		if step.inputs == nil || walk(step.inputs, r.parts[2:]) == nil {
			return fmt.Sprintf("reference [%s]: that step has no such input", r.text)
		}
		return ""
	case "outputs":
		index, name, ok := r.output()
		if !ok || step.act == nil || !step.act.gives(name) || index > 0 && (!step.act.each || step.inputs == nil || index >= len(step.inputs.items)) {
			return fmt.Sprintf("reference [%s]: %s has no such output", r.text, step.Action)
		}
		return ""
	}
	return fmt.Sprintf("reference [%s] must name inputs or outputs of the step", r.text)
}

func (d *Document) variable(name string) bool {
	for _, p := range d.Parameters {
		if p.Name == name {
			return true
		}
	}
	for _, c := range d.Constants {
		if c.Name == name {
			return true
		}
	}
	return false
}

func (d *Document) find(phase string) (int, *Phase) {
	for i := range d.Phases {
		if d.Phases[i].Name == phase {
			return i, &d.Phases[i]
		}
	}
	return 0, nil
}

func (p *Phase) find(step string) (int, *Step) {
	for i := range p.Steps {
		if p.Steps[i].Name == step {
			return i, &p.Steps[i]
		}
	}
	return 0, nil
}

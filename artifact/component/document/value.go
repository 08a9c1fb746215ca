package document

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// kind of a value.
type kind int

const (
	scalar kind = iota
	list
	mapping
)

// value is a value of the YAML with its place. Aliases are replaced by what they
// stand for.
type value struct {
	kind         kind
	text         string // of a scalar, as it was written but for quotes
	null         bool   // a scalar that is nothing at all
	items        []*value
	members      []member
	path         string
	line, column int
}

// member of a mapping.
type member struct {
	name         string
	value        *value
	line, column int
}

// get returns the member of that name, nil if there is none.
func (v *value) get(name string) *value {
	for _, m := range v.members {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// what names the kind of a value for people.
func (v *value) what() string {
	switch {
	case v.kind == list:
		return "a list"
	case v.kind == mapping:
		return "a mapping"
	case v.null:
		return "nothing"
	}
	return "[" + cut(v.text, 60) + "]"
}

// cut shortens what a stranger wrote for a message.
func cut(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)
	if len(s) <= most {
		return s
	}
	end := most
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "..."
}

// yamlPlace finds the line in an error of the YAML parser.
var yamlPlace = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// decode reads data as one YAML document.
func decode(data []byte) (*value, Problems) {
	whole := func(format string, args ...any) (*value, Problems) {
		return nil, Problems{{Text: fmt.Sprintf(format, args...)}}
	}
	switch {
	case len(data) > MaxSize:
		return whole("the document has %d bytes, and may have %d", len(data), MaxSize)
	case !utf8.Valid(data):
		for i, line := range bytes.Split(data, []byte("\n")) {
			if !utf8.Valid(line) {
				return nil, Problems{{Line: i + 1, Column: 1, Text: "the line is not UTF-8"}}
			}
		}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var root yaml.Node
	err := decoder.Decode(&root)
	if errors.Is(err, io.EOF) || err == nil && len(root.Content) == 0 {
		return whole("the document is empty")
	}
	if err != nil {
		return nil, Problems{syntax(err)}
	}
	var second yaml.Node
	err = decoder.Decode(&second)
	if err == nil {
		return nil, Problems{{Line: second.Line, Column: second.Column, Text: "there is a second YAML document; one is read"}}
	}
	if !errors.Is(err, io.EOF) {
		return nil, Problems{syntax(err)}
	}
	t := translation{}
	v := t.value(root.Content[0], "", 0)
	return v, t.problems
}

// syntax makes a problem of an error of the YAML parser.
func syntax(err error) Problem {
	text := err.Error()
	m := yamlPlace.FindStringSubmatch(text)
	if m == nil {
		return Problem{Text: "not YAML: " + cut(text, 200)}
	}
	p := Problem{Text: "not YAML: " + cut(text[len(m[0]):], 200)}
	if line, err := strconv.Atoi(m[1]); err == nil {
		p.Line, p.Column = line, 1
	}
	return p
}

// translation makes values of the nodes of the YAML parser. It ends early when
// there are too many, so that aliases of aliases cost nothing.
type translation struct {
	nodes    int
	over     bool
	problems Problems
}

func (t *translation) fault(n *yaml.Node, path, format string, args ...any) {
	t.problems = append(t.problems, Problem{Line: n.Line, Column: n.Column, Path: path, Text: fmt.Sprintf(format, args...)})
}

// value returns nil where the node is refused.
func (t *translation) value(n *yaml.Node, path string, depth int) *value {
	if t.over {
		return nil
	}
	t.nodes++
	if t.nodes > maxNodes || depth > maxDepth {
		t.over = true
		if depth > maxDepth {
			t.fault(n, "", "values stand in one another more than %d deep", maxDepth)
		} else {
			t.fault(n, "", "the document has more than %d values, its aliases written out", maxNodes)
		}
		return nil
	}
	// An alias has the place where it stands, not that of what it stands for.
	v := &value{path: path, line: n.Line, column: n.Column}
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch n.Kind {
	case yaml.ScalarNode:
		switch n.ShortTag() {
		case "!!str", "!!int", "!!float", "!!bool", "!!timestamp":
			v.text = n.Value
		case "!!null":
			v.null = true
		default:
			t.fault(n, path, "tag [%s] can't be used", cut(n.Tag, 60))
			return nil
		}
	case yaml.SequenceNode:
		v.kind = list
		for i, item := range n.Content {
			if one := t.value(item, fmt.Sprintf("%s[%d]", path, i), depth+1); one != nil {
				v.items = append(v.items, one)
			}
		}
	case yaml.MappingNode:
		v.kind = mapping
		seen := map[string]int{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			place := key
			for key.Kind == yaml.AliasNode {
				key = key.Alias
			}
			if key.Kind == yaml.MappingNode {
				t.fault(place, path, "a mapping can't be a name; a reference such as {{ NAME }} must stand in quotes")
				continue
			}
			if key.Kind != yaml.ScalarNode {
				t.fault(place, path, "a list can't be a name")
				continue
			}
			if line, ok := seen[key.Value]; ok {
				t.fault(place, path, "member [%s] stands here again, after line %d", cut(key.Value, 60), line)
				continue
			}
			seen[key.Value] = place.Line
			below := key.Value
			if path != "" {
				below = path + "." + key.Value
			}
			if one := t.value(n.Content[i+1], cut(below, 200), depth+1); one != nil {
				v.members = append(v.members, member{name: key.Value, value: one, line: place.Line, column: place.Column})
			}
		}
	default:
		t.fault(n, path, "can't be read")
		return nil
	}
	return v
}

package appstream

import (
	"io/fs"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"souk/gateway/awsjson"
)

// The facts of AppStream's model, as spec/appstream.tsv has them.
type facts struct {
	shapes     map[string]map[string]string            // of an operation: input and output
	exceptions map[string]map[string]string            // of an operation: their statuses
	members    map[string]map[string]string            // of a structure: their types
	rules      map[string]map[string]map[string]string // of a structure's member: its constraints
}

func loadFacts(t *testing.T) facts {
	t.Helper()
	text, err := os.ReadFile("../../spec/appstream.tsv")
	if err != nil {
		t.Fatal(err)
	}
	f := facts{map[string]map[string]string{}, map[string]map[string]string{}, map[string]map[string]string{}, map[string]map[string]map[string]string{}}
	put := func(in map[string]map[string]string, of, name, value string) {
		if in[of] == nil {
			in[of] = map[string]string{}
		}
		if name != "" {
			in[of][name] = value
		}
	}
	for line := range strings.Lines(string(text)) {
		row := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if strings.HasPrefix(line, "#") || row[0] == "kind" {
			continue
		}
		if len(row) != 6 {
			t.Fatalf("a row has %d columns: %s", len(row), line)
		}
		switch row[0] {
		case "operation":
			put(f.shapes, row[1], row[2], row[4])
			put(f.exceptions, row[1], "", "")
		case "exception":
			put(f.exceptions, row[1], row[2], row[4])
		case "member":
			put(f.members, row[1], row[2], row[4])
		case "constraint":
			if f.rules[row[1]] == nil {
				f.rules[row[1]] = map[string]map[string]string{}
			}
			put(f.rules[row[1]], row[2], row[3], row[4])
		default:
			t.Fatalf("a row of no kind: %s", line)
		}
	}
	return f
}

// ours are operations and members that the model has not.
var ours = map[string]bool{
	"OpenImageBuilderSession":               true,
	"CreateImportedImageRequest.Visibility": true,
}

// never are members of answers that have no cause here: docs/divergences.md says
// which those are.
var never = map[string]bool{
	"ImageBuilder.NetworkAccessConfiguration":   true, // no network interfaces of a VPC
	"Application.Arn":                           true, // of applications of app blocks
	"Application.AppBlockArn":                   true,
	"Application.IconS3Location":                true,
	"ServiceAccountCredentials.AccountPassword": true, // of answers: nobody is told
}

// every has all rooms, so that all operations are there. They are not called.
func every() *service {
	return &service{Config{
		Images: struct{ Images }{}, Builders: struct{ Builders }{}, Directories: struct{ Directories }{}, Tags: struct{ Tags }{}, Sessions: struct{ Sessions }{},
	}}
}

func TestExceptionsAreThoseOfTheModel(t *testing.T) {
	t.Parallel()
	f := loadFacts(t)
	status := statuses()
	for operation, want := range f.exceptions {
		got, known := bound[operation]
		if !known {
			t.Errorf("%s is an operation of the model, and nothing is said of it", operation)
			continue
		}
		if names := slices.Sorted(maps.Keys(want)); !slices.Equal(names, slices.Sorted(slices.Values(got))) {
			t.Errorf("%s: the model binds %v, the table has %v", operation, names, got)
		}
		for name, s := range want {
			if text := map[int]string{400: "400", 404: "404", 412: "412"}[status[name]]; text != s {
				t.Errorf("%s has the status %d, want %s", name, status[name], s)
			}
		}
	}
	for operation := range bound {
		if f.exceptions[operation] == nil && !ours[operation] {
			t.Errorf("%s is no operation of the model", operation)
		}
	}
}

// TestStructsAreThoseOfTheModel: every member of an input and of an output is
// there with its type, and nothing else; and every constraint of an input.
func TestStructsAreThoseOfTheModel(t *testing.T) {
	t.Parallel()
	f := loadFacts(t)
	offered := map[string]bool{}
	for _, a := range every().actions() {
		name := a.operation.Name
		if offered[name] {
			t.Errorf("%s is offered twice", name)
		}
		offered[name] = true
		if ours[name] {
			continue
		}
		shapes := f.shapes[name]
		if shapes["input"] == "" {
			t.Errorf("%s is offered, and spec/appstream.tsv has nothing of its members", name)
			continue
		}
		c := comparison{t: t, facts: f, operation: name, input: true}
		c.structure(reflect.TypeOf(a.operation.Input()).Elem(), shapes["input"], nil)
		c.input = false
		c.structure(a.output, shapes["output"], nil)
	}
	for name, shapes := range f.shapes {
		if shapes["input"] != "" && !offered[name] {
			t.Errorf("%s is not offered", name)
		}
	}
}

// TestOtherOperationsAreRefusedByName: an operation of the model is offered, or
// known as one that is not.
func TestOtherOperationsAreRefusedByName(t *testing.T) {
	t.Parallel()
	g, err := Service(every().Config)
	if err != nil {
		t.Fatal(err)
	}
	for name := range g.Instead {
		if !slices.Contains(g.NotOffered, name) {
			t.Errorf("%s is no operation that is refused, and something is said to be there instead", name)
		}
	}
	known := slices.Clone(g.NotOffered)
	for _, op := range g.Operations {
		if !ours[op.Name] {
			known = append(known, op.Name)
		}
	}
	slices.Sort(known)
	if all := slices.Sorted(maps.Keys(loadFacts(t).exceptions)); !slices.Equal(all, known) {
		t.Errorf("the model has\n%v\noffered or refused are\n%v", all, known)
	}
}

type comparison struct {
	t         *testing.T
	facts     facts
	operation string
	input     bool
}

func (c *comparison) wrong(shape, member, format string, args ...any) {
	c.t.Helper()
	c.t.Errorf("%s: %s.%s "+format, append([]any{c.operation, shape, member}, args...)...)
}

// structure compares a struct with the model's structure of a name. within are
// those that it lies in.
func (c *comparison) structure(t reflect.Type, shape string, within []string) {
	c.t.Helper()
	if t.Kind() != reflect.Struct {
		c.t.Errorf("%s: %s is a %v", c.operation, shape, t)
		return
	}
	if slices.Contains(within, shape) {
		return
	}
	within = append(within, shape)
	seen := map[string]bool{}
	for i := range t.NumField() {
		field := t.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !field.IsExported() || name == "-" || ours[shape+"."+field.Name] {
			continue
		}
		if name == "" {
			name = field.Name
		}
		seen[name] = true
		want, known := c.facts.members[shape][name]
		if !known {
			c.wrong(shape, name, "is no member of the model")
			continue
		}
		c.member(field, shape, name, want, within)
	}
	for name := range c.facts.members[shape] {
		if !seen[name] && (c.input || !never[shape+"."+name]) {
			c.wrong(shape, name, "is lacking")
		}
	}
}

func (c *comparison) member(field reflect.StructField, shape, name, want string, within []string) {
	c.t.Helper()
	if c.input {
		c.rules(field, shape, name)
	}
	t := field.Type
	for kind := range strings.FieldsSeq(want) {
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		right := false
		switch kind {
		case "text":
			right = t.Kind() == reflect.String
		case "integer":
			right = t.Kind() == reflect.Int || t.Kind() == reflect.Int64 || t.Kind() == reflect.Int32
		case "boolean":
			right = t.Kind() == reflect.Bool
		case "timestamp":
			right = t == reflect.TypeFor[awsjson.Time]()
		case "structure":
			_, of, _ := strings.Cut(want, "structure ")
			c.structure(t, of, within)
			return
		case "list":
			right = t.Kind() == reflect.Slice
		case "map":
			right = t.Kind() == reflect.Map && t.Key().Kind() == reflect.String
		}
		if !right {
			c.wrong(shape, name, "is a %v, want a %s", field.Type, want)
			return
		}
		if kind == "list" || kind == "map" {
			t = t.Elem()
		}
	}
}

// constraints are the struct tags that the gateway checks.
var constraints = []string{"required", "sensitive", "len", "pattern", "enum", "range", "size", "memberlen", "memberpattern", "memberenum", "keylen", "keypattern"}

func (c *comparison) rules(field reflect.StructField, shape, name string) {
	c.t.Helper()
	rules := c.facts.rules[shape][name]
	for _, rule := range constraints {
		want, wanted := rules[rule]
		got, given := field.Tag.Lookup(rule)
		if strings.HasSuffix(rule, "len") || rule == "size" || rule == "range" {
			// Nothing is shorter than 0 characters, and a text that is plain and
			// empty is absent already.
			want, got = strings.TrimPrefix(want, "0"), strings.TrimPrefix(got, "0")
			if rule == "range" {
				want, got = rules[rule], field.Tag.Get(rule)
			}
			if rule == "len" && field.Type.Kind() == reflect.String {
				want, got = strings.TrimPrefix(want, "1"), strings.TrimPrefix(got, "1")
			}
			wanted, given = wanted && want != ",", given && got != ","
		}
		switch {
		case wanted && !given:
			c.wrong(shape, name, "lacks %s:%q", rule, rules[rule])
		case given && !wanted:
			c.wrong(shape, name, "has %s:%q, of which the model knows nothing", rule, field.Tag.Get(rule))
		case given && want != got:
			c.wrong(shape, name, "has %s:%q, want %q", rule, field.Tag.Get(rule), rules[rule])
		}
	}
}

// TestNothingGoesRoundTheBoundExceptions: an operation that is not made by act
// could answer with any exception.
func TestNothingGoesRoundTheBoundExceptions(t *testing.T) {
	t.Parallel()
	each(t, ".", func(name, text string) {
		if strings.Contains(text, "gateway.Op(") && name != "appstream.go" {
			t.Errorf("%s makes an operation without act", name)
		}
	})
}

// TestRoomsKnowNoOtherExceptions: a code that the service has not would go out
// as a failure of the server.
func TestRoomsKnowNoOtherExceptions(t *testing.T) {
	t.Parallel()
	known, quoted := statuses(), regexp.MustCompile(`"(\w+Exception)"`)
	for _, dir := range []string{".", "../../artifact/appstream"} {
		each(t, dir, func(name, text string) {
			for _, m := range quoted.FindAllStringSubmatch(text, -1) {
				if known[m[1]] == 0 {
					t.Errorf("%s says %s, which no operation is bound to", name, m[1])
				}
			}
		})
	}
}

// each reads the Go files below a folder, but tests.
func each(t *testing.T, dir string, do func(name, text string)) {
	t.Helper()
	files := os.DirFS(dir)
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return err
		}
		text, err := fs.ReadFile(files, name)
		do(name, string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

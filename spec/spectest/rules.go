// Package spectest compares the rules that change types state in their source
// with the documentation's tables, both ways: none missing, none invented.
//
// It reads Go files and runs nothing: a rule is a call of
// (*change.Checks).Refuse whose code and message are literals.
package spectest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"souk/spec"
)

// Rule is the code and the message of a call of Refuse.
type Rule struct{ Code, Message string }

// Source is the parsed Go files of an entity's package and of the packages
// whose functions its rules call.
type Source struct {
	files     *token.FileSet
	functions map[string]*ast.FuncDecl // "package.Function" and "package.Type.Method"
	embedded  map[string][]string      // "package.Type" -> the types that it embeds
}

// Read parses the packages of folders, tests left out.
func Read(folders ...string) (*Source, error) {
	s := &Source{files: token.NewFileSet(), functions: map[string]*ast.FuncDecl{}, embedded: map[string][]string{}}
	for _, folder := range folders {
		entries, err := os.ReadDir(folder)
		if err != nil {
			return nil, fmt.Errorf("reading the rules of %s: %w", folder, err)
		}
		for _, entry := range entries {
			if !strings.HasSuffix(entry.Name(), ".go") || strings.HasSuffix(entry.Name(), "_test.go") {
				continue
			}
			file, err := parser.ParseFile(s.files, filepath.Join(folder, entry.Name()), nil, parser.SkipObjectResolution)
			if err != nil {
				return nil, fmt.Errorf("reading the rules of %s: %w", folder, err)
			}
			s.add(file)
		}
	}
	return s, nil
}

func (s *Source) add(file *ast.File) {
	pkg := file.Name.Name
	for _, declaration := range file.Decls {
		switch d := declaration.(type) {
		case *ast.FuncDecl:
			name := d.Name.Name
			if d.Recv != nil {
				name = typeName(d.Recv.List[0].Type) + "." + name
			}
			s.functions[pkg+"."+name] = d
		case *ast.GenDecl:
			for _, one := range d.Specs {
				t, ok := one.(*ast.TypeSpec)
				if !ok {
					continue
				}
				if fields, ok := t.Type.(*ast.StructType); ok {
					for _, field := range fields.Fields.List {
						if len(field.Names) == 0 {
							s.embedded[pkg+"."+t.Name.Name] = append(s.embedded[pkg+"."+t.Name.Name], qualify(pkg, field.Type))
						}
					}
				}
			}
		}
	}
}

// typeName is the bare name of a receiver's type.
func typeName(e ast.Expr) string {
	switch t := e.(type) {
	case *ast.StarExpr:
		return typeName(t.X)
	case *ast.IndexExpr:
		return typeName(t.X)
	case *ast.Ident:
		return t.Name
	}
	return ""
}

// qualify is "package.Type" of a type that is named in pkg.
func qualify(pkg string, e ast.Expr) string {
	switch t := e.(type) {
	case *ast.StarExpr:
		return qualify(pkg, t.X)
	case *ast.SelectorExpr:
		return t.X.(*ast.Ident).Name + "." + t.Sel.Name
	case *ast.Ident:
		return pkg + "." + t.Name
	}
	return ""
}

// Rules collects the rules that a change type states in Valid, Check and Probe
// and in what these call within the packages of s, in the order of reading.
func (s *Source) Rules(pkg, changeType string) ([]Rule, error) {
	r := reader{source: s, seen: map[string]bool{}}
	for _, method := range []string{"Valid", "Check", "Probe"} {
		r.method(pkg+"."+changeType, method)
	}
	if len(r.problems) > 0 {
		return nil, fmt.Errorf("rules of %s: %s", changeType, strings.Join(r.problems, "; "))
	}
	return r.rules, nil
}

// reader walks from function to function.
type reader struct {
	source   *Source
	seen     map[string]bool
	rules    []Rule
	problems []string
}

// method reads a method of a type, or the one that an embedded type lends it.
func (r *reader) method(owner, name string) bool {
	if _, ok := r.source.functions[owner+"."+name]; ok {
		r.function(owner + "." + name)
		return true
	}
	for _, embedded := range r.source.embedded[owner] {
		if r.method(embedded, name) {
			return true
		}
	}
	return false
}

func (r *reader) function(key string) {
	declaration := r.source.functions[key]
	if declaration == nil || declaration.Body == nil || r.seen[key] {
		return
	}
	r.seen[key] = true
	pkg, owner, _ := strings.Cut(key, ".")
	owner, _, _ = strings.Cut(owner, ".")
	r.block(declaration.Body, pkg, pkg+"."+owner, false)
}

func (r *reader) block(node ast.Node, pkg, owner string, loop bool) {
	ast.Inspect(node, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ForStmt:
			r.block(n.Body, pkg, owner, true)
			return false
		case *ast.RangeStmt:
			r.block(n.Body, pkg, owner, true)
			return false
		case *ast.CallExpr:
			r.call(n, pkg, owner, loop)
		}
		return true
	})
}

func (r *reader) call(call *ast.CallExpr, pkg, owner string, loop bool) {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		r.function(pkg + "." + f.Name)
	case *ast.SelectorExpr:
		if f.Sel.Name == "Refuse" {
			r.refuse(call, loop)
			return
		}
		if x, ok := f.X.(*ast.Ident); ok && r.source.functions[x.Name+"."+f.Sel.Name] != nil {
			r.function(x.Name + "." + f.Sel.Name)
			return
		}
		// u.UpdateInformation.Check: the method of an embedded type.
		if x, ok := f.X.(*ast.SelectorExpr); ok {
			for _, embedded := range r.source.embedded[owner] {
				if strings.HasSuffix(embedded, "."+x.Sel.Name) && r.method(embedded, f.Sel.Name) {
					return
				}
			}
		}
		r.anyMethod(f.Sel.Name)
	}
}

// anyMethod reads the only method of that name. The types of variables are not
// known here, so methods that state rules have names of their own.
func (r *reader) anyMethod(name string) {
	var found []string
	for key := range r.source.functions {
		if strings.Count(key, ".") == 2 && strings.HasSuffix(key, "."+name) {
			found = append(found, key)
		}
	}
	if len(found) == 1 {
		r.function(found[0])
		return
	}
	for _, key := range found {
		stated := reader{source: r.source, seen: maps.Clone(r.seen)}
		stated.function(key)
		if len(stated.rules) > 0 {
			slices.Sort(found)
			r.problems = append(r.problems, "a call of "+name+" could be any of "+strings.Join(found, ", ")+": give the one that states rules a name of its own")
			return
		}
	}
}

func (r *reader) refuse(call *ast.CallExpr, loop bool) {
	where := r.source.files.Position(call.Pos()).String()
	if len(call.Args) < 3 {
		r.problems = append(r.problems, where+": Refuse without code and message")
		return
	}
	code, okCode := literal(call.Args[1])
	message, okMessage := literal(call.Args[2])
	switch {
	case !okCode || !okMessage:
		r.problems = append(r.problems, where+": code and message of Refuse must be literals")
	case loop:
		r.problems = append(r.problems, where+": Refuse within a loop: collect the offenders first")
	default:
		r.rules = append(r.rules, Rule{Code: code, Message: message})
	}
}

func literal(e ast.Expr) (string, bool) {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(l.Value)
	return text, err == nil
}

// CompareRules fails for every binding row of the tables that no rule of the
// change types states, and for every rule that no row has. Rules are read from
// folder (the entity's package) and from shared (what it calls).
func CompareRules(t *testing.T, entity string, changeTypes []string, folder string, shared ...string) {
	t.Helper()
	table, err := spec.Load()
	if err != nil {
		t.Fatal(err)
	}
	source, err := Read(append([]string{folder}, shared...)...)
	if err != nil {
		t.Fatal(err)
	}
	absolute, err := filepath.Abs(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, changeType := range changeTypes {
		t.Run(changeType, func(t *testing.T) {
			t.Parallel()
			rules, err := source.Rules(filepath.Base(absolute), changeType)
			if err != nil {
				t.Fatal(err)
			}
			want := map[Rule]bool{}
			for _, row := range table.Binding(entity, changeType) {
				rule := Rule{row.Code, row.Message}
				want[rule] = true
				if !slices.Contains(rules, rule) {
					t.Errorf("no rule states %s %q (%s, page %s)", row.Code, row.Message, row.Status, row.Source)
				}
			}
			for _, rule := range rules {
				if !want[rule] {
					t.Errorf("%s %q is stated and in no table", rule.Code, rule.Message)
				}
			}
		})
	}
}

// CompareSamples fails for every binding row that no sample provokes, and for
// every sample that provokes no row.
func CompareSamples(t *testing.T, entity string, changeTypes []string, testdata fs.FS) []spec.Sample {
	t.Helper()
	table, err := spec.Load()
	if err != nil {
		t.Fatal(err)
	}
	samples, err := spec.ReadSamples(testdata)
	if err != nil {
		t.Fatal(err)
	}
	provoked := map[int]bool{}
	for _, changeType := range changeTypes {
		rows := table.Binding(entity, changeType)
		for _, row := range rows {
			if !slices.ContainsFunc(samples, func(s spec.Sample) bool {
				return s.ChangeType == changeType && s.Code == row.Code && Fills(row.Message, s.Message)
			}) {
				t.Errorf("%s: no sample provokes %s %q", changeType, row.Code, row.Message)
			}
		}
		for i, s := range samples {
			if s.ChangeType == changeType && slices.ContainsFunc(rows, func(row spec.Row) bool {
				return s.Code == row.Code && Fills(row.Message, s.Message)
			}) {
				provoked[i] = true
			}
		}
	}
	for i, s := range samples {
		if !provoked[i] {
			t.Errorf("%s: no row has %s %q", s.Name, s.Code, s.Message)
		}
	}
	return samples
}

// bareHole is the one hole that pages write without brackets.
var bareHole = regexp.MustCompile(`\bimage [xX]\b`)

// Fills says whether message is pattern with its holes filled: the text outside
// of the holes is the same.
func Fills(pattern, message string) bool {
	pattern = bareHole.ReplaceAllString(pattern, "image [x]")
	for {
		start := strings.IndexAny(pattern, "[({")
		if start < 0 {
			return pattern == message
		}
		length := strings.IndexAny(pattern[start:], "])}")
		if length < 0 {
			return pattern == message
		}
		if !strings.HasPrefix(message, pattern[:start]) {
			return false
		}
		pattern, message = pattern[start+length+1:], message[start:]
		next := strings.IndexAny(pattern, "[({")
		if next < 0 {
			return strings.HasSuffix(message, pattern)
		}
		at := strings.Index(message, pattern[:next])
		if at < 0 {
			return false
		}
		message = message[at:]
	}
}

// Package docs holds Souk's documents and the tests that keep them, and the
// rules that design.md states about the code, true.
//
// The tests read files themselves, so that go test's cache sees a change in any
// of them.
package docs

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// edges says which rooms of ours a room may import, beside the rooms below
// itself. A pattern that ends in /* means every room below that one. A room
// that is missing here is a decision that is still to be made: design.md,
// "Rooms", then a line here.
var edges = map[string][]string{
	"cmd/souk": {"server", "server/control", "gateway/apierror", "conformance", "conformance/seller", "access/*", "artifact/chart", "artifact/images", "catalog/scenario", "egress/notify", "service/marketplaceimagebuild", "artifact/appstream/session", "artifact/machine", "artifact/machine/files"},
	"server":   {"*"},
	"server/control": {
		"access/*", "storage/store", "catalog/changeset", "catalog/procurement", "artifact/registry", "artifact/scan/advisory", "egress/notify", "gateway/apierror",
	},

	// Who calls, and whether they may. The gateway knows no service.
	"gateway":             {"access/*"},
	"gateway/apierror":    {},
	"gateway/sigv4":       {"gateway/apierror"},
	"gateway/constraint":  {"gateway/apierror"},
	"gateway/jsonwire":    {"gateway", "gateway/apierror"},
	"gateway/restjson":    {"gateway", "gateway/apierror", "gateway/jsonwire"},
	"gateway/awsjson":     {"gateway", "gateway/apierror", "gateway/jsonwire"},
	"gateway/rpcv2cbor":   {"gateway", "gateway/apierror", "gateway/awsjson", "gateway/jsonwire"},
	"gateway/awsquery":    {"gateway", "gateway/apierror"},
	"gateway/ec2query":    {"gateway", "gateway/apierror", "gateway/awsquery"},
	"access/iam":          {},
	"access/organization": {"access/iam", "access/keyring", "storage/store", "storage/store/audit", "storage/work", "gateway/apierror"},
	"access/keyring":      {"access/iam", "storage/store"},
	"access/trail":        {"access/iam", "storage/store", "storage/store/audit"},
	"access/quota":        {"storage/store"},

	// The AWS services: one room each, one file per action.
	"service/marketplacecatalog": {"gateway", "gateway/apierror", "gateway/restjson", "access/*", "artifact/scan/assessment", "catalog/changeset", "catalog/change"},
	"service/marketplacediscovery": {
		"gateway", "gateway/apierror", "gateway/restjson", "access/*", "catalog/listing", "catalog/procurement",
		"catalog/change", "catalog/product", "catalog/amiproduct", "catalog/containerproduct", "catalog/saasproduct",
	},
	"service/sts":                   {"gateway", "gateway/apierror", "gateway/awsquery", "access/*"},
	"service/ec2":                   {"gateway", "gateway/apierror", "gateway/ec2query", "access/*", "catalog/instancetype", "artifact/images"},
	"service/cloudtrail":            {"gateway", "gateway/apierror", "gateway/awsjson", "access/*"},
	"service/ecr":                   {"gateway", "gateway/apierror", "gateway/awsjson", "access/*", "artifact/registry"},
	"service/organizations":         {"gateway", "gateway/apierror", "gateway/awsjson", "access/*", "storage/store"},
	"service/sns":                   {"gateway", "gateway/apierror", "gateway/awsquery", "access/*", "egress/notify"},
	"service/imagebuilder":          {"gateway", "gateway/apierror", "gateway/restjson", "access/*", "artifact/component", "artifact/component/document"},
	"service/marketplaceimagebuild": {"gateway", "gateway/apierror", "gateway/awsjson", "access/*", "artifact/build"},
	"service/appstream":             {"gateway", "gateway/apierror", "gateway/awsjson", "gateway/rpcv2cbor", "access/*", "artifact/appstream/*", "artifact/images"},
	"service/iam":                   {"gateway", "gateway/apierror", "gateway/awsquery", "access/*"},

	// What a market holds. An entity's room knows facets and change types only.
	"catalog":                  {"catalog/change", "catalog/containerproduct", "catalog/saasproduct", "catalog/dataproduct", "catalog/amiproduct", "catalog/offer", "catalog/experience"},
	"catalog/change":           {},
	"catalog/product":          {"catalog/change"},
	"catalog/instancetype":     {},
	"catalog/containerproduct": {"catalog/product", "catalog/change"},
	"catalog/saasproduct":      {"catalog/product", "catalog/change"},
	"catalog/dataproduct":      {"catalog/product", "catalog/change"},
	"catalog/amiproduct":       {"catalog/product", "catalog/instancetype", "catalog/change"},
	"catalog/offer":            {"catalog/product", "catalog/change"},
	"catalog/experience":       {"catalog/change"},
	"catalog/changeset":        {"catalog/change", "storage/store", "storage/store/audit", "storage/work", "gateway/apierror"},
	"catalog/scenario":         {"catalog/changeset", "catalog/change", "storage/store"},
	"catalog/procurement":      {"storage/store", "storage/store/audit"},
	"catalog/listing":          {"catalog/change", "catalog/product", "catalog/amiproduct", "catalog/containerproduct", "catalog/saasproduct", "storage/store", "storage/store/audit"},

	// The software itself, and what must not be lost.
	"artifact/registry":            {"access/*", "artifact/chart", "catalog/change", "catalog/procurement", "storage/store", "storage/blob"},
	"artifact/chart":               {},
	"artifact/archive":             {},
	"artifact/images":              {"artifact/archive", "artifact/registry", "catalog/change", "storage/store", "storage/store/audit", "storage/work"},
	"artifact/scan":                {"artifact/archive", "catalog/change", "storage/store"},
	"artifact/scan/advisory":       {"artifact/scan/version", "storage/store"},
	"artifact/scan/assessment":     {"storage/store"},
	"artifact/scan/inventory":      {"artifact/scan/version"},
	"artifact/scan/version":        {},
	"artifact/layer":               {"artifact/archive", "artifact/images"},
	"artifact/machine":             {"artifact/images"},
	"artifact/machine/agent":       {"artifact/machine", "artifact/machine/frame"},
	"artifact/machine/frame":       {},
	"artifact/machine/machinetest": {"artifact/machine", "artifact/machine/agent", "artifact/machine/files", "artifact/images"},
	"artifact/machine/sandbox":     {"artifact/machine", "artifact/machine/agent", "artifact/layer", "artifact/images", "egress/proxy"},
	"artifact/component":           {"artifact/component/document", "artifact/archive", "artifact/registry", "catalog/change", "storage/store", "storage/store/audit"},
	"artifact/component/document":  {},
	"artifact/build":               {"artifact/installer", "artifact/images", "storage/*", "gateway/apierror"},
	"artifact/installer":           {"artifact/component", "artifact/component/document", "artifact/images", "artifact/machine"},
	"artifact/machine/files":       {"artifact/machine/agent"},
	"artifact/appstream/resource":  {"gateway/apierror"},
	"artifact/appstream/image":     {"artifact/appstream/resource", "artifact/images", "storage/*", "gateway/apierror"},
	"artifact/appstream/builder": {
		"artifact/appstream/resource", "artifact/appstream/image", "artifact/appstream/assistant", "artifact/images", "artifact/layer", "artifact/machine", "storage/*", "gateway/apierror",
	},
	"artifact/appstream/assistant":    {"artifact/machine/agent"},
	"artifact/appstream/session":      {"artifact/machine", "artifact/machine/frame"},
	"artifact/appstream/directory":    {"artifact/appstream/resource", "storage/*", "gateway/apierror"},
	"artifact/appstream/network":      {"artifact/appstream/resource"},
	"artifact/appstream/instancetype": {},
	"artifact/logo":                   {"catalog/change", "egress/fetch", "storage/blob"},
	"storage/store":                   {},
	"storage/store/audit":             {"storage/store", "storage/store/internal/layout"},
	"storage/store/internal/layout":   {"storage/store"},
	"storage/store/internal/schema":   {"storage/store"},
	"storage/store/sqlite":            {"storage/store", "storage/store/internal/*"},
	"storage/store/postgres":          {"storage/store", "storage/store/internal/*"},
	"storage/work":                    {"storage/store"},
	"storage/blob":                    {},
	"egress/fetch":                    {},
	"egress/proxy":                    {"egress/fetch"},
	"egress/notify":                   {"egress/fetch", "gateway/apierror", "storage/store", "storage/store/audit", "storage/work"},

	// Tables of the documentation, and what looks at Souk from outside.
	"spec":                  {},
	"spec/examples":         {},
	"conformance":           {"conformance/seller", "spec", "spec/examples"},
	"conformance/malformed": {},
	"conformance/seller":    {},
	"bench":                 {"*"}, // it measures every room, and fills stores by hand
	"docs":                  {},
}

// Engines are named by the server alone; suites by tests alone.
var engines = []string{"storage/store/sqlite", "storage/store/postgres", "artifact/machine/sandbox"}

// vague are names that say nothing about what is in a package.
var vague = []string{"util", "utils", "common", "helper", "helpers", "misc", "models", "types", "base", "shared"}

const longest = 600 // lines of a file

// source is a parsed Go file of the project.
type source struct {
	name string // path below the project's root
	room string // its folder
	test bool
	text []byte
	tree *ast.File
	fset *token.FileSet
}

// sources parses every Go file of the project.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	root := os.DirFS("..")
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			base := d.Name()
			if name != "." && (strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata" || base == "bin" || base == "souk-data") {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		fset := token.NewFileSet()
		tree, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		all = append(all, source{
			name: name, room: path.Dir(name), test: strings.HasSuffix(name, "_test.go"),
			text: text, tree: tree, fset: fset,
		})
		return nil
	})
	if err != nil {
		t.Fatalf("reading the project's files: %v", err)
	}
	if len(all) == 0 {
		t.Fatal("no Go files were found")
	}
	return all
}

// ours returns the rooms that a file imports.
func (s source) ours() []string {
	var rooms []string
	for _, i := range s.tree.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err == nil && strings.HasPrefix(p, "souk/") {
			rooms = append(rooms, strings.TrimPrefix(p, "souk/"))
		}
	}
	return rooms
}

func matches(patterns []string, room string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		below, all := strings.CutSuffix(p, "*")
		return p == room || all && strings.HasPrefix(room, below)
	})
}

// suite says whether a room is made for tests: storetest, scantest.
func suite(room string) bool { return strings.HasSuffix(path.Base(room), "test") }

func TestEveryRoomImportsOnlyWhatItsEdgesAllow(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		allowed, known := edges[s.room]
		if !known && !suite(s.room) {
			t.Errorf("%s: the room %s has no line in the table of edges", s.name, s.room)
			continue
		}
		for _, room := range s.ours() {
			below := strings.HasPrefix(room, s.room+"/")
			switch {
			case s.test || suite(s.room) || s.room == "bench":
				// Tests may use real engines and suites, but never look down from above.
				if strings.HasPrefix(room, "cmd/") || room == "server" && !slices.Contains([]string{"cmd/souk", "server", "conformance", "bench"}, s.room) {
					t.Errorf("%s: a test of %s imports %s, which is built on it", s.name, s.room, room)
				}
			case suite(room):
				t.Errorf("%s: imports the test suite %s outside of a test", s.name, room)
			case slices.Contains(engines, room) && s.room != "server" && s.room != "bench":
				t.Errorf("%s: imports the engine %s; only server names implementations", s.name, room)
			case !below && !matches(allowed, room):
				t.Errorf("%s: %s may not import %s (docs/design.md, \"Direction\")", s.name, s.room, room)
			}
		}
	}
}

func TestEveryPackageHasOnePackageComment(t *testing.T) {
	t.Parallel()
	comments := map[string]int{}
	for _, s := range sources(t) {
		pkg := s.room + " " + strings.TrimSuffix(s.tree.Name.Name, "_test")
		comments[pkg] += 0
		if s.tree.Doc != nil {
			comments[pkg]++
		}
	}
	for pkg, n := range comments {
		if n != 1 {
			t.Errorf("package %s has %d package comments, want 1", pkg, n)
		}
	}
}

func TestNoPackageHasAVagueName(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		for part := range strings.SplitSeq(s.room, "/") {
			if slices.Contains(vague, part) {
				t.Errorf("%s: %q says nothing about what is in it", s.name, part)
			}
		}
	}
}

func TestNoFileIsTooLong(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if lines := bytes.Count(s.text, []byte("\n")); lines > longest {
			t.Errorf("%s has %d lines, want at most %d", s.name, lines, longest)
		}
	}
}

func TestEveryExportedTypeAndFunctionIsDocumented(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		for _, d := range s.tree.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil && d.Name.IsExported() && d.Doc == nil {
					t.Errorf("%s: %s has no comment", s.fset.Position(d.Pos()), d.Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if typ, ok := spec.(*ast.TypeSpec); ok && typ.Name.IsExported() && typ.Doc == nil && d.Doc == nil {
						t.Errorf("%s: %s has no comment", s.fset.Position(typ.Pos()), typ.Name)
					}
				}
			}
		}
	}
}

// TestTestsNeitherSleepNorSkip: a test that sleeps is slow or flaky, one that
// skips says that something works which nobody looked at.
func TestTestsNeitherSleepNorSkip(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if !s.test && !suite(s.room) {
			continue
		}
		ast.Inspect(s.tree, func(n ast.Node) bool {
			call, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			on, _ := call.X.(*ast.Ident)
			switch name := call.Sel.Name; {
			case on != nil && on.Name == "time" && name == "Sleep":
				t.Errorf("%s: a test sleeps; wait for what it waits for", s.fset.Position(n.Pos()))
			case on != nil && (on.Name == "t" || on.Name == "tb" || on.Name == "b") && (name == "Skip" || name == "Skipf" || name == "SkipNow"):
				t.Errorf("%s: a test is skipped", s.fset.Position(n.Pos()))
			}
			return true
		})
	}
}

func TestCodeHasNoUnfinishedParts(t *testing.T) {
	t.Parallel()
	words := [][]byte{[]byte("TO" + "DO"), []byte("FIX" + "ME"), []byte("XX" + "X "), []byte("not " + "implemented"), []byte("un" + "implemented")}
	for _, s := range sources(t) {
		for i, line := range bytes.Split(s.text, []byte("\n")) {
			for _, word := range words {
				if bytes.Contains(line, word) {
					t.Errorf("%s:%d: %q", s.name, i+1, word)
				}
			}
		}
	}
}

// TestNoInitFunctions: a package that is imported does nothing.
func TestNoInitFunctions(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		for _, d := range s.tree.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: an init function", s.fset.Position(f.Pos()))
			}
		}
	}
}

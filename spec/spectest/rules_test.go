package spectest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// source writes a package of one file and reads it.
func source(t *testing.T, text string) *Source {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "a.go"), []byte("package a\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Read(folder)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRulesAreFoundWhereverTheyAreStated(t *testing.T) {
	t.Parallel()
	s := source(t, `
type Shared struct{}
func (s *Shared) Check(c *C) { c.Refuse(true, "SHARED", "shared") }
type X struct{ Shared }
func (x *X) Valid(c *C) { c.Refuse(true, "422", "valid") }
func (x *X) Check(c *C) {
	x.Shared.Check(c)
	state(c)
	plan(x).judge(c)
	c.Refuse(true, "DIRECT", "direct", 1)
	for range 3 { note() }
}
func (x *X) Apply(c *C) { c.Refuse(true, "APPLY", "never read") }
func state(c *C) { c.Refuse(true, "STATE", `+"`raw \"text\"`"+`); state(c) }
type p struct{}
func plan(x *X) *p { return nil }
func (p *p) judge(c *C) { if true { c.Refuse(true, "JUDGE", "judge") } }
func note() {}
func other(c *C) { c.Refuse(true, "OTHER", "not called") }
`)
	rules, err := s.Rules("a", "X")
	want := []Rule{{"422", "valid"}, {"SHARED", "shared"}, {"STATE", `raw "text"`}, {"JUDGE", "judge"}, {"DIRECT", "direct"}}
	if err != nil || !slices.Equal(rules, want) {
		t.Errorf("rules are %q, %v, want %q", rules, err, want)
	}
}

func TestAnEmbeddedTypesMethodCounts(t *testing.T) {
	t.Parallel()
	s := source(t, `
type Shared struct{}
func (s *Shared) Valid(c *C) { c.Refuse(true, "SHARED", "shared") }
type X struct{ Shared }
`)
	if rules, err := s.Rules("a", "X"); err != nil || !slices.Equal(rules, []Rule{{"SHARED", "shared"}}) {
		t.Errorf("rules are %q, %v", rules, err)
	}
}

func TestMethodsOfOneNameMayCallEachOther(t *testing.T) {
	t.Parallel()
	s := source(t, `
type X struct{}
func (x *X) Check(c *C) { x.part(c); c.Refuse(true, "DIRECT", "direct") }
func (x *X) part(c *C) { y.part(c) }
type Y struct{}
func (y *Y) part(c *C) { x.part(c) }
`)
	if rules, err := s.Rules("a", "X"); err != nil || !slices.Equal(rules, []Rule{{"DIRECT", "direct"}}) {
		t.Errorf("rules are %q, %v", rules, err)
	}
}

func TestRulesThatATestCantReadAreRefused(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"must be literals":    `func (x *X) Check(c *C) { c.Refuse(true, code, "text") }`,
		"must be literals ":   `func (x *X) Check(c *C) { c.Refuse(true, "A", "a"+b) }`,
		"within a loop":       `func (x *X) Check(c *C) { for { c.Refuse(true, "A", "a") } }`,
		"within a loop ":      `func (x *X) Check(c *C) { for range c { if true { c.Refuse(true, "A", "a") } } }`,
		"without code":        `func (x *X) Check(c *C) { c.Refuse(true) }`,
		"a name of its own":   "func (x *X) Check(c *C) { y.rule(c) }\ntype Y struct{}\nfunc (Y) rule(c *C) { c.Refuse(true, \"A\", \"a\") }\ntype Z struct{}\nfunc (Z) rule(c *C) {}",
		"a name of its own  ": "func (x *X) Check(c *C) { y.rule(c) }\ntype Z struct{}\nfunc (Z) rule(c *C) {}\ntype Y struct{}\nfunc (Y) rule(c *C) { c.Refuse(true, \"A\", \"a\") }",
	} {
		_, err := source(t, "type X struct{}\n"+text).Rules("a", "X")
		if err == nil || !strings.Contains(err.Error(), strings.TrimSpace(name)) {
			t.Errorf("%s: got %v, want %s", text, err, name)
		}
	}
}

func TestFillsComparesTheTextAroundHoles(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pattern, message string
		want             bool
	}{
		{"Plain.", "Plain.", true},
		{"Plain.", "Plain", false},
		{"Remove [x, y, z].", "Remove a, b.", true},
		{"Remove [x, y, z].", "Remove a, b", false},
		{"Remove: [x]", "Remove: a", true},
		{"From [a] to (b) now", "From 1 to 2 now", true},
		{"From [a] to (b) now", "From 1 till 2 now", false},
		{`Needs "${SECRET}".`, `Needs "${SECRET}".`, true},
		{"[x] begins", "it begins", true},
		{"Remove from image X.", "Remove from image ami-1.", true},
		{"Enable for image x: [y]", "Enable for image ami-1: m5.large", true},
		{"Remove from image X.", "Remove it.", false},
	} {
		if got := Fills(test.pattern, test.message); got != test.want {
			t.Errorf("Fills(%q, %q) = %t, want %t", test.pattern, test.message, got, test.want)
		}
	}
}

package document

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// samples returns the documents of a folder of testdata.
func samples(t testing.TB, folder string) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", folder, "*.yaml"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no samples in %s: %v", folder, err)
	}
	all := map[string][]byte{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(path), ".yaml")] = data
	}
	return all
}

func TestSoundDocumentsAreRead(t *testing.T) {
	t.Parallel()
	for name, data := range samples(t, "valid") {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse(data); err != nil {
				t.Errorf("refused:\n%v", err)
			}
		})
	}
}

// wanted is a line of an invalid sample: # want LINE:COLUMN TEXT. The document
// must be refused with these problems and no others.
var wanted = regexp.MustCompile(`(?m)^# want (\d+):(\d+) (.*)$`)

func TestFaultyDocumentsAreRefusedWithAllFaults(t *testing.T) {
	t.Parallel()
	for name, data := range samples(t, "invalid") {
		t.Run(name, func(t *testing.T) {
			want := wanted.FindAllStringSubmatch(string(data), -1)
			if len(want) == 0 {
				t.Fatal("the sample wants nothing")
			}
			_, err := Parse(data)
			var problems Problems
			if !errors.As(err, &problems) {
				t.Fatalf("got %v, want problems", err)
			}
			got := map[string]int{}
			for _, p := range problems {
				found := false
				for i, w := range want {
					if fmt.Sprintf("%d:%d", p.Line, p.Column) == w[1]+":"+w[2] && strings.Contains(p.Text, w[3]) && got[fmt.Sprint(i)] == 0 {
						got[fmt.Sprint(i)]++
						found = true
						break
					}
				}
				if !found {
					t.Errorf("not wanted: %s", p)
				}
			}
			for i, w := range want {
				if got[fmt.Sprint(i)] == 0 {
					t.Errorf("missing: %s", w[0])
				}
			}
		})
	}
}

// TestTheGuidesExampleIsSound reads the first YAML of the section on component
// documents.
func TestTheGuidesExampleIsSound(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(guide), "\n## Component documents\n")
	_, section, _ = strings.Cut(section, "```yaml\n")
	example, _, found := strings.Cut(section, "```\n")
	if !found {
		t.Fatal("there is no example")
	}
	if _, err := Parse([]byte(example)); err != nil {
		t.Error(err)
	}
	for name := range actions {
		if !strings.Contains(string(guide), name) {
			t.Errorf("the guide does not mention action %s", name)
		}
	}
	for name := range comparisons {
		if !strings.Contains(string(guide), name) {
			t.Errorf("the guide does not mention operator %s", name)
		}
	}
}

func TestMembersOfADocument(t *testing.T) {
	t.Parallel()
	doc, err := Parse(samples(t, "valid")["all-members"])
	if err != nil {
		t.Fatal(err)
	}
	if doc.Name != "InstallGreeter" || doc.Type() != "BUILD" || len(doc.Phases) != 3 {
		t.Errorf("got %q, type %s, %d phases", doc.Name, doc.Type(), len(doc.Phases))
	}
	if p := doc.Parameters; len(p) != 2 || p[0].Name != "GreeterVersion" || *p[0].Default != "2.1" || p[0].Description != "which one" || p[1].Default != nil {
		t.Errorf("parameters: %+v", p)
	}
	if c := doc.Constants; len(c) != 1 || c[0] != (Constant{"Prefix_Path", "/opt/greeter"}) {
		t.Errorf("constants: %+v", c)
	}
	steps := doc.Phases[0].Steps
	for i, want := range []struct {
		name, action string
		timeout      time.Duration
		onFailure    OnFailure
		attempts     int
	}{
		{"Fetch", "WebDownload", time.Minute, Abort, 3},
		{"Unpack", "ExecuteBash", 0, Continue, 1},
		{"Show", "ExecuteBinary", 2 * time.Hour, Ignore, 1},
	} {
		s := steps[i]
		if s.Name != want.name || s.Action != want.action || s.Timeout != want.timeout || s.OnFailure != want.onFailure || s.MaxAttempts != want.attempts {
			t.Errorf("step %d: got %s %s %s %s %d, want %+v", i, s.Name, s.Action, s.Timeout, s.OnFailure, s.MaxAttempts, want)
		}
	}
	only, err := Parse(samples(t, "valid")["all-file-actions"])
	if err != nil || only.Type() != "TEST" {
		t.Errorf("a document with the phase test alone: %v, %v", only, err)
	}
}

// bomb is nine levels of aliases, each of ten of the one before.
func bomb() string {
	var b strings.Builder
	b.WriteString("schemaVersion: 1.0\nl0: &l0 [lol]\n")
	for i := 1; i < 10; i++ {
		fmt.Fprintf(&b, "l%d: &l%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*l%d,", i-1), 10), ","))
	}
	return b.String()
}

func TestHostileDocuments(t *testing.T) {
	t.Parallel()
	step := "schemaVersion: 1.0\nphases: [{name: build, steps: [{name: A, action: ExecuteBash, inputs: {commands: [%s]}}]}]"
	for name, c := range map[string]struct{ data, want string }{
		"nothing":                 {"", "the document is empty"},
		"only a comment":          {"# x\n", "the document is empty"},
		"nothing but null":        {"~", "must be a mapping, not nothing"},
		"larger than the limit":   {strings.Repeat("#", MaxSize+1), "and may have 65536"},
		"bytes that are no UTF-8": {"schemaVersion: 1.0\nname: \xff\xfe", "line 2, column 1: the line is not UTF-8"},
		"a zero byte":             {"name: a\x00b", "not YAML"},
		"an escaped zero byte":    {fmt.Sprintf(step, `"a\0b"`), "has a zero byte"},
		"aliases of aliases":      {bomb(), "more than 20000 values, its aliases written out"},
		"lists in lists":          {strings.Repeat("[", 30000) + strings.Repeat("]", 30000), ""},
		"a few lists in lists":    {strings.Repeat("[", 100) + strings.Repeat("]", 100), "more than 24 deep"},
		"mappings in mappings":    {strings.Repeat("{a: ", 5000) + strings.Repeat("}", 5000), "more than 24 deep"},
		"indented for ever":       {deep(300), "more than 24 deep"},
		"an alias of nothing":     {"name: *nothing", "not YAML"},
		"a number of many digits": {"schemaVersion: " + strings.Repeat("9", 10000), "schema version 1.0 is read"},
		"a long name in a fault":  {strings.Repeat("n", 900) + ": 1", "there is no member [nnn"},
		"201 steps":               {fmt.Sprintf("schemaVersion: 1.0\nphases: [{name: build, steps: [%s]}]", strings.Repeat("{name: A, action: X},", 201)), "there are 201 entries, and may be 200"},
		"more than 50 faults":     {fmt.Sprintf("schemaVersion: 1.0\nphases: [{name: build, steps: [%s]}]", strings.Repeat("{},", 99)), "and 148 more"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse([]byte(c.data))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if err != nil && len(err.Error()) > 20_000 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
}

// deep is a document whose every line is indented more than the one before.
func deep(lines int) string {
	var b strings.Builder
	for i := range lines {
		fmt.Fprintf(&b, "%sa:\n", strings.Repeat(" ", i))
	}
	return b.String()
}

func FuzzParse(f *testing.F) {
	for _, folder := range []string{"valid", "invalid", "run"} {
		for _, data := range samples(f, folder) {
			f.Add(data)
		}
	}
	f.Add([]byte(bomb()))
	f.Add([]byte(strings.Repeat("[", 1000)))
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := Parse(data)
		if (doc == nil) == (err == nil) {
			t.Fatalf("got %v and %v", doc, err)
		}
		var problems Problems
		if err != nil && (!errors.As(err, &problems) || len(problems) == 0 || len(problems) > maxProblems+1) {
			t.Fatalf("got error %v", err)
		}
		for _, p := range problems {
			if strings.ContainsAny(p.String(), "\n\x00") || len(p.String()) > 2000 {
				t.Fatalf("problem %q can't be shown", p)
			}
		}
	})
}

func FuzzReference(f *testing.F) {
	for _, s := range []string{"{{ a }}", "{{{{x}}}}", "{{ build.A.inputs[0].path }}", "{{ a[99999999999] }}", "{{.Id}}", "{{", "}}{{a}}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := replace(s, func(r reference) (string, error) { return "{{ " + r.text + " }}", nil })
		if err != nil {
			return
		}
		if again, err := replace(got, func(r reference) (string, error) { return "{{ " + r.text + " }}", nil }); err != nil || again != got {
			t.Fatalf("%q became %q and then %q, %v", s, got, again, err)
		}
	})
}

func FuzzEncoding(f *testing.F) {
	f.Add("utf-16-BE", []byte("a\x00"))
	f.Add("UTF32", []byte{0, 0, 1, 0})
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		e, ok := asEncoding(name)
		if !ok {
			return
		}
		text, err := e.decode(data)
		if err != nil {
			return
		}
		again, err := e.decode(e.encode(text))
		if err != nil || again != strings.TrimPrefix(text, "\uFEFF") {
			t.Fatalf("%s: %q became %q, %v", name, text, again, err)
		}
	})
}

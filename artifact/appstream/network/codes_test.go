package network

import (
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

// Every code that AWS documents has a cause here, and a test that reaches it, or
// stands in docs/divergences.md with the reason why it has none.
func TestEveryCodeIsReachedOrNamed(t *testing.T) {
	t.Parallel()
	code, tests := goFiles(t, "..")
	_, more := goFiles(t, "../../../conformance")
	tests += more
	text, err := os.ReadFile("../../../docs/divergences.md")
	if err != nil {
		t.Fatal(err)
	}
	_, without, found := strings.Cut(string(text), "Of ImageBuilderErrors these have no cause here.")
	without, _, _ = strings.Cut(without, "\n- ")
	if !found {
		t.Fatal("docs/divergences.md does not say which codes have no cause")
	}
	codes, err := os.ReadFile("testdata/codes.txt")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(codes)) {
		name := strings.TrimSpace(line)
		if strings.HasPrefix(name, "#") {
			continue
		}
		n++
		said := strings.Contains(code, `"`+name+`"`)
		tested := said && regexp.MustCompile(`\b`+name+`\b`).MatchString(tests)
		named := strings.Contains(without, name)
		switch {
		case said && named:
			t.Errorf("%s has a cause, and docs/divergences.md says that it has none", name)
		case said && !tested:
			t.Errorf("%s is reached by no test", name)
		case !said && !named:
			t.Errorf("%s has no cause, and docs/divergences.md does not say why", name)
		}
	}
	if n != 31 {
		t.Errorf("there are %d codes, not 31", n)
	}
}

// goFiles returns the texts of the Go files below a folder, and of their tests.
func goFiles(t *testing.T, folder string) (code, tests string) {
	t.Helper()
	root := os.DirFS(folder)
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(name) != ".go" {
			return err
		}
		text, err := fs.ReadFile(root, name)
		if strings.HasSuffix(name, "_test.go") {
			tests += string(text)
		} else {
			code += string(text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return code, tests
}

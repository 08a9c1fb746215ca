package examples

import (
	"encoding/json"
	"io/fs"
	"strings"
	"testing"
)

func TestExamplesThatAreNoJSON(t *testing.T) {
	t.Parallel()
	for _, e := range all(t) {
		body := e.Text()
		switch e.Kind {
		case Script:
			continue
		case Syntax:
			_, members, ok := strings.Cut(body, "{")
			if !ok {
				continue // a request line alone
			}
			body = "{" + strings.ReplaceAll(members, ": number", ": 1") // types stand where values would
		case Request:
			h, err := Parse(body)
			if err != nil {
				t.Errorf("%s: %v", e.Name, err)
				continue
			}
			if h.Body == "" {
				if h.Method == "POST" {
					t.Errorf("%s: POST without a body", e.Name)
				}
				continue
			}
			body = h.Body
		}
		var v any
		err := json.Unmarshal([]byte(body), &v)
		if err != nil {
			t.Errorf("%s: %v", e.Name, err)
			continue
		}
		eachDetails(v, func(details string) {
			if e.Kind != Syntax && !json.Valid([]byte(details)) {
				t.Errorf("%s: Details is no JSON: %s", e.Name, details)
			}
		})
	}
}

// eachDetails calls f with every member Details that is a string, at any depth.
func eachDetails(v any, f func(string)) {
	switch v := v.(type) {
	case map[string]any:
		if s, ok := v["Details"].(string); ok {
			f(s)
		}
		for _, member := range v {
			eachDetails(member, f)
		}
	case []any:
		for _, element := range v {
			eachDetails(element, f)
		}
	}
}

func TestMendedFormsWithoutAReason(t *testing.T) {
	t.Parallel()
	for _, e := range all(t) {
		if e.Mended && e.Note == "" {
			t.Errorf("%s: is mended, and its note doesn't say what is broken", e.Name)
		}
		if e.Mended && e.Text() == e.Verbatim() {
			t.Errorf("%s: its mended form is what the page has", e.Name)
		}
		if e.Section == "" || e.Page == "" || e.Line == 0 {
			t.Errorf("%s: lacks its page, section or line", e.Name)
		}
	}
}

func TestFilesThatTheIndexLacks(t *testing.T) {
	t.Parallel()
	known := map[string]bool{"index.json": true}
	for _, e := range all(t) {
		if known[e.Name+".txt"] {
			t.Errorf("%s: stands twice in the index", e.Name)
		}
		known[e.Name+".txt"] = true
		if e.Mended {
			known[e.Name+".mended.txt"] = true
		}
	}
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !known[path] {
			t.Errorf("%s: not in the index", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestParseOfBrokenRequestLines(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "POST", "{}", "POST StartChangeSet HTTP/1.1\n\n{}"} {
		_, err := Parse(text)
		if err == nil {
			t.Errorf("Parse(%q): no error", text)
		}
	}
	h, err := Parse("POST /ListEntities HTTP/1.1\nContent-Type: application/json\n \n{ \"A\": 1 }\n")
	if err != nil || h.Method != "POST" || h.Target != "/ListEntities" || !strings.HasPrefix(h.Body, "{ \"A\"") {
		t.Errorf("Parse: got %+v, %v", h, err)
	}
}

func all(t *testing.T) []Example {
	t.Helper()
	examples, err := All()
	if err != nil {
		t.Fatal(err)
	}
	if len(examples) < 80 {
		t.Fatalf("got %d examples, want all of the pages", len(examples))
	}
	return examples
}
